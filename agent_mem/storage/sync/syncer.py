"""One pass, and the loop of passes: pull first, then some of what waits, until nothing moves."""

import logging
import platform
import random
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, NoReturn
from uuid import UUID

import anyio
from anyio.to_thread import run_sync

from agent_mem.errors import AgentMemError, ServerRefused, StorageError
from agent_mem.records import RECORDS
from agent_mem.records.record import Record, now
from agent_mem.records.sync_pass import SyncPass
from agent_mem.storage import statements
from agent_mem.storage.lock import FileLock
from agent_mem.storage.statements import Statement, Transaction
from agent_mem.storage.store import Store
from agent_mem.storage.sync.incoming import Head, cursors, heading, pull
from agent_mem.storage.sync.outgoing import ALL, Choice, push
from agent_mem.storage.sync.tally import Pass, Seen, unseen

if TYPE_CHECKING:
    from agent_mem.storage.postgres import Postgres

logger = logging.getLogger(__name__)

PROTOCOL: Final = 1
"""What a server may ask its writers to have at least (`feed.min_writer`)."""
LOOK: Final = 0.25
"""Seconds between two looks at what waits here."""
LIVELY, QUIET, CALM = 0.5, 5.0, 60.0
"""Seconds between two looks at the server, soon after something moved and later; what is soon."""
LONGEST: Final = 60.0
"""Seconds after which it is tried again at the latest."""


async def synced(local: Store, server: Store, done: Pass, choice: Choice = ALL) -> Head:
    """Make a pass: everything that can be moved is. Tell how far the server was at its end.

    Raises:
        StorageError: the server cannot be reached, or refuses; what was moved stays so.
    """
    me = await replica(local)
    while True:
        head, known = await server.engine.read(meeting(server, me))
        await local.engine.write(rewinding(local, head, known))
        await pull(local, server, head, done)
        if head.min_writer > PROTOCOL:
            raise ServerRefused(
                "The server asks for a newer agent-mem: this one reads from it, but does not write"
                " to it. Nothing is lost; update this one."
            )
        if not await push(local, server, head, done, choice):
            # In this order: what the server knows of this file is never behind what it does.
            await server.engine.write(present(server, me, head))
            await local.engine.write(arrived(local, head))
            return head


def meeting(server: Store, me: UUID) -> Transaction[tuple[Head, int]]:
    """Ask the server how far it is, and how far it knows this file to be."""
    head = yield from heading(server)
    rows = yield server.query("sync.known", id=me)
    return head, max((row["ver"] for row in rows), default=0)


def rewinding(local: Store, head: Head, known: int) -> Transaction[None]:
    """Begin anew with a server that is another one, or that was restored from a backup.

    It gets every row again; those that it has change nothing. A backup knows less of this file
    than the file does, even if others have written to it since.
    """
    for state in (yield local.query("sync.state")):
        read = yield from cursors(local)
        same = UUID(state["epoch"]) == head.epoch
        if same and known >= state["head"] and head.ver >= max(read.values(), default=0):
            return
    yield local.query("sync.rewind")
    yield local.query("sync.retry_aside")
    for model in RECORDS:
        yield Statement(statements.requeue(model), {"owner": local.owner})
    yield local.query("sync.begin_state", epoch=head.epoch)


def arrived(local: Store, head: Head) -> Transaction[None]:
    """Note how far this file has got."""
    offset = int((head.now - head.here) / timedelta(milliseconds=1))
    state = {"epoch": head.epoch, "head": head.ver, "offset_ms": offset, "synced_at": now()}
    yield local.query("sync.note_state", **state)
    yield local.query("sync.end_trouble")


def present(server: Store, me: UUID, head: Head) -> Transaction[None]:
    told = {"id": me, "host": platform.node(), "ver": head.ver, "at": head.now}
    yield server.query("sync.seen", **told)


def retrying(local: Store) -> Transaction[int]:
    refused = yield local.query("sync.retry_refused")
    aside = yield local.query("sync.retry_aside")
    known = yield from cursors(local)
    for row in aside:
        known[row["record"]] = min(known[row["record"]], row["ver"] - 1)
        back = {"record": row["record"], "ver": known[row["record"]]}
        yield local.query("sync.note_cursor", **back)
    return len(refused) + len(aside)


