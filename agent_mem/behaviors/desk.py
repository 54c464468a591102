"""Where it is decided who runs what is due: on the server where one is set, else in the file."""

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from time import monotonic
from typing import Final

import anyio

from agent_mem.app import App
from agent_mem.behaviors.slots import Written, mirroring
from agent_mem.errors import StorageError
from agent_mem.recall.index import indexing_there
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Store
from agent_mem.storage.sync.syncer import Syncer

PATIENCE: Final = 5.0
"""Seconds that the server has to decide."""
PAUSE: Final = 10.0
"""Seconds after which a server that could not be reached is asked again."""

logger = logging.getLogger(__name__)

Deciding = Callable[[Store], Transaction[Written]]


class Desk:
    """The database that decides, kept open between two decisions."""

    def __init__(self, app: App, *, shared: bool = True) -> None:
        self.local = app.store
        self._syncer = app.syncer if shared else None
        self._server: Store | None = None
        self._stack = AsyncExitStack()
        self._opening = anyio.Lock()
        self._away_until = 0.0

    async def decide(self, deciding: Deciding, *, alone: bool) -> Written:
        """Run a transaction where it is decided, and copy what it wrote to the file.

        Args:
            deciding: what to run.
            alone: it may be decided here while the server cannot be reached.

        Raises:
            StorageError: it can be decided nowhere now.
        """
        if self._syncer is None:
            return await self.local.engine.write(deciding(self.local))
        try:
            written = await self._on_server(self._syncer, deciding)
        except StorageError as error:
            logger.info("Behaviors: %s", error)
            if not alone:
                raise
            return await self.local.engine.write(deciding(self.local))
        await self.local.engine.write(mirroring(self.local, written))
        return written

    async def close(self) -> None:
        """Let go of the server."""
        self._server = None
        await self._stack.aclose()

    async def _on_server(self, syncer: Syncer, deciding: Deciding) -> Written:
        if monotonic() < self._away_until:
            raise StorageError("The server could not be reached a moment ago.")
        try:
            with anyio.fail_after(PATIENCE):
                server = await self._reached(syncer)
                return await server.engine.write(deciding(server))
        except (StorageError, TimeoutError) as error:
            self._away_until = monotonic() + PAUSE
            await self.close()
            raise StorageError(str(error) or "The server takes too long to answer.") from error

    async def _reached(self, syncer: Syncer) -> Store:
        async with self._opening:
            if self._server is None:
                server = await self._stack.enter_async_context(syncer.server())
                self._server = replace(server, index=indexing_there)
            return self._server
