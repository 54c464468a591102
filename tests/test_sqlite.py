"""What holds for the SQLite file alone."""

import shutil
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path

import anyio
import anyio.from_thread
import pytest

from agent_mem.config import Settings
from agent_mem.errors import StorageBusy, StorageDamaged, StorageError, UnsafePlace
from agent_mem.storage import sqlite
from agent_mem.storage.lock import FileLock
from agent_mem.storage.sqlite import SQLite
from agent_mem.storage.statements import Statement, Transaction

pytestmark = pytest.mark.anyio

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")


def asking(sql: str) -> Transaction[list[object]]:
    rows = yield Statement(sql, {})
    return [next(iter(tuple(row))) for row in rows]


@posix
async def test_only_the_owner_can_read_the_files(settings: Settings) -> None:
    async with SQLite.open(settings.db) as engine:
        await engine.write(asking("UPDATE replica SET clock = clock + 1"))
        modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in settings.db.parent.iterdir()}

    assert modes.keys() == {"memory.db", "memory.db.lock", "memory.db-wal", "memory.db-shm"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(settings.db.parent.stat().st_mode) == 0o700


@posix
async def test_a_folder_that_was_there_keeps_its_mode(settings: Settings) -> None:
    settings.db.parent.mkdir(mode=0o755)

    async with SQLite.open(settings.db):
        pass

    assert stat.S_IMODE(settings.db.parent.stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),  # FULL: what is acknowledged survives a power cut
        ("foreign_keys", 1),
        ("trusted_schema", 0),
        ("busy_timeout", 10_000),
        ("mmap_size", 0),
    ],
)
async def test_a_connection_is_set_to_lose_nothing(
    settings: Settings, pragma: str, value: object
) -> None:
    async with SQLite.open(settings.db) as engine:
        assert await engine.write(asking(f"PRAGMA {pragma}")) == [value]
        assert await engine.read(asking(f"PRAGMA {pragma}")) == [value]


async def test_macos_is_told_to_flush_its_disk(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    sqlite.prepare(settings.db)

    with closing(sqlite.connect(settings.db)) as connection:
        assert connection.execute("PRAGMA fullfsync").fetchone()[0] == 1


async def test_a_reader_cannot_write(settings: Settings) -> None:
    async with SQLite.open(settings.db) as engine:
        with pytest.raises(StorageError, match="readonly"):
            await engine.read(asking("DELETE FROM outbox"))


async def test_a_statement_that_fails_takes_back_the_whole_transaction(settings: Settings) -> None:
    def failing() -> Transaction[None]:
        yield Statement("INSERT INTO changes (uri) VALUES ('x')", {})
        yield Statement("SELECT nonsense", {})

    async with SQLite.open(settings.db) as engine:
        with pytest.raises(StorageError, match="no such column: nonsense"):
            await engine.write(failing())

        assert await engine.read(asking("SELECT count(*) FROM changes")) == [0]


async def test_a_foreign_program_that_holds_the_file_is_waited_for_and_then_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sqlite.PRAGMAS, "busy_timeout", 50)
    async with SQLite.open(settings.db) as engine:
        with closing(sqlite3.connect(settings.db)) as other:
            other.execute("BEGIN IMMEDIATE")

            with pytest.raises(StorageBusy, match="Another process"):
                await engine.write(asking("UPDATE replica SET clock = 1"))

        assert await engine.write(asking("UPDATE replica SET clock = 1 RETURNING clock")) == [1]


async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(settings: Settings) -> None:
    settings.db.parent.mkdir()
    settings.db.write_bytes(b"not a database, but someone's letter. " * 200)

    with pytest.raises(StorageDamaged, match="agent-mem doctor"):
        async with SQLite.open(settings.db):
            pass

    assert settings.db.read_bytes().startswith(b"not a database")


