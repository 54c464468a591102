"""Try to corrupt a file by SQLite's WAL-reset race, with the lock between processes and without.

    python bench/walreset.py [SECONDS]

Two writers and three checkpointers, a process each, work on one file through agent-mem's own
connections and transactions. Every round has a new file and four seconds; a round is bad if
`PRAGMA integrity_check` finds a fault, a process is told that the file is malformed, or a row is
missing that was acknowledged. The race is in every SQLite before 3.51.3, 3.50.7 and 3.44.6. Run
without the lock it is the negative control: where that finds no bad round, either the SQLite is a
later one, or the seconds were too few to say anything.
"""

import multiprocessing
import sqlite3
import sys
import tempfile
import time
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from multiprocessing.synchronize import Event
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, cast

from agent_mem.storage.lock import FileLock
from agent_mem.storage.sqlite import connect, sound, within

WRITERS = 2
CHECKPOINTERS = 3
ROUND = 4.0
FAST = Path("/dev/shm")  # noqa: S108 - a file system in memory makes the most rounds of a second

Turn = AbstractContextManager[object]
Acknowledged = SimpleQueue[tuple[int, int]]


def turn(path: Path, *, locked: bool, stack: ExitStack) -> Turn:
    """Give what a process holds while it writes: the lock, or nothing."""
    if not locked:
        return nullcontext()
    return stack.enter_context(closing(FileLock(path.with_name(path.name + ".lock"))))


def write(path: Path, locked: bool, stop: Event, told: Acknowledged, me: int) -> None:
    """Insert row after row; tell how many were acknowledged."""
    written = 0
    with ExitStack() as stack:
        mine = turn(path, locked=locked, stack=stack)
        connection = stack.enter_context(closing(connect(path)))
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        try:
            while not stop.is_set():
                with mine, within(connection, "BEGIN IMMEDIATE"):
                    row = (me, written)
                    connection.execute("INSERT INTO rows VALUES (?, ?, randomblob(20))", row)
                written += 1
        except sqlite3.DatabaseError as error:
            print(f"    writer {me}, after {written} rows: {error}", flush=True)
    told.put((me, written))


def checkpoint(path: Path, locked: bool, stop: Event) -> None:
    """Move what is in the log into the file, all the time."""
    with ExitStack() as stack:
        mine = turn(path, locked=locked, stack=stack)
        connection = stack.enter_context(closing(connect(path)))
        while not stop.is_set():
            try:
                with mine:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            except sqlite3.DatabaseError as error:
                print(f"    checkpointer: {error}", flush=True)
                return


class Round(NamedTuple):
    rows: int
    lost: int
    fault: str


def played(folder: Path, *, locked: bool) -> Round:
    """Play one round, and look at what is left."""
    path = folder / "memory.db"
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE rows (me, n, bytes, PRIMARY KEY (me, n))")
        connection.execute("CREATE INDEX rows_bytes ON rows (bytes)")
    context = multiprocessing.get_context("spawn")
    stop, told = context.Event(), cast("Acknowledged", context.SimpleQueue())
    processes = [
        *(
            context.Process(target=write, args=(path, locked, stop, told, n))
            for n in range(WRITERS)
        ),
        *(
            context.Process(target=checkpoint, args=(path, locked, stop))
            for _ in range(CHECKPOINTERS)
        ),
    ]
    for process in processes:
        process.start()
    time.sleep(ROUND)
    stop.set()
    acknowledged = sum(told.get()[1] for _ in range(WRITERS))
    for process in processes:
        process.join()
    return looked_at(path, acknowledged)


def looked_at(path: Path, acknowledged: int) -> Round:
    """Count what is missing, and find the first fault."""
    try:
        fault = sound(path)
        with closing(connect(path, read_only=True)) as connection:
            (kept,) = connection.execute("SELECT count(*) FROM rows NOT INDEXED").fetchone()
    except sqlite3.DatabaseError as error:
        return Round(acknowledged, acknowledged, str(error))
    return Round(acknowledged, acknowledged - kept, fault)


def play(seconds: float, *, locked: bool, folder: str) -> list[Round]:
    """Play rounds for so long; say what each bad one had."""
    rounds: list[Round] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            rounds.append(played(Path(place), locked=locked))
        if bad(rounds[-1]):
            fault = " ".join(rounds[-1].fault.split())
            print(f"    lost {rounds[-1].lost}: {fault[:80]}", flush=True)
    return rounds


def bad(played: Round) -> bool:
    return bool(played.lost) or played.fault != "ok"


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    folder = str(FAST) if FAST.is_dir() else tempfile.gettempdir()
    print(f"SQLite {sqlite3.sqlite_version}, {seconds:g} s each, in {folder}")
    lines: list[str] = []
    for name, locked in (("with the lock", True), ("without", False)):
        rounds = play(seconds, locked=locked, folder=folder)
        count, lost = sum(map(bad, rounds)), sum(r.lost for r in rounds)
        rows = sum(r.rows for r in rounds)
        lines.append(f"| {name} | {len(rounds)} | {rows:,} | {count} | {lost:,} |")
    print("\n|  | rounds | rows acknowledged | bad rounds | rows lost |")
    print("| --- | --- | --- | --- | --- |", *lines, sep="\n")


if __name__ == "__main__":
    main()
