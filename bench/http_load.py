"""Measure the server over HTTP: `python bench/http_load.py [--clients 200] [--seconds 60]`.

A real process of `agent-mem serve --http` on a memory of so many entries (`scale_build.py` tells
how they are made), and clients of one process, each with a token and a connection of its own, in
the protocol of 2026-07-28. Each asks, waits for the answer, waits for a random time around
`--pause` seconds, and asks again: four recalls to one remember. With a pause of 0 it is the most
that the server can do, and the times are those of the queue before it. Times are in milliseconds.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import httpx2
from scale_build import build, fresh, settings_of

from agent_mem.server.tokens import Tokens

VERSION: Final = "2026-07-28"
META: Final = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
}
REMEMBERS: Final = 0.2
WARM: Final = 60.0
"""Seconds in which the server loads its encoder and its index."""
PATIENCE: Final = 60.0


@dataclass
class Told:
    """What all clients saw."""

    times: dict[str, list[float]] = field(default_factory=lambda: {"recall": [], "remember": []})
    errors: Counter[str] = field(default_factory=Counter[str])


class Caller:
    """One client, with a connection of its own."""

    def __init__(self, url: str, token: str, seed: int) -> None:
        self._url = url
        self._client = httpx2.AsyncClient(
            timeout=PATIENCE, trust_env=False, headers={"authorization": f"Bearer {token}"}
        )
        self.chance = random.Random(seed)  # noqa: S311 - no secret
        self._last = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a tool; give what the answer says.

        Raises:
            RuntimeError: the answer is an error.
        """
        self._last += 1
        params = {"name": tool, "arguments": arguments, "_meta": META}
        answer = await self._client.post(
            self._url,
            json={"jsonrpc": "2.0", "id": self._last, "method": "tools/call", "params": params},
            headers={
                "accept": "application/json, text/event-stream",
                "mcp-protocol-version": VERSION,
                "mcp-method": "tools/call",
                "mcp-name": tool,
            },
        )
        if not answer.is_success:
            raise RuntimeError(f"HTTP {answer.status_code}")
        # What takes long is answered by a stream, whose last event is the answer.
        last = [line for line in answer.text.splitlines() if line.startswith(("{", "data: "))][-1]
        told = json.loads(last.removeprefix("data: "))
        if "error" in told or told["result"].get("isError"):
            raise RuntimeError(str(told)[:200])
        return told["result"]["structuredContent"]

    async def work(self, texts: list[str], pause: float, until: float, told: Told) -> None:
        """Ask until the time is over."""
        await asyncio.sleep(self.chance.random() * pause)
        while time.perf_counter() < until:
            text = self.chance.choice(texts)
            tool, arguments = "recall", {"query": " ".join(text.split()[:8])}
            if self.chance.random() < REMEMBERS:
                tool, arguments = "remember", {"content": f"{text} {self.chance.random()}"}
            began = time.perf_counter()
            try:
                await self.call(tool, arguments)
            except (httpx2.HTTPError, RuntimeError) as error:
                told.errors[f"{type(error).__name__}: {error}"[:120]] += 1
            else:
                told.times[tool].append(time.perf_counter() - began)
            await asyncio.sleep(self.chance.uniform(0.5, 1.5) * pause)


@asynccontextmanager
async def serving(folder: Path) -> AsyncGenerator[str]:
    """Start the server; tell how long it takes to stop."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AGENT_MEM_")}
    environment = {**kept, "AGENT_MEM_DB": str(settings_of(folder).db)}
    command = [sys.executable, "-m", "agent_mem", "serve", "--http", "--port", "0", "--rate", "0"]
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stderr=subprocess.PIPE
    )
    if process.stderr is None:
        raise RuntimeError
    line = (await process.stderr.readline()).decode()
    try:
        yield line.split()[-1]
    finally:
        print(f"resident: {resident(process.pid)} MiB")
        began = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        rest = (await process.stderr.read()).decode()
        code = await process.wait()
        print(f"stopped with {code} after {(time.perf_counter() - began) * 1000:.0f} ms")
        print(rest, end="")


def resident(pid: int) -> int:
    """Read how much memory a process has, where the system tells (Linux)."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    line = next(li for li in status.read_text().splitlines() if li.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


async def warmed(caller: Caller) -> None:
    """Ask until nothing has to be loaded any more."""
    until = time.perf_counter() + WARM
    while "words alone" in str(await caller.call("recall", {"query": "what was decided"})):
        if time.perf_counter() > until:
            raise RuntimeError("The server does not get ready.")
        await asyncio.sleep(0.2)


async def measure(given: argparse.Namespace, folder: Path) -> Told:
    """Let the clients ask, all at once."""
    tokens, told = Tokens(settings_of(folder)), Told()
    tokens.path.unlink(missing_ok=True)
    secrets = [tokens.add(f"client {n}", "me", "write") for n in range(given.clients)]
    texts = fresh(2000)
    async with serving(folder) as url:
        callers = [Caller(url, secret, n) for n, secret in enumerate(secrets)]
        await warmed(callers[0])
        until = time.perf_counter() + given.seconds
        async with asyncio.TaskGroup() as tasks:
            for caller in callers:
                tasks.create_task(caller.work(texts, given.pause, until, told))
        for caller in callers:
            await caller.__aexit__()
    return told


def show(told: Told, seconds: float) -> None:
    """Print the table."""
    print("| call | calls | a second | p50 | p95 | p99 |\n| --- | --- | --- | --- | --- | --- |")
    both = told.times["recall"] + told.times["remember"]
    for name, times in [*told.times.items(), ("both", both)]:
        found = sorted(times)
        at = [f"{found[int(len(found) * part)] * 1000:.0f}" for part in (0.5, 0.95, 0.99)]
        print(f"| {name} | {len(found)} | {len(found) / seconds:.0f} | {' | '.join(at)} |")
    print(f"\nerrors: {sum(told.errors.values())}")
    for error, count in told.errors.most_common(5):
        print(f"  {count} times: {error}")


def main() -> None:
    """Measure, and print a table; fail if there was an error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--memories", type=int, default=10_000)
    parser.add_argument("--pause", type=float, default=0)
    parser.add_argument("--folder", type=Path, default=Path("~/.cache/agent-mem-bench/http"))
    given = parser.parse_args()
    folder = given.folder.expanduser() / str(given.memories)
    asyncio.run(build(folder, given.memories))
    told = asyncio.run(measure(given, folder))
    show(told, given.seconds)
    sys.exit(1 if told.errors else 0)


if __name__ == "__main__":
    main()
