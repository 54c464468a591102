"""The workflow "On Error", played on a memory that is thrown away.

    python examples/on_error.py

A real server is started; five behaviors are registered, each of which needs the one before; two
errors are logged. For one a fix is known, which names a command that the settings file allows: it
is mended. For the other nothing is known: it is escalated. Both are documented.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters

STEPS: tuple[dict[str, Any], ...] = (
    {"name": "capture", "action": "capture"},
    {"name": "lookup", "action": "lookup", "depends_on": ["capture"]},
    {"name": "fix", "action": "fix", "depends_on": ["lookup"]},
    {"name": "escalate", "action": "escalate", "depends_on": ["fix"]},
    {
        "name": "on-error",
        "action": "document",
        "depends_on": ["fix", "escalate"],
        "trigger": "event",
        "event": {"type": "event", "kind": "error", "importance": 0.7},
    },
)
KNOWN = "Connection refused by redis:6379"
UNKNOWN = "The invoice printer is out of words"


async def use(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    result = await client.call_tool(tool, arguments)
    if result.is_error or result.structured_content is None:
        raise SystemExit(str(result.content))
    return result.structured_content


async def documented(client: Client, count: int) -> list[str]:
    """Wait until so many errors are documented."""
    with anyio.fail_after(60):
        while True:
            found = await use(client, "recall", query="Mended Escalated", kinds=["event"], limit=20)
            told = [h["text"] for h in found.get("hits", []) if h["text"][:4] in ("Mend", "Esca")]
            if len(told) >= count:
                return sorted(told)
            await anyio.sleep(0.2)


async def play(folder: Path) -> None:
    started = folder / "redis-is-started"
    config = folder / "config.toml"
    lines = ["[commands.start-redis]", f"program = {json.dumps(sys.executable)}"]
    code = f"open({str(started)!r}, 'w').close()"
    config.write_text("\n".join([*lines, f"args = ['-c', {json.dumps(code)}]", ""]), "utf-8")
    config.chmod(0o600)
    own = {"AGENT_MEM_DB": str(folder / "memory.db"), "AGENT_MEM_TOOLSETS": "core,authoring"}
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AGENT_MEM_")}
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "agent_mem", "serve"], env={**kept, **own}
    )
    async with Client(server) as client:
        for step in STEPS:
            await use(client, "register_behavior", **step)
        await use(client, "record_solution", problem=KNOWN, solution="command: start-redis")
        for problem in (KNOWN, UNKNOWN):
            await use(client, "log_event", type="error", content=problem, importance=0.9)
        for line in await documented(client, 2):
            print(line)
        found = await use(client, "recall", query=UNKNOWN, kinds=["insight"])
        print("For the others:", found["hits"][0]["text"])
        print("Redis is started:", started.exists())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        anyio.run(play, Path(made))
