"""Several server processes on one file: all at once, killed at random, and on a full disk."""

import hashlib
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from conftest import Call
from helpers_file import faults, missing
from helpers_wire import SERVE, Wire, text_of, wired

from agent_mem.app import App
from agent_mem.config import Settings
from agent_mem.errors import StorageFull
from agent_mem.storage.statements import Statement, Transaction

pytestmark = pytest.mark.anyio

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")

SERVERS = 8
WRITES = 200
LONG = "A sentence that fills the disk, again and again and again. " * 60
FULL = "The disk is full: nothing was written, and what is stored can still be read."


class Writer:
    """A client that remembers so many things, through as many servers as that takes."""

    def __init__(self, number: int, env: Mapping[str, str], folder: Path) -> None:
        self.number = number
        self.env = env
        self.folder = folder
        self.wire: Wire | None = None
        self.ids: list[str] = []
        self.said: set[str] = set()

    async def connected(self) -> None:
        """Write through one server, until all is written or the server is gone."""
        async with wired(self.env, self.folder) as wire:
            self.wire = wire
            await wire.hello()
            while len(self.ids) < WRITES:
                result = await wire.use("remember", content=self.next())
                assert not result["isError"], text_of(result)
                self.ids.append(result["structuredContent"]["id"])
                self.said.add(result["structuredContent"]["status"])
        self.wire = None

    def next(self) -> str:
        """Make the next memory: like no other, and the same when it has to be sent again."""
        words = hashlib.sha256(f"{self.number} {len(self.ids)}".encode()).hexdigest()
        return f"Writer {self.number} keeps {words[:16]} under {words[16:32]}."

    async def persist(self) -> None:
        """Write it all, with a new server whenever one is killed."""
        while len(self.ids) < WRITES:
            try:
                await self.connected()
            except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                continue

    def kill(self) -> bool:
        """Kill the server as a crash would, if there is one that has answered."""
        if self.wire is None or len(self.wire.lines) < 2:
            return False
        self.wire.process.kill()
        return True


