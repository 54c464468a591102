"""The PostgreSQL engine: the canonical store that the machines of a team share."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from typing import Any, Final, TypeVar

from agent_mem.errors import RowRefused, ServerRefused, StorageError
from agent_mem.storage.blocks import Dialect, queries
from agent_mem.storage.canonical import (
    enrolling,
    extending,
    extension,
    founding,
    stale,
    vectors,
    widening,
)
from agent_mem.storage.postgres_errors import asyncpg, permitted, sensible, wrapped
from agent_mem.storage.server_address import encryption, understood
from agent_mem.storage.statements import Row, Statement, Transaction

T = TypeVar("T")

PATIENCE: Final = 30.0
"""Seconds that a statement may take, and a connection to be made."""
CONNECTIONS: Final = 4
SCHEMA: Final = "agent_mem"
CHANNEL: Final = "agent_mem"
ATTEMPTS: Final = 5
"""How often it is tried to make the tables beside others that do the same."""
NAMED: Final = re.compile(r"(?<![:\w]):([a-z_]\w*)")

Connection = Any
"""asyncpg's types are those of a proxy, without the rows."""


@cache
def numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """Write `:name` as `$1`; give the names in the order of their numbers."""
    names = tuple(dict.fromkeys(NAMED.findall(sql)))
    places = {name: f"${i}" for i, name in enumerate(names, 1)}
    return NAMED.sub(lambda match: places[match[1]], sql), names


async def drive(connection: Connection, transaction: Transaction[T]) -> T:
    """Run what a transaction yields, until it returns."""
    try:
        statement = next(transaction)
        while True:
            statement = transaction.send(await execute(connection, statement))
    except StopIteration as end:
        return end.value


async def execute(connection: Connection, statement: Statement) -> list[Row]:
    sql, names = numbered(statement.sql)
    values = (statement.params[name] for name in names)
    return await connection.fetch(sql, *values, timeout=statement.patience)


async def transact(
    connection: Connection,
    start: Transaction[None],
    transaction: Transaction[T],
    **how: Any,  # noqa: ANN401 - the driver's
) -> T:
    async with connection.transaction(**how):
        await drive(connection, start)
        return await drive(connection, transaction)


async def whole(connection: Connection, work: Coroutine[Any, Any, T]) -> T:
    """Do something on a connection; where the caller is cancelled meanwhile, break it off.

    The driver itself would ask the server to stop, on a connection that it makes for that and
    leaves behind: with a server that hangs, for long, and with errors on stderr.
    """
    doing = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        doing.add_done_callback(lambda done: done.cancelled() or done.exception())
        with suppress(asyncpg.InterfaceError):  # it has broken off by itself
            connection.terminate()
        raise


async def prepare(connection: Connection) -> None:
    """Have JSON read and written as what it stands for."""
    dumps = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))
    codec = {"encoder": dumps, "decoder": json.loads, "schema": "pg_catalog", "format": "text"}
    await whole(connection, connection.set_type_codec("jsonb", **codec))


async def unchanged(_: Connection) -> None:
    """Leave a connection as it is: what a transaction sets ends with it.

    The driver's own way asks the server, and a connection that breaks meanwhile is told to nobody.
    """


class Postgres:
    """One database, a few connections, one owner."""

    dialect: Dialect = "postgres"

    def __init__(self, pool: Connection, owner: str) -> None:
        self.owner = owner
        self._pool = pool
        self.vectors = False
        """The server has pgvector."""
        self._path = SCHEMA

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, owner: str) -> AsyncGenerator["Postgres"]:
        """Open a database, made and migrated if need be, and close it at the end.

        Raises:
            InvalidInput: the address makes no sense.
            SchemaError, StorageError: what is wrong with the server.
        """
        with wrapped(), sensible():
            pool = await connect(url)
        try:
            engine = cls(pool, owner)
            await engine.extend(new=await engine.found())
            yield engine
        finally:
            pool.terminate()

    async def read(self, transaction: Transaction[T]) -> T:
        """Run a transaction that only reads, on one snapshot."""
        return await self._run(transaction, isolation="repeatable_read", readonly=True)

    async def write(self, transaction: Transaction[T]) -> T:
        """Run a transaction whole or not at all; it is on disk there when this returns."""
        return await self._run(transaction)

    @asynccontextmanager
    async def listening(self, hear: Callable[[], object]) -> AsyncGenerator[None]:
        """Call a function whenever the owner's rows have changed, if the server's word gets here.

        It does on a direct connection, and may not through a pooler.
        """

        def said(_: object, __: int, ___: str, owner: str) -> None:
            if owner == self.owner:
                hear()

        with wrapped():
            connection = await self._pool.acquire()
        try:
            with wrapped():
                await whole(connection, connection.add_listener(CHANNEL, said))
            yield
        finally:
            with suppress(asyncpg.InterfaceError):  # it has broken off by itself
                connection.terminate()

    async def found(self) -> bool:
        """Bring the tables up to date, beside others that may do the same; tell if it was due."""
        left, due = ATTEMPTS, False
        while True:
            try:
                if await self.write(stale()):
                    due = True
                    with permitted():
                        await self.write(founding())
                await self.write(enrolling(self.owner))
            except (RowRefused, ServerRefused):
                # Two that make the same schema at once: PostgreSQL fails one of them.
                left -= 1
                if not left:
                    raise
            else:
                return due

    async def extend(self, *, new: bool) -> None:
        """Use pgvector, which is made with the tables if this role may: all else goes without."""
        state = await self.read(extension())
        if new and not state["path"] and state["available"]:
            with suppress(StorageError):
                await self.write(extending())
            state = await self.read(extension())
        if state["path"]:
            self._path = f"{SCHEMA}, {state['path']}"
            if not state["found"] and state["may_found"]:
                with suppress(RowRefused, ServerRefused):  # another has made it meanwhile
                    await self.write(vectors())
            if state["may_widen"]:
                with suppress(StorageError):  # somebody is at the table: the next time
                    for what in ("events_column", "events_index"):
                        await self.write(widening(what))
            self.vectors = (await self.read(extension()))["found"]

    async def _run(self, transaction: Transaction[T], **how: Any) -> T:  # noqa: ANN401 - the driver's
        with wrapped():
            async with self._pool.acquire() as connection:
                doing = transact(connection, self._settling(), transaction, **how)
                return await whole(connection, doing)

    def _settling(self) -> Transaction[None]:
        # As every statement's: through a pooler no other state outlives a transaction.
        settle = queries("postgres")["canonical.settle"]
        yield Statement(settle, {"owner": self.owner, "path": self._path})


async def connect(url: str) -> Connection:
    """Make the pool: nothing in it needs a session of its own (`statement_cache_size`)."""
    pool = await asyncpg.create_pool(
        understood(url),
        ssl=encryption(url),
        min_size=0,  # else the pool looks for the server by itself, and logs what it finds
        max_size=CONNECTIONS,
        command_timeout=PATIENCE,
        timeout=PATIENCE,
        statement_cache_size=0,
        init=prepare,
        reset=unchanged,
    )
    async with pool.acquire():  # only this reads the address
        return pool
