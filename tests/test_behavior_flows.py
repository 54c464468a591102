"""Behaviors as a client meets them: through a real server, from registering to what comes of it."""

import json
import subprocess
import sys
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from conftest import Server, calling
from helpers_sync import machine, settle
from mcp import Client
from mcp.types import TextResourceContents

from agent_mem.app import open_app
from agent_mem.config import Settings

pytestmark = pytest.mark.anyio

ON: dict[str, Any] = {"AGENT_MEM_TOOLSETS": "all", "AGENT_MEM_EMBEDDER": "none"}
PATIENCE = 40


async def use(client: Client, name: str, /, **arguments: object) -> dict[str, Any]:
    result = await client.call_tool(name, arguments)
    assert not result.is_error, result.content
    assert result.structured_content is not None
    return result.structured_content


async def listed(client: Client, name: str) -> dict[str, Any]:
    found = (await use(client, "list_behaviors"))["behaviors"]
    return next(behavior for behavior in found if behavior["name"] == name)


async def ended(client: Client, name: str) -> dict[str, Any]:
    """Wait until a behavior has run."""
    with anyio.fail_after(PATIENCE):
        while (found := await listed(client, name))["status"] != "complete":  # noqa: ASYNC110 - another process runs it
            await anyio.sleep(0.1)
    return found


async def test_a_behavior_is_inserted_and_run_and_its_insight_is_found(server: Server) -> None:
    async with server(**ON) as client:
        await use(client, "log_event", type="error", content="The zeppelin leaks.")
        new = await use(client, "register_behavior", name="watch", action="analyze", agent="ana")
        ran = await use(client, "run_behavior", name="watch", agent="ana")
        found = await use(client, "recall", query="zeppelin leaks", kinds=["insight"])
        shown = await listed(client, "watch")

    assert new["status"] == "new"
    assert ran["status"] == "complete"
    assert [hit["who"] for hit in found["hits"]] == ["ana"]
    assert (shown["agent"], shown["status"], shown["trigger"]) == ("ana", "complete", "manual")
    assert shown["last_run"].startswith(f"{datetime.now(UTC):%Y-%m}")


async def test_memory_is_inserted_updated_and_synced(tmp_path: Path, server_url: str) -> None:
    async with (
        machine(tmp_path / "one", server_url) as one,
        machine(tmp_path / "two", server_url) as two,
    ):
        first = await calling(one)("remember", content="Tea is at four.", topic="tea")
        await calling(one)(
            "remember", content="Tea is at five.", topic="tea", supersedes=first["id"]
        )
        await calling(one)("register_behavior", name="daily", action="promote", agent="ana")
        await calling(one)("log_event", type="error", content="The kettle is cold.")
        await calling(one)("run_behavior", name="analyze", agent="bo")
        await calling(one)("run_behavior", name="daily", agent="ana")
        await settle(one, two)

        there = calling(two)
        tea = (await there("recall", query="when is tea", kinds=["memory"]))["hits"]
        kettle = (await there("recall", query="kettle", kinds=["memory"]))["hits"]
        names = {b["name"]: b["status"] for b in (await there("list_behaviors"))["behaviors"]}

    assert [hit["text"] for hit in tea] == ["Tea is at five."]
    assert len(kettle) == 1
    assert names["daily"] == "complete"  # as its run tells, which was on the other machine


async def daily(client: Client) -> tuple[Any, list[dict[str, Any]]]:
    """Run what is daily, for each of several agents, and then the sync of the network."""
    for agent in ("ana", "bo", "cy"):
        await use(client, "run_behavior", name="analyze", agent=agent)
    await use(client, "run_behavior", name="promote")
    answer = await client.read_resource("memory://topics/errors")
    (content,) = answer.contents
    assert isinstance(content, TextResourceContents)
    memories = json.loads(content.text)
    return (await use(client, "recall", query="zeppelin", kinds=["memory"]))["hits"], memories


async def test_a_daily_run_over_several_agents_gives_the_same_twice(server: Server) -> None:
    async with server(**ON) as client:
        await use(client, "log_event", type="error", content="The zeppelin leaks.")
        first = await daily(client)
        again = await daily(client)

    assert first[0] == again[0]
    assert first[1] == again[1]
    (memory,) = first[1]
    assert memory["tags"] == ["shared", "ana", "bo", "cy"]
    assert len(memory["source_ids"]) == 3


async def test_a_server_that_nobody_calls_runs_what_is_due(
    server: Server, settings: Settings
) -> None:
    async with open_app(settings) as app:
        await calling(app)(
            "register_behavior",
            name="tick",
            action="prune",
            trigger="schedule",
            schedule="* * * * * *",
            rules={"overlap": "queue"},
        )
    async with server(**ON), open_app(settings) as app:
        with anyio.fail_after(PATIENCE):
            while not await app.store.rows("behavior_runs.latest"):  # noqa: ASYNC110 - as above
                await anyio.sleep(0.1)


async def test_a_server_whose_memory_cannot_be_opened_says_so_when_it_is_called(
    server: Server, settings: Settings
) -> None:
    settings.db.parent.mkdir()
    settings.db.write_bytes(b"This is no database." * 100)
    async with server(**ON) as client:
        result = await client.call_tool("list_behaviors", {})

    assert result.is_error


async def test_the_workflow_on_error_runs_by_itself_when_an_error_is_logged(
    server: Server, settings: Settings, tmp_path: Path
) -> None:
    mended = tmp_path / "mended"
    settings.db.parent.mkdir()
    config = settings.db.with_name("config.toml")
    config.write_text(
        f'[commands.restart]\nprogram = "/usr/bin/touch"\nargs = ["{mended}"]\n', encoding="utf-8"
    )
    config.chmod(0o600)
    problem = "Connection refused by redis:6379"
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(server(**ON))
        await use(client, "record_solution", problem=problem, solution="command: restart")
        steps: dict[str, list[str]] = {
            "capture": [], "lookup": ["capture"], "fix": ["lookup"], "escalate": ["fix"],
        }  # fmt: skip
        for name, needs in steps.items():
            await use(client, "register_behavior", name=name, action=name, depends_on=needs)
        await use(
            client,
            "register_behavior",
            name="on-error",
            action="document",
            depends_on=["fix", "escalate"],
            trigger="event",
            event={"type": "event", "kind": "error", "importance": 0.7},
        )
        await use(client, "log_event", type="error", content=problem, importance=0.9)
        await ended(client, "on-error")
        known = (await use(client, "find_solution", problem=problem))["solutions"][0]

    assert mended.exists()
    assert (known["worked"], known["used"]) == (2, 2)


def test_the_example_mends_what_is_known_and_escalates_what_is_not() -> None:
    example = Path(__file__).parent.parent / "examples" / "on_error.py"

    done = subprocess.run([sys.executable, example], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "Escalated: The invoice printer is out of words",
        "Mended: Connection refused by redis:6379",
        "For the others: Not mended: The invoice printer is out of words",
        "No solution is known that can be tried.",
        "Redis is started: True",
    ]
