"""A server's share of `once.py`: it opens a memory, and runs what is due.

    python bench/once_worker.py FILE JOURNAL SERVER CONTROL

Its one action says in a journal when it begins and when it is done, and takes a while in between,
so that a kill meets it at work. It ends when its stdin is closed.
"""

import os
import random
import sys
from pathlib import Path
from typing import Final
from uuid import UUID

import anyio
from anyio.to_thread import run_sync
from pydantic import SecretStr

from agent_mem.app import App, open_app
from agent_mem.behaviors import BEHAVIORS, slots
from agent_mem.behaviors.action import Outcome, Task
from agent_mem.behaviors.scheduler import Scheduler
from agent_mem.config import Settings
from agent_mem.records.record import uuid7

ACTION: Final = "tell"
SHORTEST, LONGEST = 0.1, 0.7
"""Seconds that the action takes."""


class Journal:
    """A file to which several processes append whole lines."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def say(self, *words: object) -> None:
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


def telling(journal: Journal) -> None:
    """Make the action known to this process."""

    async def tell(_: App, task: Task) -> Outcome:
        due = task.run.due_at.isoformat() if task.run and task.run.due_at else "never"
        journal.say("begin", due, os.getpid())
        await anyio.sleep(random.uniform(SHORTEST, LONGEST))  # noqa: S311 - no secret
        journal.say("done", due, os.getpid())
        return Outcome({}, [])

    BEHAVIORS[ACTION] = tell


def any_id(_: str, __: UUID, ___: str) -> UUID:
    """Give what is due another id each time: the control of `once.py`."""
    return uuid7()


async def run(file: str, journal: str, server: str, control: str) -> None:
    telling(Journal(Path(journal)))
    settings = Settings(
        db=Path(file), embedder="none", server=SecretStr(server) if server else None
    )
    async with open_app(settings) as app, anyio.create_task_group() as tasks:
        scheduler = Scheduler(app)
        if control:
            slots.run_id = any_id
            scheduler.lock = Path(f"{file}.{os.getpid()}.lock")
        tasks.start_soon(app.work)
        tasks.start_soon(scheduler.run)
        await run_sync(sys.stdin.read, abandon_on_cancel=True)
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    where, said, address, free = sys.argv[1:]
    anyio.run(run, where, said, address, free)
