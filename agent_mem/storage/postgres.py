"""The PostgreSQL engine: the canonical store that the machines of a team share."""

import asyncio
import json
import re
import ssl
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache, partial
from typing import Any, Final, TypeVar

import asyncpg as untyped  # pyright: ignore[reportMissingTypeStubs] - it has none

from agent_mem.errors import (
    InvalidInput,
    RowRefused,
    ServerRefused,
    ServerUnreachable,
    StorageError,
    StorageFull,
)
from agent_mem.storage.canonical import enrolling, founding, stale
from agent_mem.storage.server_address import AUTHORITY, encryption, understood
from agent_mem.storage.statements import Dialect, Row, Statement, Transaction, queries

T = TypeVar("T")

asyncpg: Any = untyped

PATIENCE: Final = 30.0
"""Seconds that a statement may take, and a connection to be made."""
CONNECTIONS: Final = 4
SCHEMA: Final = "agent_mem"
CHANNEL: Final = "agent_mem"
ATTEMPTS: Final = 5
"""How often it is tried to make the tables beside others that do the same."""
UNKNOWN: Final = frozenset({"42703", "42P01"})
"""A column or a table is missing."""
OTHERS: Final = (
    " These are not the tables that this agent-mem knows: update it, if a newer one has changed"
    " them. Nothing is lost."
)
OWNED: Final = (
    "The tables there are missing, or older than this agent-mem, and this role may not change"
    " them: let the role that owns them run `agent-mem sync` once."
)
LOST: Final = re.compile(r"connection is closed|connection_lost|released back to the pool")
NAMED: Final = re.compile(r"(?<![:\w]):([a-z_]\w*)")

Connection = Any
"""asyncpg's types are those of a proxy, without the rows."""


@cache
def numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """Write `:name` as `$1`; give the names in the order of their numbers."""
    names = tuple(dict.fromkeys(NAMED.findall(sql)))
    places = {name: f"${i}" for i, name in enumerate(names, 1)}
    return NAMED.sub(lambda match: places[match[1]], sql), names


@contextmanager
def wrapped() -> Generator[None]:
    """Turn the driver's errors into ours, once."""
    try:
        yield
    except (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError) as error:
        said = str(error).rstrip(".") or "it does not answer"
        if LOST.search(said):
            said = "the connection was lost"  # it would name a method of the driver
        if isinstance(error, ssl.SSLError) or "SSL" in said:
            raise ServerRefused(f"No safe connection to PostgreSQL: {said}.") from error
        raise ServerUnreachable(f"PostgreSQL cannot be reached: {said}.") from error
    except asyncpg.PostgresError as error:
        advice = OTHERS if error.sqlstate in UNKNOWN else ""
        raise cause(error.sqlstate)(f"PostgreSQL: {str(error).rstrip('.')}.{advice}") from error


@contextmanager
def permitted() -> Generator[None]:
    """Say what to do where the tables are due for a change that the role may not make."""
    try:
        yield
    except ServerRefused as error:
        if not isinstance(error.__cause__, asyncpg.InsufficientPrivilegeError):
            raise
        raise ServerRefused(f"{error} {OWNED}") from error.__cause__


def cause(code: str) -> type[StorageError]:
    """Choose what an error of the server is to us, by its class (appendix A of its manual)."""
    kinds: dict[str, type[StorageError]] = {
        "08": ServerUnreachable,
        "22": RowRefused,
        "23": RowRefused,
        "28": ServerRefused,
        "3D": ServerRefused,
        "42": ServerRefused,
        "53": ServerUnreachable,
        "57": ServerUnreachable,
    }
    return StorageFull if code == "53100" else kinds.get(code[:2], StorageError)


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
    return await connection.fetch(sql, *(statement.params[name] for name in names))


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
            await engine.found()
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

    async def found(self) -> None:
        """Bring the tables up to date, beside others that may do the same."""
        left = ATTEMPTS
        while True:
            try:
                if await self.write(stale()):
                    with permitted():
                        await self.write(founding())
                await self.write(enrolling(self.owner))
            except (RowRefused, ServerRefused):
                # Two that make the same schema at once: PostgreSQL fails one of them.
                left -= 1
                if not left:
                    raise
            else:
                return

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


@contextmanager
def sensible() -> Generator[None]:
    """Say what is wrong with an address, without the password in it."""
    try:
        yield
    except OSError:  # a certificate's is a ValueError, too
        raise
    except asyncpg.ClientConfigurationError as error:
        why = f"{error}."
        if "root certificate" in why:  # and which file it has looked for
            why = f"it asks for a checked certificate, and no authority is named: {AUTHORITY}"
        raise InvalidInput(f"AGENT_MEM_SERVER cannot be used: {why}") from None
    except ValueError:  # which may quote all of it
        raise InvalidInput(
            "AGENT_MEM_SERVER is no address of a PostgreSQL: write"
            " postgresql://name:password@host:5432/database, and %2F for a slash in the password."
        ) from None
