"""Bound the pull's lag while writers never idle: `python bench/soak.py [--seconds 60] [--control]`.

Two machines on a PostgreSQL of their own, each with two writers that write one memory after the
other without a pause, a process that syncs, and one that looks every ten milliseconds at what has
come from the other machine. A row's lag is the time from its stamp, inside the transaction that
writes it, until it is seen on the other machine; what has not come a few seconds after the last
write counts with its age. The control pushes for as long as there is
something to send before it pulls again.
"""

import argparse
import asyncio
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final

import anyio
from pydantic import SecretStr

from agent_mem.app import open_app
from agent_mem.cli.trial import trial
from agent_mem.config import Settings
from agent_mem.records.memory import Memory
from agent_mem.storage.sync import outgoing

MACHINES: Final = ("one", "two")
WRITERS: Final = 2
LOOK: Final = 0.01
WARM: Final = 5.0
"""Seconds until rows count: processes begin one after the other."""
SETTLED: Final = 5.0
"""Seconds after the last write in which what is under way arrives, and counts."""
MILLI: Final = 1_000
NEW: Final = "SELECT rowid, id FROM memories WHERE rowid > ? AND agent_name <> ? ORDER BY rowid"
OWN: Final = "SELECT id, updated_at FROM memories WHERE agent_name = ?"


def settings_of(folder: Path, machine: str, url: str) -> Settings:
    return Settings(
        db=folder / machine / "memory.db", server=SecretStr(url), embedder="none", agent=machine
    )


def write(settings: Settings, ended: Event) -> None:
    """Write without a pause."""

    async def writing() -> None:
        async with open_app(settings) as app:
            number = 0
            while not ended.is_set():
                text = f"Parcel {number} of {settings.agent} has left the harbour."
                await app.store.put(Memory(agent_name=str(settings.agent), content=text))
                number += 1

    asyncio.run(writing())


def follow(settings: Settings, ended: Event, control: bool) -> None:
    """Sync in the background, as a server does."""
    if control:
        outgoing.BATCHES = sys.maxsize  # pyright: ignore[reportAttributeAccessIssue] - to see what it is for

    async def following() -> None:
        async with open_app(settings) as app, anyio.create_task_group() as tasks:
            assert app.syncer  # noqa: S101 - the settings have a server
            tasks.start_soon(app.syncer.run)
            await anyio.to_thread.run_sync(ended.wait)
            tasks.cancel_scope.cancel()

    asyncio.run(following())


def look(settings: Settings, ended: Event, out: Path) -> None:
    """Note when each row of the other machine is first seen."""
    seen: dict[str, str] = {}
    last = 0
    with closing(sqlite3.connect(settings.db)) as db:
        while not ended.wait(LOOK):
            rows = db.execute(NEW, (last, settings.agent)).fetchall()
            now = datetime.now(UTC).isoformat()
            seen |= {key: now for _, key in rows}
            last = rows[-1][0] if rows else last
    out.write_text(json.dumps(seen), encoding="utf-8")


def lags(settings: Settings, other: Path, since: datetime, ended: datetime) -> list[float]:
    """Tell how late each row of a machine was at the other one."""
    seen = json.loads(other.read_text(encoding="utf-8"))
    with closing(sqlite3.connect(settings.db)) as db:
        rows = db.execute(OWN, (settings.agent,)).fetchall()
    stamped = [(key, datetime.fromisoformat(at)) for key, at in rows]
    at = {key: datetime.fromisoformat(when) for key, when in seen.items()}
    return [(at.get(key, ended) - when).total_seconds() for key, when in stamped if when > since]


async def found(*every: Settings) -> None:
    """Make the files and the tables before all of them are opened at once."""
    for settings in every:
        async with open_app(settings) as app:
            assert app.syncer  # noqa: S101 - the settings have a server
            await app.syncer.once()


def soak(url: str, folder: Path, seconds: float, *, control: bool) -> list[float]:
    """Run all processes for a while; give the lags in seconds."""
    context = get_context("spawn")
    stop, ended = context.Event(), context.Event()
    every = [settings_of(folder, machine, url) for machine in MACHINES]
    asyncio.run(found(*every))
    writing = [
        context.Process(target=write, args=(each, stop)) for each in every for _ in range(WRITERS)
    ]
    outs = [each.db.with_name("lags.json") for each in every]
    others = [context.Process(target=follow, args=(each, ended, control)) for each in every]
    others += [
        context.Process(target=look, args=(each, ended, out))
        for each, out in zip(every, outs, strict=True)
    ]
    for process in [*others, *writing]:
        process.start()
    time.sleep(WARM)
    since = datetime.now(UTC)
    time.sleep(seconds)
    stop.set()
    time.sleep(SETTLED)
    ended.set()
    at = datetime.now(UTC)
    for process in [*writing, *others]:
        process.join()
    pairs = zip(every, reversed(outs), strict=True)
    return [lag for each, out in pairs for lag in lags(each, out, since, at)]


def line(name: str, lags: Sequence[float], seconds: float) -> str:
    kept = sorted(lags)
    at = [MILLI * kept[int(share * (len(kept) - 1))] for share in (0.95, 0.99, 1)]
    cells = [MILLI * statistics.median(kept), *at]
    shown = " | ".join(f"{cell:,.0f}" for cell in cells)
    return f"| {name} | {len(kept):,} | {len(kept) / seconds:,.0f} | {shown} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--control", action="store_true")
    options = parser.parse_args()
    print("| | rows | rows/s | lag p50, ms | p95 | p99 | most |")
    print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for control in (False, True) if options.control else (False,):
        with trial() as server, tempfile.TemporaryDirectory() as name:
            lags = soak(server.url(), Path(name), options.seconds, control=control)
        print(line("control" if control else "writers never idle", lags, options.seconds))


if __name__ == "__main__":
    main()
