"""Programs that tests run beside themselves: `python helpers_writer.py WHAT FILE [NUMBER]`.

Each says `ready` when it has begun, and ends when its stdin is closed.
"""

import os
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio

from agent_mem.storage.lock import FileLock
from agent_mem.storage.sqlite import SQLite, connect
from agent_mem.storage.statements import Statement, Transaction

ended = threading.Event()


def asking(sql: str, **params: object) -> Transaction[None]:
    yield Statement(sql, params)


def ready() -> None:
    """Say so, and notice when stdin is closed."""
    print("ready", flush=True)  # noqa: T201 - the test reads it
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()


def write(file: Path, number: str) -> None:
    anyio.run(writing, file, number)


async def writing(file: Path, number: str) -> None:
    """Write row after row, with a checkpoint after each; say how many were acknowledged."""
    async with SQLite.open(file) as engine:
        await engine.write(asking("PRAGMA wal_autocheckpoint = 1"))
        ready()
        written = 0
        while not ended.is_set():
            row = {"id": int(number), "n": written, "bytes": os.urandom(20)}
            await engine.write(asking("INSERT INTO rows VALUES (:id, :n, :bytes)", **row))
            written += 1
    print(written)  # noqa: T201 - the test reads it


def checkpoint(file: Path) -> None:
    """Checkpoint all the time, in turn with the writers."""
    with closing(FileLock(lock_of(file))) as lock, closing(connect(file)) as connection:
        ready()
        while not ended.is_set():
            with lock:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def count(file: Path, times: str) -> None:
    """Add to the number in a file, which loses what others add unless they are kept out."""
    with closing(FileLock(lock_of(file))) as lock:
        ready()
        ended.wait()
        for _ in range(int(times)):
            with lock:
                file.write_text(str(int(file.read_text(encoding="utf-8")) + 1), encoding="utf-8")


def hold(file: Path) -> None:
    """Hold the lock."""
    with closing(FileLock(lock_of(file))) as lock, lock:
        ready()
        ended.wait()


def lock_of(file: Path) -> Path:
    return file.with_name(file.name + ".lock")


PROGRAMS: dict[str, Callable[..., None]] = {
    "write": write,
    "checkpoint": checkpoint,
    "count": count,
    "hold": hold,
}

if __name__ == "__main__":
    what, where, *rest = sys.argv[1:]
    PROGRAMS[what](Path(where), *rest)
