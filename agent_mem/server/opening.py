"""The app, opened when it is first needed: discovery is answered before the database is touched."""

from contextlib import AsyncExitStack
from typing import Self

import anyio

from agent_mem.app import App, open_app
from agent_mem.config import Settings


class Opening:
    """Opens the app at the first call, and gives the same to all that follow."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._lock = anyio.Lock()
        self._app: App | None = None

    async def __call__(self) -> App:
        async with self._lock:
            if self._app is None:
                self._app = await self._stack.enter_async_context(open_app(self._settings))
            return self._app

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Finish the write that is under way, and close the database."""
        await self._stack.aclose()
