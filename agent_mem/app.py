"""The one place where things are wired."""

from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

from anyio import create_task_group

from agent_mem.config import Settings
from agent_mem.recall.frequencies import Frequencies
from agent_mem.recall.index import indexing
from agent_mem.recall.meaning import Meaning
from agent_mem.recall.search import Finder
from agent_mem.storage.alarm import Alarm
from agent_mem.storage.sqlite import SQLite
from agent_mem.storage.store import Store
from agent_mem.storage.sync.syncer import Syncer

EVERYWHERE = "*"


@dataclass(frozen=True, slots=True)
class App:
    """What every tool is given."""

    settings: Settings
    store: Store
    finder: Finder
    syncer: Syncer | None

    async def work(self) -> None:
        """Do what is done in the background, until cancelled."""
        async with create_task_group() as tasks:
            tasks.start_soon(self.finder.meaning.run)
            if self.syncer:
                tasks.start_soon(self.syncer.run)

    def where(self, project: str | None) -> str | None:
        """Resolve a project's name: by default the current one; None means everywhere."""
        named = project or self.settings.project
        return None if named == EVERYWHERE else named


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncGenerator[App]:
    """Open the database and whatever stands on it; close it all at the end."""
    async with SQLite.open(settings.db) as engine:
        store = Store(engine, settings.owner, indexing)
        async with Meaning.open(store, engine.path, settings) as meaning:
            with ExitStack() as opened:
                finder = Finder(store, meaning, Frequencies())
                syncer = None
                if settings.server:
                    url = settings.server.get_secret_value()
                    hook = settings.sync_webhook
                    alarm = Alarm(store, engine.path, hook.get_secret_value()) if hook else None
                    syncer = Syncer(store, engine.path, url, opened, alarm)
                yield App(settings, store, finder, syncer)
