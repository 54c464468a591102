"""Telling subscribers what changed, whichever process changed it."""

import logging
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


class Changes(InMemorySubscriptionBus):
    """One hub for both eras: `subscriptions/listen` streams, and `resources/subscribe` before."""

    def __init__(self, opening: Opening) -> None:
        super().__init__()
        self._opening = opening
        self._streams = ListenHandler(self)
        self._place: int | None = None
        self._listened = anyio.Event()
        self._subscribers: dict[str, ServerSession] = {}

    async def listen(
        self, ctx: ServerRequestContext[object], params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Serve a stream of the era that listens."""
        if params.notifications.resource_subscriptions:
            await self.begin()
        return await self._streams(ctx, params)

    async def add(
        self, ctx: ServerRequestContext[object], params: SubscribeRequestParams
    ) -> EmptyResult:
        """Add a subscriber of the era that subscribes."""
        await self.begin()
        self._subscribers[params.uri] = ctx.session
        return EmptyResult()

    async def remove(
        self, _: ServerRequestContext[object], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        """Remove a subscriber of the era that subscribes."""
        self._subscribers.pop(params.uri, None)
        return EmptyResult()

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
            for uri in await changed(store, place, latest):
                await self.updated(uri)
        return latest

    async def updated(self, uri: str) -> None:
        """Tell everybody who wants to know that one resource is another now."""
        await self.publish(ResourceUpdated(uri=uri))
        if session := self._subscribers.get(uri):
            await session.send_resource_updated(uri)
