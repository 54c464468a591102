"""Writers and checkpoints of several processes take turns, so that no SQLite can lose a page.

SQLite before 3.51.3 (3.50.7, 3.44.6) can corrupt a file when a checkpoint meets writers at the
moment at which the log starts anew. It takes luck to see: `bench/walreset.py` tries, with our lock
and without it.
"""

import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import anyio
import pytest
from helpers_writer import lock_of

from agent_mem.app import App
from agent_mem.config import Settings
from agent_mem.records.memory import Memory
from agent_mem.storage.lock import FileLock
from agent_mem.storage.sqlite import SQLite, sound
from agent_mem.storage.statements import Statement, Transaction

pytestmark = pytest.mark.anyio

HELPER = Path(__file__).with_name("helpers_writer.py")
WRITERS = 3
CHECKPOINTERS = 2
ROWS = 200
"""Rows that the file has before the writers are told to stop."""


@contextmanager
def running(*arguments: str | Path) -> Generator[subprocess.Popen[str]]:
    """Run one of the helper's programs, from when it is ready until it has ended."""
    command = [sys.executable, str(HELPER), *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def asking(sql: str) -> Transaction[None]:
    yield Statement(sql, {})


def writers_with_enough(file: Path) -> int:
    enough = "SELECT id FROM rows GROUP BY id HAVING max(n) >= ?"
    with closing(sqlite3.connect(file)) as connection:
        return len(connection.execute(enough, [ROWS]).fetchall())


async def test_no_row_is_lost_however_often_processes_write_and_checkpoint(
    settings: Settings,
) -> None:
    async with SQLite.open(settings.db) as engine:
        await engine.write(asking("CREATE TABLE rows (id, n, bytes, PRIMARY KEY (id, n))"))
        await engine.write(asking("CREATE INDEX rows_bytes ON rows (bytes)"))
    with ExitStack() as stack:
        for _ in range(CHECKPOINTERS):
            stack.enter_context(running("checkpoint", settings.db))
        writers = [
            stack.enter_context(running("write", settings.db, str(number)))
            for number in range(WRITERS)
        ]
        with anyio.fail_after(60):
            while writers_with_enough(settings.db) < WRITERS:  # noqa: ASYNC110 - others write it
                await anyio.sleep(0.05)
        acknowledged = {n: int(w.communicate()[0]) for n, w in enumerate(writers)}

    assert sound(settings.db) == "ok"
    with closing(sqlite3.connect(settings.db)) as connection:
        kept = dict(connection.execute("SELECT id, count(*) FROM rows GROUP BY id").fetchall())
    assert kept == acknowledged


def test_the_lock_keeps_processes_out_of_each_others_way(tmp_path: Path) -> None:
    number = tmp_path / "number"
    number.write_text("0", encoding="utf-8")

    with ExitStack() as stack:
        counting = [stack.enter_context(running("count", number, "2000")) for _ in range(3)]
        for process in counting:
            assert process.stdin is not None
            process.stdin.close()
        codes = [process.wait(timeout=60) for process in counting]

    assert codes == [0, 0, 0]
    assert number.read_text(encoding="utf-8") == "6000"


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    with running("hold", tmp_path / "file") as process:
        process.kill()

    with closing(FileLock(lock_of(tmp_path / "file"))) as lock, lock:
        assert process.returncode != 0


async def test_a_write_waits_for_the_lock_and_a_read_does_not(app: App) -> None:
    order: list[str] = []

    async def write() -> None:
        await app.store.put(Memory(agent_name="a", content="x"))
        order.append("written")

    async with anyio.create_task_group() as tasks:
        with closing(FileLock(lock_of(app.settings.db))) as lock, lock:
            tasks.start_soon(write)
            for _ in range(50):
                await app.store.engine.read(asking("SELECT count(*) FROM memories"))
            order.append("released")

    assert order == ["released", "written"]


async def test_a_file_has_one_lock_by_whatever_name_it_is_opened(settings: Settings) -> None:
    settings.db.parent.mkdir()
    other = settings.db.with_name("other.db")
    other.symlink_to(settings.db)

    async with SQLite.open(other) as engine:
        assert engine.path == settings.db
    assert {path.name for path in settings.db.parent.iterdir()} == {
        "memory.db",
        "memory.db.lock",
        "other.db",
    }
