"""Telling subscribers what changed, whichever process changed it."""

import logging
import re
from collections import Counter
from typing import TYPE_CHECKING

import anyio
from mcp.server import ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INTERNAL_ERROR,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from agent_mem.errors import AgentMemError, StorageError
from agent_mem.server.opening import Opening
from agent_mem.storage.changed import changed, last_change

if TYPE_CHECKING:
    from agent_mem.storage.store import Store

logger = logging.getLogger(__name__)

PAUSE = 0.5
"""Seconds between two looks at the database, once somebody listens."""
PATIENCE = 2.0
"""Seconds that a subscriber may take to be told, before it is told no more."""
MOST = 1_000
"""Subscriptions of the era that subscribes: who ends a session may leave them behind."""
ANY = "*"
"""What stands for any name in an address; in a name it would be quoted."""


class Changes(InMemorySubscriptionBus):
    """One hub for both eras: `subscriptions/listen` streams, and `resources/subscribe` before."""

    def __init__(self, opening: Opening) -> None:
        super().__init__()
        self._opening = opening
        self._streams = ListenHandler(self)
        self._place: int | None = None
        self._listened = anyio.Event()
        self._subscribers: dict[tuple[str, str], ServerSession] = {}
        """Whom to tell of an address, by it and by the session."""
        self._wanted: Counter[str] = Counter()
        """What the streams listen to."""

    async def listen(
        self, ctx: ServerRequestContext[object], params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Serve a stream of the era that listens."""
        uris = params.notifications.resource_subscriptions
        if uris:
            await self.begin()
        self._wanted.update(uris or ())
        try:
            return await self._streams(ctx, params)
        finally:
            self._wanted.subtract(uris or ())

    async def add(
        self, ctx: ServerRequestContext[object], params: SubscribeRequestParams
    ) -> EmptyResult:
        """Add a subscriber of the era that subscribes."""
        await self.begin()
        self._subscribers[params.uri, session_of(ctx)] = ctx.session
        if len(self._subscribers) > MOST:
            del self._subscribers[next(iter(self._subscribers))]
        return EmptyResult()

    async def remove(
        self, ctx: ServerRequestContext[object], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        """Remove a subscriber of the era that subscribes."""
        self._subscribers.pop((params.uri, session_of(ctx)), None)
        return EmptyResult()

    def end(self) -> None:
        """End the streams, each with its last message."""
        self._streams.close()

    async def begin(self) -> None:
        """Note where the changes have got to, before a subscriber is told that it is one.

        Raises:
            MCPError: the database cannot be read.
        """
        try:
            place = await last_change((await self._opening()).store)
        except AgentMemError as error:
            raise MCPError(INTERNAL_ERROR, str(error)) from error
        if self._place is None:
            self._place = place
        self._listened.set()

    async def watch(self) -> None:
        """Tell what changes, from the first listener on, until cancelled."""
        await self._listened.wait()
        store = (await self._opening()).store
        place = self._place or 0
        while True:
            await anyio.sleep(PAUSE)
            try:
                place = await self.tell(store, place)
            except StorageError:
                logger.warning("What changed cannot be read now.", exc_info=True)

    async def tell(self, store: "Store", place: int) -> int:
        """Tell once what changed after a place in the list; returns the new place."""
        latest = await last_change(store)
        if latest != place:
            uris = await changed(store, place, latest)
            for each in dict.fromkeys(meant for uri in uris for meant in self.meant(uri)):
                await self.updated(each)
        return latest

    def meant(self, uri: str) -> list[str]:
        """Name the resources that an address stands for: with a star, all that are listened to."""
        if ANY not in uri:
            return [uri]
        meant = re.compile(re.escape(uri).replace(re.escape(ANY), "[^/]+"))
        wanted = {*(uri for uri, _ in self._subscribers), *(+self._wanted)}
        return [each for each in sorted(wanted) if meant.fullmatch(each)]

    async def updated(self, uri: str) -> None:
        """Tell everybody who wants to know that one resource is another now."""
        await self.publish(ResourceUpdated(uri=uri))
        for key, session in list(self._subscribers.items()):
            if key[0] == uri:
                with anyio.move_on_after(PATIENCE) as waiting:
                    await session.send_resource_updated(uri)
                if waiting.cancelled_caught:
                    self._subscribers.pop(key, None)


def session_of(ctx: ServerRequestContext[object]) -> str:
    """Name the session of a request: over stdio there is but one."""
    return ctx.request.headers.get("mcp-session-id", "") if ctx.request else ""
