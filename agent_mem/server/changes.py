"""Telling subscribers what changed, whichever process changed it."""

from collections.abc import Callable

import anyio
from mcp.server import ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated, ServerEvent
from mcp.types import EmptyResult, SubscribeRequestParams, UnsubscribeRequestParams

from agent_mem.server.opening import Opening
from agent_mem.storage.store import Store

PAUSE = 0.5
"""Seconds between two looks at the database, once somebody listens."""


class Changes(InMemorySubscriptionBus):
    """One hub for both eras: `subscriptions/listen` streams, and `resources/subscribe` before."""

    def __init__(self) -> None:
        super().__init__()
        self._listened = anyio.Event()
        self._subscribers: dict[str, ServerSession] = {}

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Add a stream of the era that listens."""
        self._listened.set()
        return super().subscribe(listener)

    async def add(
        self, ctx: ServerRequestContext[object], params: SubscribeRequestParams
    ) -> EmptyResult:
        """Add a subscriber of the era that subscribes."""
        self._subscribers[params.uri] = ctx.session
        self._listened.set()
        return EmptyResult()

    async def remove(
        self, _: ServerRequestContext[object], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        """Remove a subscriber of the era that subscribes."""
        self._subscribers.pop(params.uri, None)
        return EmptyResult()

    async def watch(self, opening: Opening) -> None:
        """Tell what changes, from the first listener on, until cancelled."""
        await self._listened.wait()
        store = (await opening()).store
        place = await last_change(store)
        while True:
            await anyio.sleep(PAUSE)
            place = await self.tell(store, place)

    async def tell(self, store: Store, place: int) -> int:
        """Tell once what changed after a place in the list; returns the new place."""
        latest = await last_change(store)
        if latest != place:
            for row in await store.rows("local.changed_since", n=place):
                await self.updated(row["uri"])
        return latest

    async def updated(self, uri: str) -> None:
        """Tell everybody who wants to know that one resource is another now."""
        await self.publish(ResourceUpdated(uri=uri))
        if session := self._subscribers.get(uri):
            await session.send_resource_updated(uri)


async def last_change(store: Store) -> int:
    (row,) = await store.rows("local.last_change")
    return row["n"]
