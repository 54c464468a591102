"""Have a behavior due every second on several servers, kill them, and see whether it runs once.

    python bench/once.py [--seconds 60] [--every 5] [--files 1] [--servers 4] [--control] [--json]

With one file its servers share that; with two, each has a PostgreSQL beside it that they share. The
process that is at work is killed (kill -9) every few seconds, and another is started for it. Every
due time must then have one run that is complete, or failed with a reason; never may two be
complete, and never may two be at work on the same due time. With `--control` nothing keeps them
apart: then there must be two, or the run proves nothing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import anyio
from once_worker import ACTION, Journal
from pydantic import SecretStr

from agent_mem.app import App, open_app
from agent_mem.cli.trial import trial
from agent_mem.config import Settings
from agent_mem.records.behavior import Behavior, behavior_id
from agent_mem.records.record import now
from agent_mem.records.run import Run

WORKER: Final = Path(__file__).with_name("once_worker.py")
REST: Final = 6.0
"""Seconds after the last kill, in which what was broken off is tried again."""
MEETING: Final = 1.5
"""Seconds that a kill waits for one that is at work."""
PATIENCE: Final = 45.0
"""Seconds after which all that was broken off must have ended, leases on the server included."""


class Play:
    """One run: its files, its processes and their journal."""

    def __init__(self, folder: Path, files: int, servers: int, *, control: bool) -> None:
        self.files = [folder / f"machine{number}" / "memory.db" for number in range(files)]
        self.journal = folder / "journal"
        self.kills = 0
        self._say = Journal(self.journal).say
        self.control = "control" if control else ""
        self._servers = servers
        self._url = ""
        self._processes: list[tuple[Path, subprocess.Popen[bytes]]] = []

    def settings(self, file: Path) -> Settings:
        return Settings(
            db=file, embedder="none", server=SecretStr(self._url) if self._url else None
        )

    async def begin(self, url: str) -> None:
        """Register the behavior, and start the servers."""
        self._url = url
        async with open_app(self.settings(self.files[0])) as app:
            tick = Behavior(
                id=behavior_id(app.store.owner, "a", "tick"),
                agent_name="a",
                name="tick",
                action=ACTION,
                trigger_type="schedule",
                schedule="* * * * * *",
                overlap="queue",
                retries=5,
                backoff_s=0,
                scheduled_at=now(),
            )
            await app.store.put(tick)
            if app.syncer:
                await app.syncer.once()
        for number in range(self._servers):
            self._start(self.files[number % len(self.files)])

    def at_work(self) -> bool:
        """Tell whether what was said last is that one has begun."""
        return self.lines()[-1:] != [] and self.lines()[-1].startswith("begin")

    def kill(self) -> None:
        """Kill the process that has begun last, and start another for it."""
        begun = [line.split() for line in self.lines() if line.startswith("begin")]
        pid = int(begun[-1][2]) if begun else 0
        for file, process in list(self._processes):
            if process.pid == pid:
                process.kill()
                process.wait()
                self._say("killed", pid)
                self._processes.remove((file, process))
                self.kills += 1
                self._start(file)

    def lines(self) -> list[str]:
        return self.journal.read_text(encoding="utf-8").splitlines()

    def end(self) -> None:
        for _, process in self._processes:
            process.kill()
            process.wait()

    def _start(self, file: Path) -> None:
        command = [sys.executable, WORKER, file, self.journal, self._url, self.control]
        process = subprocess.Popen(command, stdin=subprocess.PIPE)
        self._processes.append((file, process))


async def play(play: Play, url: str, seconds: float, every: float) -> dict[str, Any]:
    """Let it run, and kill; then look at what is there."""
    try:
        await play.begin(url)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await anyio.sleep(every)
            with anyio.move_on_after(MEETING):
                while not play.at_work():  # noqa: ASYNC110 - other processes write
                    await anyio.sleep(0.01)
            play.kill()
        last = now() - timedelta(seconds=1)
        await anyio.sleep(REST)
        with anyio.move_on_after(0 if play.control else PATIENCE):
            while unended(await runs(play), last):  # noqa: ASYNC110 - other processes write
                await anyio.sleep(1)
    finally:
        play.end()
    return judged(await runs(play), list(play.lines()), last) | {"kills": play.kills}


async def runs(play: Play) -> list[Run]:
    async with open_app(play.settings(play.files[0])) as app:
        if app.syncer:
            await app.syncer.once()
        return await listed(app)


async def listed(app: App) -> list[Run]:
    key = behavior_id(app.store.owner, "a", "tick")
    return await app.store.find(Run, "behavior_runs.of_behavior", behavior_id=key, limit=100_000)


def unended(found: list[Run], last: datetime) -> bool:
    """Look whether something that was due is under way, or is to be tried again."""
    due = [run for run in found if run.due_at and run.due_at <= last]
    return any(not run.ended() or run.retry_at for run in due)


def judged(found: list[Run], lines: list[str], last: datetime) -> dict[str, Any]:
    """Count what became of each due time."""
    of: defaultdict[datetime, list[Run]] = defaultdict(list)
    for run in found:
        if run.due_at and run.due_at <= last:
            of[run.due_at].append(run)
    first = min(of)
    wanted = [first + timedelta(seconds=n) for n in range(1 + int((last - first).total_seconds()))]
    ends = Counter(run.status for runs in of.values() for run in runs if run.attempt_of is None)
    complete = [sum(run.status == "complete" for run in runs) for runs in of.values()]
    failed = [run for runs in of.values() for run in runs if run.status == "failed"]
    return {
        "due": len(wanted),
        "missed": sum(time not in of for time in wanted),
        "complete": ends["complete"],
        "failed": ends["failed"],
        "other": sum(ends.values()) - ends["complete"] - ends["failed"],
        "broken_off": len(failed),
        "without_reason": sum(not run.error for run in failed),
        "twice": sum(count > 1 for count in complete),
        "at_once": sum(at_once(lines)),
        "effects_twice": sum(n > 1 for n in Counter(done(lines)).values()),
    }


def done(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if line.startswith("done"):
            yield line.split()[1]


def at_once(lines: list[str]) -> Iterator[bool]:
    """Look at each beginning, whether another was at work on the same due time."""
    working: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        what, *rest = line.split()
        if what == "killed":
            for pids in working.values():
                pids.discard(rest[0])
        elif what == "done":
            working[rest[0]].discard(rest[1])
        else:
            yield bool(working[rest[0]])
            working[rest[0]].add(rest[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--every", type=float, default=5)
    parser.add_argument("--files", type=int, default=1)
    parser.add_argument("--servers", type=int, default=4)
    parser.add_argument("--control", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ.pop("AGENT_MEM_SERVER", None)
        url = stack.enter_context(trial()).url() if given.files > 1 else ""
        made = Play(folder, given.files, given.servers, control=given.control)
        told = anyio.run(play, made, url, given.seconds, given.every)
    print(json.dumps(told) if given.json else "\n".join(f"{k:14} {v}" for k, v in told.items()))
    bad = told["missed"] + told["other"] + told["without_reason"] + told["twice"] + told["at_once"]
    sys.exit(bool(bad) != given.control)


if __name__ == "__main__":
    main()