async def test_two_engines_of_one_file_see_each_other(settings: Settings) -> None:
    async with SQLite.open(settings.db) as one, SQLite.open(settings.db) as other:
        await one.write(asking("INSERT INTO changes (uri) VALUES ('x')"))

        assert await other.read(asking("SELECT uri FROM changes")) == ["x"]


async def test_a_copy_of_a_file_gets_a_name_of_its_own(settings: Settings) -> None:
    async with SQLite.open(settings.db) as engine:
        first = await engine.read(asking("SELECT id FROM replica"))
    copy = settings.db.with_name("copy.db")
    shutil.copy(settings.db, copy)

    async with SQLite.open(copy) as engine:
        assert await engine.read(asking("SELECT id FROM replica")) != first
    async with SQLite.open(settings.db) as engine:
        assert await engine.read(asking("SELECT id FROM replica")) == first


async def test_a_file_keeps_its_name_as_a_replica(settings: Settings) -> None:
    async with SQLite.open(settings.db) as engine:
        first = await engine.read(asking("SELECT id FROM replica"))
    async with SQLite.open(settings.db) as engine:
        again = await engine.read(asking("SELECT id FROM replica"))

    assert first == again
    assert len(first) == 1


async def test_closing_leaves_one_file_and_the_lock(settings: Settings) -> None:
    async with SQLite.open(settings.db) as engine:
        await engine.write(asking("INSERT INTO changes (uri) VALUES ('x')"))

    assert {p.name for p in settings.db.parent.iterdir()} == {"memory.db", "memory.db.lock"}
    assert sqlite.sound(settings.db) == "ok"


async def test_closing_waits_for_the_readers_that_are_under_way(settings: Settings) -> None:
    """A connection that was closed under a reader would take the whole process down."""
    begun = anyio.Event()
    counted: list[object] = []

    def counting() -> Transaction[list[object]]:
        yield Statement("SELECT 1", {})
        anyio.from_thread.run_sync(begun.set)
        return (
            yield from asking(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000)"
                " SELECT count(*) FROM n"
            )
        )

    async def reading(engine: SQLite) -> None:
        counted.extend(await engine.read(counting()))

    async with anyio.create_task_group() as group, SQLite.open(settings.db) as engine:
        group.start_soon(reading, engine)
        await begun.wait()
        assert counted == []

    assert counted == [500_000]


async def test_facts_count_the_log_too(settings: Settings) -> None:
    async with SQLite.open(settings.db) as engine:
        await engine.write(asking("INSERT INTO changes (uri) VALUES ('x')"))
        facts = sqlite.facts(settings.db)
        sizes = [p.stat().st_size for p in Path(settings.db.parent).iterdir()]

    assert facts == {"sqlite": sqlite3.sqlite_version, "bytes": sum(sizes)}


async def test_a_home_in_the_path_is_understood(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))

    async with SQLite.open(Path("~/deep/er/memory.db")):
        pass

    assert (tmp_path / "deep" / "er" / "memory.db").exists()


async def test_the_database_of_another_program_is_left_as_it_is(settings: Settings) -> None:
    settings.db.parent.mkdir()
    with closing(sqlite3.connect(settings.db)) as other:
        other.execute("CREATE TABLE letters (text)")

    with pytest.raises(StorageError, match="is a database of another program"):
        async with SQLite.open(settings.db):
            pass

    with closing(sqlite3.connect(settings.db)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("letters",)]


async def test_reading_does_not_wait_for_a_process_that_holds_the_lock(settings: Settings) -> None:
    async with SQLite.open(settings.db):
        pass
    lock = FileLock(settings.db.with_name("memory.db.lock"))
    with closing(lock), lock, anyio.fail_after(10):
        async with SQLite.open(settings.db) as engine:
            assert await engine.read(asking("SELECT count(*) FROM outbox")) == [0]


@posix
async def test_a_home_that_nobody_has_is_refused_in_a_sentence() -> None:
    with pytest.raises(UnsafePlace, match="set AGENT_MEM_DB"):
        async with SQLite.open(Path("~nobody-of-this-name/memory.db")):
            pass
