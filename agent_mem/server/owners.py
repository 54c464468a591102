"""Several owners in one process: each has a memory of its own, opened when it is first asked for.

The owner that is set keeps the file that is set. Every other has one under `owners/`, beside it:
what is not in a file cannot be found in it, whatever is guessed. On the server itself (`--direct`)
the rows of the owners are kept apart by the database.
"""

import hashlib
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

import anyio
from anyio.abc import TaskGroup
from mcp.server import ServerRequestContext
from mcp.server.subscriptions import ServerEvent
from mcp.types import (
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from agent_mem.config import Settings
from agent_mem.server.changes import Changes
from agent_mem.server.opening import Opening

if TYPE_CHECKING:
    from agent_mem.app import App

MOST: Final = 64
"""Owners whose memory stays open while nobody asks for it."""
GRACE: Final = 2.0
"""Seconds in which all of them are closed in the end."""
READABLE: Final = 40
"""Characters of an owner's name in that of its folder."""


def settings_of(owner: str, settings: Settings) -> Settings:
    """Say where an owner's memory is; what the one that is set allows and works on is its own."""
    if owner == settings.owner:
        return settings
    db = settings.db.expanduser().resolve()
    theirs = db.parent / "owners" / folder_of(owner) / "memory.db"
    return settings.model_copy(
        update={"owner": owner, "db": theirs, "project": None, "config": None}
    )


def folder_of(owner: str) -> str:
    """Name an owner's folder: safe on every file system, and different for different owners."""
    readable = re.sub(r"[^a-z0-9]+", "-", owner.lower())[:READABLE].strip("-")
    hashed = hashlib.sha256(owner.encode()).hexdigest()[:16]
    return f"{readable}-{hashed}" if readable else hashed


class Owned:
    """One owner's memory, as long as it is open."""

    def __init__(self, settings: Settings, *, direct: bool) -> None:
        self.opening = Opening(settings, direct=direct)
        self.changes = Changes(self.opening)
        self.held = 0
        """Requests that are under way."""
        self._done = anyio.Event()

    async def run(self) -> None:
        """Keep it, with what it does by itself, until it is to be left."""
        async with self.opening, anyio.create_task_group() as tasks:
            tasks.start_soon(self.changes.watch)
            tasks.start_soon(self.opening.work)
            await self._done.wait()
            self.changes.end()
            tasks.cancel_scope.cancel()

    def leave(self) -> None:
        """End what listens, finish what is under way, and close."""
        self._done.set()


class Owners:
    """The memories that are open, by their owners; whoever was asked last is last.

    Args:
        settings: where the first of them is, and whose.
        direct: work on the server itself, without files.
        most: how many stay open while nobody asks for them.
    """

    def __init__(self, settings: Settings, *, direct: bool = False, most: int = MOST) -> None:
        self.settings = settings
        self.running = False
        self._tasks: TaskGroup
        self._direct = direct
        self._most = most
        self._asking: ContextVar[str] = ContextVar("owner")
        self._open: dict[str, Owned] = {}

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Keep what is opened; in the end, finish what is under way, and close it."""
        with anyio.CancelScope() as closing:
            async with anyio.create_task_group() as tasks:
                self._tasks, self.running = tasks, True
                try:
                    yield
                finally:
                    closing.deadline = anyio.current_time() + GRACE
                    for owned in self._open.values():
                        owned.leave()
                    self.running = False

    @property
    def asking(self) -> Owned:
        """The memory of whoever makes the request that is being answered."""
        return self._found(self._asking.get())

    @asynccontextmanager
    async def holding(self, owner: str) -> AsyncGenerator[None]:
        """Answer a request of an owner; its memory stays open until that is done."""
        owned = self._found(owner)
        before = self._asking.set(owner)
        owned.held += 1
        try:
            yield
        finally:
            owned.held -= 1
            self._asking.reset(before)
            self._spare()

    def end_streams(self) -> None:
        """End what listens: it would never end by itself."""
        for owned in self._open.values():
            owned.changes.end()

    def _found(self, owner: str) -> Owned:
        owned = self._open.pop(owner, None)
        if owned is None:
            owned = Owned(settings_of(owner, self.settings), direct=self._direct)
            self._tasks.start_soon(owned.run)
        self._open[owner] = owned
        return owned

    def _spare(self) -> None:
        """Leave those that were not asked for longest, where there are too many."""
        spare = [owner for owner, owned in self._open.items() if not owned.held]
        for owner in spare[: max(0, len(self._open) - self._most)]:
            self._open.pop(owner).leave()


class Asked(Opening):
    """The opening of whoever asks, wherever that is."""

    def __init__(self, owners: Owners) -> None:
        super().__init__(owners.settings)
        self._owners = owners

    async def __call__(self) -> "App":
        return await self._owners.asking.opening()


class AskedChanges(Changes):
    """The changes of whoever asks: nobody hears of those of another."""

    def __init__(self, owners: Owners) -> None:
        super().__init__(Asked(owners))
        self._owners = owners

    async def publish(self, event: ServerEvent) -> None:
        await self._owners.asking.changes.publish(event)

    async def listen(
        self, ctx: ServerRequestContext[object], params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        return await self._owners.asking.changes.listen(ctx, params)

    async def add(
        self, ctx: ServerRequestContext[object], params: SubscribeRequestParams
    ) -> EmptyResult:
        return await self._owners.asking.changes.add(ctx, params)

    async def remove(
        self, ctx: ServerRequestContext[object], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        return await self._owners.asking.changes.remove(ctx, params)
