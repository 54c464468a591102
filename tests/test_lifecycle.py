"""How a server process begins and ends, and that nothing but JSON-RPC is ever on its stdout."""

import os
import signal
import sqlite3
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import anyio
import pytest
from conftest import Server
from helpers_file import faults, missing
from helpers_meaning import MEMORIES, QUESTION, remember
from helpers_wire import Wire, customized, text_of, wired

from agent_mem.app import open_app
from agent_mem.cli import serve
from agent_mem.config import Settings
from agent_mem.server.opening import Opening
from agent_mem.server.stdio import leave_on_signal
from agent_mem.storage.lock import FileLock

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals"),
]

ENDS = [
    pytest.param(None, 0, id="stdin closed"),
    pytest.param(signal.SIGTERM, 0, id="SIGTERM"),
    pytest.param(signal.SIGINT, 130, id="SIGINT"),
]
SIGNALS = ENDS[1:]


async def end(wire: Wire, how: signal.Signals | None) -> int:
    """End a server in one of the three ways; give its exit code."""
    if how is None:
        await wire.stdin.aclose()
    else:
        wire.process.send_signal(how)
    with anyio.fail_after(8):
        return await wire.process.wait()


@contextmanager
def held(settings: Settings) -> Generator[None]:
    """Hold the lock that every writer waits for."""
    with closing(FileLock(settings.db.with_name("memory.db.lock"))) as lock, lock:
        yield


