"""The app, opened when it is first needed: discovery is answered before the file is touched."""

from contextlib import AsyncExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Self, cast

import anyio
from anyio.to_thread import run_sync

from agent_mem.config import Settings

if TYPE_CHECKING:
    from agent_mem.app import App


class Opening:
    """Opens the app at the first call, and gives the same to all that follow."""

    def __init__(self, settings: Settings, *, direct: bool = False) -> None:
        """Open nothing yet.

        Args:
            settings: where the memory is, and whose.
            direct: work on the server itself, without a file.
        """
        self.settings = settings
        self._direct = direct
        self._stack = AsyncExitStack()
        self._lock = anyio.Lock()
        self._app: App | None = None
        self._opened = anyio.Event()
        self._working = anyio.CancelScope()
        self._busy = anyio.Lock()

    async def __call__(self) -> "App":
        async with self._lock:
            if self._app is None:
                # Loaded here, so that discovery does not wait for it.
                module = await run_sync(import_module, "agent_mem.app")
                opened = module.open_direct if self._direct else module.open_app
                self._app = await self._stack.enter_async_context(opened(self.settings))
                self._opened.set()
            return cast("App", self._app)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def work(self) -> None:
        """Do what the app does by itself, from its opening until it is closed."""
        await self._opened.wait()
        with self._working:
            async with self._busy:
                await (await self()).work()

    async def close(self) -> None:
        """End that work, finish the write that is under way, and close the database."""
        self._working.cancel()
        async with self._busy:
            await self._stack.aclose()
