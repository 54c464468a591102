"""Machines with a file each that share a server, and what stands between them."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio
import anyio.lowlevel
from anyio.abc import SocketStream
from pydantic import SecretStr

from agent_mem.app import App, open_app
from agent_mem.cli.trial import free_port
from agent_mem.config import Settings
from agent_mem.records.loser import Loser
from agent_mem.records.record import Record
from agent_mem.storage.statements import Row, Statement, Transaction
from agent_mem.storage.store import Store, decode
from agent_mem.storage.sync.syncer import Syncer
from agent_mem.storage.sync.tally import ALL, Choice, Pass

CUT = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError)
WORDS = "none"
"""No embedder: what is tested here has nothing to do with meaning."""


@asynccontextmanager
async def machine(folder: Path, url: str, **more: Any) -> AsyncGenerator[App]:  # noqa: ANN401 - settings
    """Open a machine's file, which may be there already."""
    more = {"embedder": WORDS, **more}
    settings = Settings(db=folder / "memory.db", server=SecretStr(url), **more)
    async with open_app(settings) as app:
        yield app


def syncer(app: App) -> Syncer:
    assert app.syncer is not None
    return app.syncer


async def sync(*apps: App, choice: Choice = ALL) -> list[tuple[int, int]]:
    """Make a pass on each machine; tell how many rows each has sent and received."""
    passes = [await syncer(app).once(choice) for app in apps]
    return [moved(done) for done in passes]


def moved(done: Pass) -> tuple[int, int]:
    return done.sent, done.received


async def settle(*apps: App) -> None:
    """Sync until all have what all have written, their logs included."""
    for _ in range(3):
        await sync(*apps)


async def run(store: Store, sql: str, **params: object) -> list[Row]:
    """Run a statement on a machine's file."""

    def running() -> Transaction[list[Row]]:
        return (yield Statement(sql, {"owner": store.owner, **params}))

    return await store.engine.write(running())


async def row(app: App, record: Record) -> Record | None:
    """Read a row, forgotten or not."""
    getting = app.store.getting(type(record), record.id, forgotten=True)
    return await app.store.engine.read(getting)


async def stored(app: App, record: Record) -> Record:
    found = await row(app, record)
    assert found is not None
    return found


async def restore(app: App, record: Record) -> bool:
    """Write a row as it is, as an import does."""
    return await app.store.engine.write(app.store.restoring(record))


async def waiting(app: App) -> list[Row]:
    """List what waits for sync, the log of the sync aside."""
    sql = "SELECT * FROM outbox WHERE owner = :owner AND record <> 'memory_sync_log'"
    return await run(app.store, sql)


async def aside(app: App) -> list[str]:
    """List why rows of the server were not taken."""
    return [row["error"] for row in await app.store.rows("sync.aside", limit=100)]


async def losers(app: App) -> list[Loser]:
    rows = await run(app.store, "SELECT * FROM record_history WHERE owner = :owner")
    return [decode(Loser, row) for row in rows]


@contextmanager
def clock(seconds: float) -> Generator[None]:
    """Have the machine's clock be wrong by some seconds."""
    real = time.time_ns
    with patch.object(time, "time_ns", lambda: real() + int(seconds * 1e9)):
        yield


class Line:
    """The way to a server, which can be closed, cut, or stall as a broken router does."""

    def __init__(self, url: str) -> None:
        self.target = int(url.rpartition(":")[2].partition("/")[0])
        self.port = free_port()
        self.url = url.replace(f":{self.target}/", f":{self.port}/")
        self._open = True
        self._flows = anyio.Event()
        self._flows.set()
        self._carried: set[anyio.CancelScope] = set()
        self._turned_away = 0
        self._held = 0

    def close(self) -> None:
        """Let nobody through; who is, is cut off."""
        self._open = False
        self.cut()

    def open(self) -> None:
        self._open = True

    def cut(self) -> None:
        for scope in self._carried:
            scope.cancel()

    def stall(self) -> None:
        self._flows = anyio.Event()

    def flow(self) -> None:
        """Let what was held get through."""
        self._held = 0
        self._flows.set()

    def turned_away(self, count: int) -> Callable[[], Awaitable[bool]]:
        """Look whether so many have been turned away."""

        async def look() -> bool:
            await anyio.lowlevel.checkpoint()
            return self._turned_away >= count

        return look

    async def held(self) -> bool:
        """Look whether something was said that does not get through."""
        await anyio.lowlevel.checkpoint()
        return self._held > 0

    async def carry(self, client: SocketStream) -> None:
        """Carry what one connection says, both ways."""
        if not self._open:
            self._turned_away += 1
            await client.aclose()
            return
        with anyio.CancelScope() as scope, suppress(*CUT):
            self._carried.add(scope)
            async with (
                client,
                await anyio.connect_tcp("127.0.0.1", self.target) as server,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(self._copy, client, server)
                tasks.start_soon(self._copy, server, client)
        self._carried.remove(scope)

    async def _copy(self, source: SocketStream, sink: SocketStream) -> None:
        with suppress(*CUT):
            async for data in source:
                self._held += not self._flows.is_set()
                await self._flows.wait()
                await sink.send(data)
        await sink.aclose()


@asynccontextmanager
async def line(url: str) -> AsyncGenerator[Line]:
    """Put a line between the machines and their server."""
    made = Line(url)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=made.port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, made.carry)
        yield made
        tasks.cancel_scope.cancel()
