"""One pass, and the loop of passes: pull first, then some of what waits, until nothing moves."""

import logging
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, NoReturn

import anyio
from anyio.abc import TaskGroup
from anyio.to_thread import run_sync

from agent_mem.errors import AgentMemError, ServerRefused, StorageError
from agent_mem.records.record import Record, now
from agent_mem.records.sync_pass import SyncPass
from agent_mem.storage.alarm import Alarm
from agent_mem.storage.lock import FileLock
from agent_mem.storage.lull import Lull, Patient
from agent_mem.storage.statements import Row, Transaction
from agent_mem.storage.store import Store
from agent_mem.storage.sync.incoming import Page, paging, pull
from agent_mem.storage.sync.meeting import (
    Head,
    Known,
    Way,
    beginning,
    heading,
    knowing,
    meeting,
    retrying,
)
from agent_mem.storage.sync.outgoing import push
from agent_mem.storage.sync.tally import ALL, Choice, Pass, Seen, unseen

if TYPE_CHECKING:
    from agent_mem.storage.postgres import Postgres

logger = logging.getLogger(__name__)

PROTOCOL: Final = 1
"""What a server may ask its writers to have at least (`feed.min_writer`)."""
LOOK: Final = 0.1
"""Seconds between two looks at what waits here."""
PAUSE, AT_LAST = 0.12, 0.3
"""Seconds without a write after which a pass begins, and after which it does at the latest."""
LIVELY, QUIET, CALM = 0.5, 5.0, 60.0
"""Seconds between two looks at the server, soon after something moved and later; what is soon."""
LONGEST: Final = 60.0
"""Seconds after which it is tried again at the latest."""


async def synced(local: Store, server: Store, done: Pass) -> Head:
    """Make a pass: everything that can be moved is. Tell how far the server was at its end.

    Raises:
        StorageError: the server cannot be reached, or refuses; what was moved stays so.
    """
    while True:
        known = await local.engine.read(knowing(local))
        head, page = await server.engine.write(greeting(server, known))
        if page is None:
            await local.engine.write(beginning(local, head))
            continue
        way = Way(local, server, head, known.read, done)
        known = await pull(way, known._replace(met=head.met), page)
        if head.min_writer > PROTOCOL:
            raise ServerRefused(
                "The server asks for a newer agent-mem: this one reads from it, but does not write"
                " to it. Nothing is lost; update this one."
            )
        known, ended = await push(way, known)
        if ended:
            return head._replace(ver=known.read)


def greeting(server: Store, known: Known) -> Transaction[tuple[Head, Page | None]]:
    """Meet the server, and read the first page of what is new; none if it is another server."""
    head, same = yield from meeting(server, known)
    return head, (yield from paging(server, known, head)) if same else None