def stored(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM memories").fetchone()[0]


async def test_eight_servers_at_once_on_a_file_that_is_not_there_lose_nothing(
    env: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    writers = [Writer(number, env, tmp_path) for number in range(SERVERS)]

    async with anyio.create_task_group() as tasks:
        for writer in writers:
            tasks.start_soon(writer.connected)

    answered = [key for writer in writers for key in writer.ids]
    assert len(set(answered)) == len(answered) == stored(settings.db) == SERVERS * WRITES
    assert set[str].union(*(writer.said for writer in writers)) == {"new"}
    assert missing(settings.db, answered) == set()
    assert faults(settings.db) == []


@posix
async def test_every_answered_write_is_there_when_a_server_is_killed_every_second(
    env: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    writers = [Writer(number, env, tmp_path) for number in range(SERVERS)]
    killed = 0

    async def kill_one_every_second() -> None:
        nonlocal killed
        draw = random.Random(8)  # noqa: S311 - whom it meets need not be unpredictable
        while True:
            await anyio.sleep(1)
            killed += draw.choice(writers).kill()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kill_one_every_second)
        async with anyio.create_task_group() as writing:
            for writer in writers:
                writing.start_soon(writer.persist)
        tasks.cancel_scope.cancel()

    answered = [key for writer in writers for key in writer.ids]
    assert killed >= 3
    assert len(set(answered)) == stored(settings.db) == SERVERS * WRITES
    assert missing(settings.db, answered) == set()
    assert faults(settings.db) == []


@posix
async def test_what_was_answered_before_a_kill_is_there_whole(
    env: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    answered: list[str] = []
    for answers in (1, 7, 19):
        async with wired(env, tmp_path) as wire:
            await wire.hello()
            for number in range(60):
                await wire.call("remember", content=f"{answers} and {number}. {LONG}")
            for _ in range(answers):
                result = (await wire.read())["result"]
                answered.append(result["structuredContent"]["id"])
            wire.process.kill()
            found = [m["result"]["structuredContent"]["id"] for m in await wire.rest()]
        answered += found
        assert faults(settings.db) == []

    assert missing(settings.db, answered) == set()
    assert len(answered) <= stored(settings.db) < 180


def asking(pragma: str) -> Transaction[int]:
    """Ask SQLite itself."""
    rows = yield Statement(pragma, {})
    return int(next(iter(tuple(rows[0]))))


async def test_when_no_space_is_left_nothing_is_written_and_reading_goes_on(
    app: App, call: Call
) -> None:
    first = await call("remember", content=f"Number one. {LONG}")
    used = await app.store.engine.read(asking("PRAGMA page_count"))
    await app.store.engine.write(asking(f"PRAGMA max_page_count = {used}"))
    with pytest.raises(StorageFull) as full:
        await call("remember", content=f"Number two. {LONG}", session="new")
    found = await call("recall", query="Number")

    assert str(full.value) == FULL
    assert [hit["id"] for hit in found["hits"]] == [first["id"]]
    assert faults(app.settings.db) == []

    await app.store.engine.write(asking("PRAGMA max_page_count = 1000000"))
    again = await call("remember", content=f"Number two. {LONG}", session="new")
    assert again["status"] == "new"


async def filled(wire: Wire) -> tuple[list[str], str]:
    """Write until the server refuses; give the ids and the refusal."""
    ids: list[str] = []
    while not (result := await wire.use("remember", content=f"Number {len(ids)}. {LONG}"))[
        "isError"
    ]:
        ids.append(result["structuredContent"]["id"])
    return ids, text_of(result)


UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")
MOUNT = 'mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@"'


@pytest.fixture
def small_disk(tmp_path: Path) -> tuple[str, ...]:
    """Give a command's beginning that runs it where `disk` is a file system of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = (*UNSHARE, "sh", "-c", MOUNT, str(disk))
    if not shutil.which("unshare") or subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("this system lets nobody mount a file system in a user namespace")
    return command


def seen_by(wire: Wire, folder: Path) -> Path:
    """Find a folder as a process sees it, whose mounts are its own."""
    return Path(f"/proc/{wire.process.pid}/root{folder}")


async def test_a_full_disk_is_told_in_one_sentence_and_costs_only_the_write(
    small_disk: tuple[str, ...], env: dict[str, str], tmp_path: Path
) -> None:
    db = tmp_path / "disk" / "memory.db"
    # Embedding in the background would give the log's space back between two writes.
    env |= {"AGENT_MEM_DB": str(db), "AGENT_MEM_EMBEDDER": "none"}
    async with wired(env, tmp_path, (*small_disk, *SERVE)) as wire:
        await wire.hello()
        await wire.use("remember", content="Ana drinks green tea.")
        disk = seen_by(wire, db.parent)
        (disk / "filler").write_bytes(b"x" * 1_000_000)
        ids, sentence = await filled(wire)
        refused = await wire.use("remember", content=f"One more. {LONG}")
        found = await wire.use("recall", query="What does Ana drink?")
        for file in disk.glob("memory.db*"):
            shutil.copyfile(file, tmp_path / file.name)
        (disk / "filler").unlink()
        again = await wire.use("remember", content="There is room again.")

    assert sentence == text_of(refused) == FULL
    assert "green tea" in text_of(found)
    assert missing(tmp_path / "memory.db", ids) == set()
    assert stored(tmp_path / "memory.db") == len(ids) + 1
    assert faults(tmp_path / "memory.db") == []
    assert again["structuredContent"]["status"] == "new"


LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
sys.argv = ["agent_mem", "serve"]
runpy.run_module("agent_mem", run_name="__main__")
"""


@posix
async def test_a_write_that_the_system_refuses_costs_only_the_write(
    env: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    async with wired(env, tmp_path, (sys.executable, "-c", LIMITED)) as wire:
        await wire.hello()
        ids, sentence = await filled(wire)
        found = await wire.use("recall", query="What fills the disk?")

    assert sentence == f"{settings.db}: disk I/O error."
    assert "fills the disk" in text_of(found)
    assert missing(settings.db, ids) == set()
    assert stored(settings.db) == len(ids)
    assert faults(settings.db) == []