def group_is_gone(leader: int) -> bool:
    """Look whether anything of a process group still lives."""
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize(("how", "code"), ENDS)
async def test_an_idle_server_ends_cleanly_and_leaves_nothing_behind(
    how: signal.Signals | None, code: int, env: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    async with wired(env, tmp_path) as wire:
        await wire.hello()
        await wire.use("remember", content="kept")
        assert await end(wire, how) == code

    left = {p.name for p in settings.db.parent.iterdir()}
    # The last one is there once the server has begun to look for what is due.
    assert left - {"memory.db.runner.lock"} == {
        "memory.db",
        "memory.db.lock",
        "memory.db.embedding.lock",
    }
    assert wire.stderr.read_text(encoding="utf-8") == ""
    assert group_is_gone(wire.process.pid)
    assert faults(settings.db) == []


@pytest.mark.parametrize(("how", "code"), ENDS)
async def test_writes_under_way_are_committed_or_refused_and_never_torn(
    how: signal.Signals | None, code: int, env: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    async with wired(env, tmp_path) as wire:
        await wire.hello()
        first = (await wire.use("remember", content="first"))["structuredContent"]["id"]
        for number in range(40):
            await wire.call("remember", content=f"memory {number} in flight")
        second = (await wire.read())["result"]["structuredContent"]["id"]
        assert await end(wire, how) == code
        rest = [answer["result"] for answer in await wire.rest() if "result" in answer]

    answered = [r["structuredContent"]["id"] for r in rest if not r["isError"]]
    assert missing(settings.db, [first, second, *answered]) == set()
    assert faults(settings.db) == []
    assert not settings.db.with_name("memory.db-wal").exists()


@pytest.mark.parametrize(("how", "code"), ENDS)
async def test_the_end_does_not_wait_for_another_process_that_writes(
    how: signal.Signals, code: int, env: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    async with wired(env, tmp_path) as wire:
        await wire.hello()
        await wire.use("remember", content="first")
        with held(settings):
            await wire.call("remember", content="this waits for the lock")
            await wire.use("recall", query="first")
            assert await end(wire, how) == code

    async with wired(env, tmp_path) as wire:
        await wire.hello()
        found = text_of(await wire.use("recall", query=""))
    assert '"first"' in found
    assert "waits" not in found
    assert faults(settings.db) == []


async def test_an_idle_server_ends_while_another_process_writes(
    env: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    async with wired(env, tmp_path) as wire:
        await wire.hello()
        await wire.use("remember", content="first")
        with held(settings):
            assert await end(wire, None) == 0


STARTUP = """
import sys, time
from pathlib import Path

class Late:
    def find_spec(self, name, path=None, target=None):
        if name == "agent_mem.server.kernel":
            Path({marker!r}).touch()
            time.sleep(60)

sys.meta_path.insert(0, Late())
"""


@pytest.mark.parametrize(("how", "code"), SIGNALS)
async def test_a_signal_during_startup_ends_the_process_at_once(
    how: signal.Signals, code: int, env: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    marker = tmp_path / "half way"
    slow = customized(env, tmp_path / "site", STARTUP.format(marker=str(marker)))

    async with wired(slow, tmp_path) as wire:
        with anyio.fail_after(20):
            while not marker.exists():  # noqa: ASYNC110 - another process makes it
                await anyio.sleep(0.01)
        assert await end(wire, how) == code

    assert wire.stderr.read_text(encoding="utf-8") == ""
    assert not settings.db.parent.exists()


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_discovery_is_answered_before_the_database_exists(
    mode: str, server: Server, settings: Settings
) -> None:
    async with server(mode=mode) as client:
        tools = await client.list_tools()
        prompts = await client.list_prompts()
        templates = await client.list_resource_templates()
        assert not settings.db.parent.exists()

        await client.call_tool("recall", {"query": "anything"})
        assert settings.db.exists()

    assert tools.tools
    assert prompts.prompts
    assert templates.resource_templates


STRAY = """
import json, os, sys

class Noisy:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("agent_mem.storage", "agent_mem.server", "anyio", "mcp", "pydantic")):
            print("stray at import of", name, flush=True)
            os.write(1, b"stray bytes at import\\n")

def dumps(*args, **kwargs):
    print("stray at run time", flush=True)
    os.write(1, b"stray bytes at run time\\n")
    os.system("echo stray of a child")
    return real(*args, **kwargs)

sys.meta_path.insert(0, Noisy())
real, json.dumps = json.dumps, dumps
"""


async def test_a_stray_print_cannot_reach_the_wire(env: dict[str, str], tmp_path: Path) -> None:
    noisy = customized(env, tmp_path / "site", STRAY)

    async with wired(noisy, tmp_path) as wire:
        await wire.hello()
        done = await wire.use("remember", content="quiet")
        await end(wire, None)
        assert await wire.rest() == []

    assert done["structuredContent"]["status"] == "new"
    assert len(wire.lines) == 2
    told = wire.stderr.read_text(encoding="utf-8")
    for stray in (
        "stray at import of agent_mem.storage.sqlite",
        "stray at import of mcp.server",
        "stray bytes at import",
        "stray at run time",
        "stray bytes at run time",
        "stray of a child",
    ):
        assert stray in told


async def test_logs_go_to_stderr(env: dict[str, str], tmp_path: Path) -> None:
    async with wired(env | {"AGENT_MEM_LOG_LEVEL": "DEBUG"}, tmp_path) as wire:
        await wire.hello()
        await wire.write_line(b"junk")
        await wire.read()
        await end(wire, None)

    assert len(wire.lines) == 2
    assert "DEBUG" in wire.stderr.read_text(encoding="utf-8")


@pytest.mark.parametrize(("number", "code"), SIGNALS)
async def test_a_signal_closes_the_database_before_the_process_leaves(
    number: signal.Signals, code: int, settings: Settings
) -> None:
    left: list[tuple[int, bool]] = []
    wal = settings.db.with_name("memory.db-wal")
    done = anyio.Event()

    def leave(status: int) -> None:
        left.append((status, wal.exists()))
        done.set()

    async with Opening(settings) as opening, anyio.create_task_group() as tasks:
        await opening()
        assert wal.exists()
        tasks.start_soon(leave_on_signal, opening, leave)
        await anyio.wait_all_tasks_blocked()
        os.kill(os.getpid(), number)
        with anyio.fail_after(30):
            await done.wait()
        tasks.cancel_scope.cancel()

    assert left == [(code, False)]


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_before_the_server_runs_a_signal_ends_the_process(
    number: signal.Signals, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[int] = []
    monkeypatch.setattr(os, "_exit", left.append)

    serve.leave(number, None)

    assert left == [code]


def test_taking_stdout_leaves_the_wire_to_the_server_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, write = os.pipe()
    before = os.dup(1)
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    os.dup2(write, 1)
    try:
        wire = serve.take_stdout()
        os.write(1, b"stray")
        print("stray", flush=True)  # noqa: T201 - that it goes elsewhere is the point
        os.write(wire, b"message")
        inherited = os.get_inheritable(wire)
    finally:
        os.dup2(before, 1)

    for descriptor in (write, wire, before):
        os.close(descriptor)
    with os.fdopen(read, "rb") as pipe:
        assert pipe.read() == b"message"
    assert not inherited


async def test_what_is_remembered_is_found_by_its_meaning_within_seconds(
    env: dict[str, str], tmp_path: Path
) -> None:
    async with wired(env, tmp_path) as wire:
        await wire.hello()
        await wire.use("remember", content=MEMORIES[0])
        with anyio.fail_after(30):
            while MEMORIES[0] not in text_of(await wire.use("recall", query=QUESTION)):
                pass
        assert await end(wire, None) == 0

    assert wire.stderr.read_text(encoding="utf-8") == ""


@pytest.mark.parametrize(("how", "code"), ENDS)
async def test_the_end_does_not_wait_for_what_is_embedded(
    how: signal.Signals | None, code: int, env: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    async with open_app(settings) as app:
        await remember(app, *(f"{MEMORIES[0] * 8} {n}" for n in range(400)))
    async with wired(env, tmp_path) as wire:
        await wire.hello()
        first = text_of(await wire.use("recall", query="llamas"))
        with anyio.fail_after(30):
            while "until they are embedded" not in text_of(await wire.use("recall", query="x")):
                pass
        assert await end(wire, how) == code

    with closing(sqlite3.connect(settings.db)) as db:
        ((done,),) = db.execute("SELECT count(*) FROM memory_index")
    assert done < 400
    assert "Found by words alone: the encoder is still loading." in first
    assert wire.stderr.read_text(encoding="utf-8") == ""
    assert faults(settings.db) == []