class Syncer:
    """What syncs one file with one server, beside all other processes on the file.

    Args:
        local: the file's records.
        path: the file, beside which the locks are.
        url: the server.
        opened: closes the locks at the end.
        lull: is waited for before each step of a pass.
        alarm: is told when a pass fails, and when one succeeds again.
    """

    def __init__(
        self,
        local: Store,
        path: Path,
        url: str,
        opened: ExitStack,
        lull: Lull,
        *,
        alarm: Alarm | None,
    ) -> None:
        self._local = local
        self._lull = lull
        self._alarm = alarm
        self._tasks: TaskGroup | None = None
        self._url = url
        self._passing = FileLock(path.with_name(path.name + ".sync.lock"))
        self._elected = FileLock(path.with_name(path.name + ".syncer.lock"))
        self._moved_at = monotonic()
        self._heard = anyio.Event()
        """The server said that something has changed."""
        for lock in (self._passing, self._elected):
            opened.callback(lock.close)

    async def once(self, choice: Choice = ALL, seen: Seen = unseen) -> Pass:
        """Make one pass, after the one that another process may be making.

        Raises:
            AgentMemError: why it failed; that is noted, too.
        """
        done = Pass(seen, choice)
        try:
            async with self._reached() as engine:
                await self._pass(self._later(engine), done)
        except AgentMemError as error:
            await self._failed(error, done)
            raise
        return done

    async def run(self) -> None:
        """Keep the two alike until cancelled, in one of the processes on the file."""
        try:
            async with anyio.create_task_group() as self._tasks:
                while True:
                    with self._elected.if_free() as mine:
                        if mine:
                            await self._follow()
                    await anyio.sleep(QUIET)
        finally:
            self._tasks = None

    async def _follow(self) -> NoReturn:
        failed, done = 0, Pass()
        while True:
            try:
                async with self._reached() as engine, engine.listening(self._hear):
                    while True:
                        self._heard = anyio.Event()
                        head = await self._pass(self._later(engine), done)
                        failed, done = 0, Pass()
                        await self._rest(self._later(engine), head)
            except AgentMemError as error:
                failed += 1
                if await self._failed(error, done):
                    logger.warning("Sync: %s", error)
                done = Pass()
            # Full jitter: many machines that lost one server do not come back at once.
            await anyio.sleep(random.uniform(0, min(LONGEST, 2.0**failed)))  # noqa: S311 - no secret

    @asynccontextmanager
    async def _reached(self) -> AsyncGenerator["Postgres"]:
        # Here, since the driver takes long to load and not everybody has a server.
        module = await run_sync(import_module, "agent_mem.storage.postgres")
        async with module.Postgres.open(self._url, self._local.owner) as engine:
            yield engine

    @asynccontextmanager
    async def searched(self) -> AsyncGenerator[Store | None]:
        """Reach the server for the vectors in it; None if it has no pgvector."""
        async with self._reached() as engine:
            yield self._later(engine) if engine.vectors else None

    @asynccontextmanager
    async def server(self) -> AsyncGenerator[Store]:
        """Reach the server's records, for what is decided there and not here, and is waited for.

        Raises:
            StorageError: it cannot be reached, or refuses.
        """
        async with self._reached() as engine:
            yield Store(engine, self._local.owner, unindexed)

    def _later(self, engine: "Postgres") -> Store:
        return Store(Patient(engine, self._lull), self._local.owner, unindexed)

    def _hear(self) -> None:
        self._heard.set()

    async def _pass(self, server: Store, done: Pass) -> Head:
        """Make a pass when no other process makes one, and log it."""
        async with self._alone():
            done.begun = now()
            trouble = await self._local.rows("sync.trouble")
            head = await synced(self._local, server, done)
        if done.moved:
            self._moved_at = monotonic()
        await self._ring(trouble, over=True)
        return head

    @asynccontextmanager
    async def _alone(self) -> AsyncGenerator[None]:
        """Wait until no other process moves anything."""
        while True:
            with self._passing.if_free() as mine:
                if mine:
                    yield
                    return
            await anyio.sleep(LOOK)

    async def _rest(self, server: Store, head: Head) -> None:
        """Wait until something waits here, or has changed there."""
        while True:
            pause = LIVELY if monotonic() - self._moved_at < CALM else QUIET
            with anyio.move_on_after(pause) as waited:
                if await self._written():
                    return
            self._heard = anyio.Event()
            found = await server.engine.read(heading(server))
            if (found.ver, found.epoch) != (head.ver, head.epoch):
                return
            # What was heard was this machine's own push: what waits here waits for its pause.
            if waited.cancelled_caught and (await self._stirred())["any"]:
                return

    async def _written(self) -> bool:
        """Wait for a write here and the pause after it, or the server; tell if it was a write."""
        while not self._heard.is_set():
            if (stirred := await self._stirred())["due"]:
                await self._paused(stirred["clock"])
                return True
            with anyio.move_on_after(LOOK):
                await self._heard.wait()
        return False

    async def _paused(self, clock: int) -> None:
        """Wait until nobody has written for a moment, but not for long.

        A pass for each of many writes would be in the way of all of them.
        """
        with anyio.move_on_after(AT_LAST):
            while True:
                await anyio.sleep(PAUSE)
                before, clock = clock, (await self._stirred())["clock"]
                if clock == before:
                    return

    async def _stirred(self) -> Row:
        """Look whether anything waits here; the log of the sync alone is no reason for haste."""
        (row,) = await self._local.rows("sync.stirred", now=now(), log=SyncPass.TABLE)
        return row

    async def retry(self) -> int:
        """Have all that was set aside tried again in the next pass; tell how much it is."""
        async with self._alone():
            return await self._local.engine.write(retrying(self._local))

    async def _failed(self, error: AgentMemError, done: Pass) -> bool:
        """Note what went wrong; what goes wrong again and again is news once."""
        news = True
        with suppress(StorageError):  # a full disk: whoever writes is told so
            known = await self._local.rows("sync.trouble")
            news = not known or known[0]["error"] != str(error)
            await self._local.engine.write(
                self._local.asking("sync.note_trouble", at=now(), error=str(error))
            )
            if news or done.moved:
                await self._local.put(done.entry(str(error)))
            if news:
                await self._ring(await self._local.rows("sync.trouble"), over=False)
        return news

    async def _ring(self, trouble: list[Row], *, over: bool) -> None:
        """Raise the alarm beside what goes on here, or before a process ends."""
        if self._alarm is None:
            return
        for found in trouble:
            ring = partial(self._alarm.ring, found, over=over)
            if self._tasks:
                self._tasks.start_soon(ring)
            else:
                await ring()


def unindexed(_: Store, __: Sequence[Record]) -> Transaction[None]:
    """Index nothing: what the server finds by is made from what the machines send."""
    yield from ()