async def replica(local: Store) -> UUID:
    (row,) = await local.rows("sync.replica")
    return UUID(row["id"])


class Syncer:
    """What syncs one file with one server, beside all other processes on the file.

    Args:
        local: the file's records.
        path: the file, beside which the locks are.
        url: the server.
        opened: closes the locks at the end.
    """

    def __init__(self, local: Store, path: Path, url: str, opened: ExitStack) -> None:
        self._local = local
        self._url = url
        self._passing = FileLock(path.with_name(path.name + ".sync.lock"))
        self._elected = FileLock(path.with_name(path.name + ".syncer.lock"))
        self._moved_at = monotonic()
        self._heard = False
        """The server said that something has changed."""
        for lock in (self._passing, self._elected):
            opened.callback(lock.close)

    async def once(self, choice: Choice = ALL, seen: Seen = unseen) -> Pass:
        """Make one pass, after the one that another process may be making.

        Raises:
            AgentMemError: why it failed; that is noted, too.
        """
        done = Pass(seen)
        try:
            async with self._reached() as engine:
                await self._pass(self._of(engine), done, choice)
        except AgentMemError as error:
            await self._failed(error, done, choice)
            raise
        return done

    async def run(self) -> NoReturn:
        """Keep the two alike until cancelled, in one of the processes on the file."""
        while True:
            with self._elected.if_free() as mine:
                if mine:
                    await self._follow()
            await anyio.sleep(QUIET)

    async def _follow(self) -> NoReturn:
        failed, done = 0, Pass()
        while True:
            try:
                async with self._reached() as engine, engine.listening(self._hear):
                    while True:
                        self._heard = False
                        head = await self._pass(self._of(engine), done)
                        failed, done = 0, Pass()
                        await self._rest(self._of(engine), head)
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

    def _of(self, engine: "Postgres") -> Store:
        return Store(engine, self._local.owner, unindexed)

    def _hear(self) -> None:
        self._heard = True

    async def _pass(self, server: Store, done: Pass, choice: Choice = ALL) -> Head:
        """Make a pass when no other process makes one, and log it."""
        async with self._alone():
            done.begun = now()
            head = await synced(self._local, server, done, choice)
        if done.moved:
            self._moved_at = monotonic()
            await self._local.put(entry(done, choice))
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
            with anyio.move_on_after(pause):
                while not (self._heard or await self._due()):  # noqa: ASYNC110 - the database has no events
                    await anyio.sleep(LOOK)
                return
            found = await server.engine.read(heading(server))
            if (found.ver, found.epoch) != (head.ver, head.epoch):
                return

    async def _due(self) -> bool:
        (row,) = await self._local.rows("sync.any_due", now=now())
        return bool(row["due"])

    async def retry(self) -> int:
        """Have all that was set aside tried again in the next pass; tell how much it is."""
        async with self._alone():
            return await self._local.engine.write(retrying(self._local))

    async def _failed(self, error: AgentMemError, done: Pass, choice: Choice = ALL) -> bool:
        """Note what went wrong; what goes wrong again and again is news once."""
        news = True
        with suppress(StorageError):  # a full disk: whoever writes is told so
            known = await self._local.rows("sync.trouble")
            news = not known or known[0]["error"] != str(error)
            await self._local.engine.write(
                self._local.asking("sync.note_trouble", at=now(), error=str(error))
            )
            if news or done.moved:
                await self._local.put(entry(done, choice, str(error)))
        return news


def entry(done: Pass, choice: Choice, error: str | None = None) -> SyncPass:
    """Log a pass."""
    return SyncPass(
        sync_source=platform.node(),
        session_id=choice.session,
        events_synced=done.moved,
        sync_started_at=done.begun,
        sync_ended_at=now(),
        status="failed" if error else "completed",
        error_message=error,
        meta={"sent": done.sent, "received": done.received},
    )


def unindexed(_: Store, __: Record) -> Transaction[None]:
    """Index nothing: what the server finds by is made from what the machines send."""
    yield from ()
