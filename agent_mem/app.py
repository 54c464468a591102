"""The one place where things are wired."""

from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from importlib import import_module

from anyio import create_task_group
from anyio.to_thread import run_sync

from agent_mem.config import Settings
from agent_mem.errors import InvalidInput
from agent_mem.recall.carrying import Carrier
from agent_mem.recall.frequencies import Frequencies
from agent_mem.recall.index import indexing, indexing_there
from agent_mem.recall.meaning import Meaning, on_file, on_server
from agent_mem.recall.search import Finder
from agent_mem.storage.alarm import Alarm
from agent_mem.storage.lock import FileLock
from agent_mem.storage.lull import Lull, Patient
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
    carrier: Carrier | None
    lull: Lull
    """What is done in the background waits for one, so that whoever asks does not."""

    async def work(self) -> None:
        """Do what is done in the background, until cancelled."""
        async with create_task_group() as tasks:
            tasks.start_soon(self.finder.meaning.run)
            if self.syncer:
                tasks.start_soon(self.syncer.run)
            if self.carrier:
                tasks.start_soon(self.carrier.run)

    def where(self, project: str | None) -> str | None:
        """Resolve a project's name: by default the current one; None means everywhere."""
        named = project or self.settings.project
        return None if named == EVERYWHERE else named


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncGenerator[App]:
    """Open the database and whatever stands on it; close it all at the end."""
    async with SQLite.open(settings.db) as engine:
        store, lull = Store(engine, settings.owner, indexing), Lull()
        later = replace(store, engine=Patient(engine, lull))
        with ExitStack() as opened:
            spaced = on_file(later, engine.path, opened)
            async with Meaning.open(store, settings, spaced) as meaning:
                finder = Finder(store, meaning, Frequencies())
                syncer = carrier = None
                if settings.server:
                    url = settings.server.get_secret_value()
                    hook = settings.sync_webhook
                    alarm = Alarm(store, engine.path, hook.get_secret_value()) if hook else None
                    syncer = Syncer(later, engine.path, url, opened, lull, alarm=alarm)
                    file = engine.path.with_name(f"{engine.path.name}.carrier.lock")
                    lock = opened.enter_context(closing(FileLock(file)))
                    carrier = Carrier(later, syncer.searched, lock.if_free)
                yield App(settings, store, finder, syncer, carrier, lull)


@asynccontextmanager
async def open_direct(settings: Settings) -> AsyncGenerator[App]:
    """Work on the server itself, without a file: what is answered is there.

    Raises:
        InvalidInput: no server is set.
        StorageError: it cannot be reached, or refuses.
    """
    if settings.server is None:
        raise InvalidInput("Set AGENT_MEM_SERVER: without a file, a PostgreSQL has to be there.")
    # Here, since the driver takes long to load and not everybody has a server.
    module = await run_sync(import_module, "agent_mem.storage.postgres")
    url = settings.server.get_secret_value()
    async with module.Postgres.open(url, settings.owner) as engine:
        store = Store(engine, settings.owner, indexing_there)
        known = settings if engine.vectors else settings.model_copy(update={"embedder": "none"})
        async with Meaning.open(store, known, on_server(store)) as meaning:
            finder = Finder(store, meaning, Frequencies())
            yield App(settings, store, finder, None, None, Lull())
