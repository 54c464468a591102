"""The app, opened when it is first needed: discovery is answered before the file is touched."""

import logging
from contextlib import AsyncExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Final, Self, cast

import anyio
from anyio.to_thread import run_sync

from agent_mem.config import Settings
from agent_mem.errors import AgentMemError

if TYPE_CHECKING:
    from agent_mem.app import App

PATIENCE: Final = 5.0
"""Seconds for which the first call is waited for, before there is anything in its way."""

logger = logging.getLogger(__name__)


class Opening:
    """Opens the app at the first call, and gives the same to all that follow."""

    def __init__(self, settings: Settings, *, direct: bool = False, beside: bool = False) -> None:
        """Open nothing yet.

        Args:
            settings: where the memory is, and whose.
            direct: work on the server itself, without a file.
            beside: who asks is a program on this machine, and may have its files read.
        """
        self.settings = settings
        self.beside = beside
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
        with self._working:
            await self._begun()
            async with self._busy, anyio.create_task_group() as tasks:
                app = await self()
                tasks.start_soon(app.work)
                if self._direct:  # the machines with files do what is due
                    return
                # Loaded here, so that the first answer does not wait for it.
                module = await run_sync(import_module, "agent_mem.behaviors.scheduler")
                tasks.start_soon(module.Scheduler(app).run)
                module = await run_sync(import_module, "agent_mem.hooks.reader")
                tasks.start_soon(module.Reader(app).run)

    async def _begun(self) -> None:
        """Wait for the first call; where there is a memory already, not for ever.

        What its agents do by themselves is due even if nobody calls.
        """
        with anyio.move_on_after(PATIENCE):
            await self._opened.wait()
        try:
            if not self._direct and await run_sync(self.settings.db.expanduser().exists):
                await self()
        except (AgentMemError, OSError) as error:  # of one owner: the others go on
            logger.warning("Nothing is done in the background yet: %s", error)
        await self._opened.wait()

    async def close(self) -> None:
        """End that work, finish the write that is under way, and close the database."""
        self._working.cancel()
        async with self._busy:
            await self._stack.aclose()
