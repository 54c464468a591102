"""What makes behaviors run by themselves: one process on a file looks, and sleeps in between."""

import logging
from collections import defaultdict, deque
from contextlib import closing
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Final
from uuid import UUID

import anyio
from anyio.abc import TaskGroup

from agent_mem.app import App
from agent_mem.behaviors.calendar import Calendar
from agent_mem.behaviors.desk import Desk
from agent_mem.behaviors.listening import Listener
from agent_mem.behaviors.runner import Runner, who
from agent_mem.behaviors.schedule import GRACE
from agent_mem.behaviors.slots import Slot, losing
from agent_mem.errors import BehaviorBusy, StorageError
from agent_mem.records.behavior import Behavior
from agent_mem.records.record import now
from agent_mem.records.run import Run
from agent_mem.storage.lock import FileLock

LOOK: Final = 1.0
"""Seconds between two looks whether anything has changed in the file."""
SWEEP: Final = 15.0
"""Seconds between two looks whether the lease of another has run out."""
AGAIN: Final = 1.0
"""Seconds after which what could not be begun is tried again."""

logger = logging.getLogger(__name__)


class Scheduler:
    """What looks for what is due, and has it run.

    Args:
        app: whose behaviors.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        path = app.settings.db.expanduser().resolve()
        self.lock = path.with_name(path.name + ".runner.lock")

    async def run(self) -> None:
        """Look until cancelled, in one of the processes on the file."""
        with closing(FileLock(self.lock)) as lock:
            while True:
                with lock.if_free() as mine:
                    if mine:
                        await self._lead()
                await anyio.sleep(LOOK)

    async def _lead(self) -> None:
        desk = Desk(self._app)
        try:
            async with anyio.create_task_group() as tasks:
                await Watch(self._app, Runner(self._app, desk, await who(self._app)), tasks).keep()
        finally:
            await desk.close()


class Watch:
    """One process's time of looking: what it has looked at, and what it has begun."""

    def __init__(self, app: App, runner: Runner, tasks: TaskGroup) -> None:
        self._app = app
        self._runner = runner
        self._tasks = tasks
        self._calendar = Calendar()
        self._listener = Listener(app.store)
        self._queues: defaultdict[UUID, deque[Slot]] = defaultdict(deque)
        """What each behavior has to do, the one that is under way first."""
        self._gone: str | None = runner.me
        """Whose runs are known to be dead: at first, those of any runner before on this file."""
        self._swept_at = -SWEEP
        self._clock = -1
        self._until: datetime | None = None

    async def keep(self) -> None:
        """Look whenever something is due or has changed."""
        await self._begin()
        while True:
            try:
                await self.look()
                await self._rest()
            except StorageError as error:
                logger.warning("Behaviors: %s", error)
                await anyio.sleep(LOOK)

    async def look(self) -> None:
        """Have everything run that is due now."""
        self._clock = await self._stirred()
        listed = await self._app.store.find(Behavior, "behaviors.all", agent=None)
        behaviors = {behavior.id: behavior for behavior in listed}
        await self._sweep(behaviors)
        slots, self._until = self._calendar.due([b for b in behaviors.values() if b.enabled], now())
        retried, soon = await self._retried(behaviors)
        if soon:
            self._until = min(self._until, soon) if self._until else soon
        for slot in (*retried, *slots):
            self._start(slot)
        for slot in await self._listener.heard(behaviors.values()):
            self._start(slot)

    async def _begin(self) -> None:
        rows = await self._app.store.rows("behavior_runs.last_due")
        done = {UUID(str(row["behavior_id"])): row["due_at"] for row in rows}
        self._calendar.done = {key: datetime.fromisoformat(at) for key, at in done.items()}
        await self._listener.begin()

    async def _rest(self) -> None:
        """Sleep until something is due, or something in the file is another."""
        while monotonic() < self._swept_at + SWEEP:
            left = (self._until - now()).total_seconds() if self._until else LOOK
            if left <= 0:
                return
            await anyio.sleep(min(left, LOOK))
            if left >= LOOK and await self._stirred() != self._clock:
                return
            if not any(self._queues.values()):
                await self._listener.settle()

    async def _stirred(self) -> int:
        (row,) = await self._app.store.rows("scheduler.stirred")
        return row["clock"]

    async def _sweep(self, behaviors: dict[UUID, Behavior]) -> None:
        """Mark the runs as failed that nobody is at any more."""
        self._swept_at = monotonic()
        found = await self._app.store.find(Run, "behavior_runs.lost", now=now(), gone=self._gone)
        for run in found:
            behavior = behaviors.get(run.behavior_id)
            lost = partial(losing, behavior=behavior, run=run, gone=self._gone)
            await self._runner.desk.decide(lost, alone=True)
        self._gone = None

    async def _retried(self, behaviors: dict[UUID, Behavior]) -> tuple[list[Slot], datetime | None]:
        """List what failed and is to be tried again now, and say when the next of it is."""
        slots: list[Slot] = []
        for run in await self._app.store.find(Run, "behavior_runs.retried"):
            behavior = behaviors.get(run.behavior_id)
            if behavior is None or not behavior.enabled or run.retry_at is None:
                continue
            if run.retry_at > now():
                return slots, run.retry_at
            slots.append(Slot.again(behavior, run))
        return slots, None

    def _start(self, slot: Slot) -> None:
        """Have something run: after what its behavior is at, or aside of it."""
        queue = self._queues[slot.behavior.id]
        if any(slot.key == waiting.key for waiting in queue):
            return
        if queue and slot.due_at and slot.behavior.overlap == "skip":
            self._tasks.start_soon(self._once, slot)
            return
        queue.append(slot)
        if len(queue) == 1:
            self._tasks.start_soon(self._work, queue)

    async def _once(self, slot: Slot) -> bool:
        """Run something, if nobody else does; tell whether that is decided."""
        try:
            await self._runner.due(slot)
        except BehaviorBusy:
            return False
        except StorageError as error:
            logger.info("Behaviors: %s", error)
            return False
        return True

    async def _work(self, queue: deque[Slot]) -> None:
        """Run what a behavior has to do, in order; what cannot be decided now is tried again."""
        while queue:
            if await self._once(queue[0]):  # pragma: no branch - 3.11 tells no line after a handler
                queue.popleft()
            else:
                await anyio.sleep(AGAIN)
                missed(queue)


def missed(queue: deque[Slot]) -> None:
    """Leave out what was missed for long but the last of it: it counts once, as after a sleep."""
    late = now() - GRACE
    while len(queue) > 1 and queue[0].due_at and queue[0].due_at < late:
        queue.popleft()
