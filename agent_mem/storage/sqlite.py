"""The SQLite engine: one file that several processes read and write at the same time."""

import json
import os
import platform
import sqlite3
import sys
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar
from uuid import UUID

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from portalocker.exceptions import LockException

from agent_mem.errors import (
    RowRefused,
    StorageBusy,
    StorageDamaged,
    StorageError,
    StorageFull,
    UnsafePlace,
)
from agent_mem.records.record import uuid7
from agent_mem.storage import place
from agent_mem.storage.blocks import Dialect, queries
from agent_mem.storage.lock import FileLock
from agent_mem.storage.migrations import migrating, pending, steps
from agent_mem.storage.statements import Row, Statement, Transaction

T = TypeVar("T")

PRAGMAS = {
    "busy_timeout": 10_000,
    "foreign_keys": "ON",
    "synchronous": "FULL",  # an acknowledged write survives a power cut
    "trusted_schema": "OFF",
    "journal_size_limit": 4 << 20,
    "mmap_size": 0,
    "temp_store": "MEMORY",
}
READERS = 2
CAUSES = {
    sqlite3.SQLITE_FULL: StorageFull,
    sqlite3.SQLITE_BUSY: StorageBusy,
    sqlite3.SQLITE_LOCKED: StorageBusy,
    sqlite3.SQLITE_CORRUPT: StorageDamaged,
    sqlite3.SQLITE_NOTADB: StorageDamaged,
}


PLAIN = frozenset({str, int, float, bool, bytes, NoneType})
"""What SQLite keeps as it is."""
written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def encode(value: object) -> object:
    """Write a value as SQLite keeps it; times in UTC at one precision, since it compares text."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="microseconds")
        case UUID():
            return str(value)
        case list() | dict():
            return written(value)
        case _:
            return value


@contextmanager
def wrapped(path: Path) -> Generator[None]:
    """Turn the driver's errors into ours, once."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if cause := CAUSES.get(code):
            raise cause from error
        kind = RowRefused if code == sqlite3.SQLITE_CONSTRAINT else StorageError
        raise kind(f"{path}: {error}.") from error


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open one connection with the settings that keep what was acknowledged."""
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    connection.row_factory = sqlite3.Row
    try:
        for name, value in PRAGMAS.items():
            connection.execute(f"PRAGMA {name} = {value}")
        if sys.platform == "darwin":
            connection.execute("PRAGMA fullfsync = ON")
        if read_only:
            connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def split(script: str) -> Iterator[str]:
    """Cut a script into statements (`executescript` would commit before it begins)."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def drive(connection: sqlite3.Connection, transaction: Transaction[T]) -> T:
    """Run what a transaction yields, until it returns."""
    try:
        statement = next(transaction)
        while True:
            statement = transaction.send(execute(connection, statement))
    except StopIteration as end:
        return end.value


def execute(connection: sqlite3.Connection, statement: Statement) -> list[Row]:
    """Run one statement and fetch all of it: a half-read cursor would pin the WAL."""
    # Most are plain, and a call for each of them would cost as much as all else here.
    params = {
        name: value if type(value) in PLAIN else encode(value)
        for name, value in statement.params.items()
    }
    return connection.execute(statement.sql, params).fetchall()


def founding(path: Path) -> Transaction[None]:
    """Make or update the tables, and give a new file, or a copy of one, its name."""
    yield from migrating("sqlite", split)
    yield Statement("ANALYZE sqlite_schema", {})  # makes the table of what the planner is told
    for query in ("local.forget_plan", "local.plan"):
        yield Statement(queries("sqlite")[query], {})
    yield Statement("ANALYZE sqlite_schema", {})  # has it read
    name = {"id": uuid7(), "fingerprint": fingerprint(path)}
    for query in ("local.name_replica", "local.rename_replica"):
        yield Statement(queries("sqlite")[query], name)


def fingerprint(path: Path) -> str:
    """Tell one file from another, its copies on this machine and elsewhere, too."""
    found = path.stat()
    return f"{platform.node()}:{found.st_dev}:{found.st_ino}"


class SQLite:
    """One file, one writing connection a process, and a few that only read."""

    dialect: Dialect = "sqlite"

    def __init__(self, path: Path, opened: ExitStack) -> None:
        self.path = path
        self._lock = FileLock(path.with_name(path.name + ".lock"))
        opened.callback(self._lock.close)
        self._writer = opened.enter_context(closing(connect(path)))
        refuse_foreign(path, self._writer)
        # Only a new file needs the lock here, which another process may hold for long.
        if self._writer.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            with self._lock:
                self._writer.execute("PRAGMA journal_mode = WAL")
        self._readers = [
            opened.enter_context(closing(connect(path, read_only=True))) for _ in range(READERS)
        ]
        self._opened = opened
        self._writing = CapacityLimiter(1)
        self._reading = CapacityLimiter(READERS)

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path) -> AsyncGenerator["SQLite"]:
        """Open a file, made and migrated if need be, and close it at the end.

        Raises:
            UnsafePlace, SchemaError, StorageError: what is wrong with it.
        """
        engine = await run_sync(cls._open, path)
        try:
            yield engine
        finally:
            await engine._close()  # noqa: SLF001 - itself

    async def read(self, transaction: Transaction[T]) -> T:
        """Run a transaction that only reads, on one snapshot."""
        return await run_sync(partial(self._read, transaction), limiter=self._reading)

    async def write(self, transaction: Transaction[T]) -> T:
        """Run a transaction whole or not at all; it is on disk when this returns.

        It runs in a thread to its end, so that cancelling the caller cannot tear it.
        """
        return await run_sync(partial(self._write, transaction), limiter=self._writing)

    @classmethod
    def _open(cls, path: Path) -> "SQLite":
        try:
            path = path.expanduser().resolve()  # one file, one lock, however it is named
            place.check(path)
            prepare(path)
            with wrapped(path), ExitStack() as opened:
                engine = cls(path, opened)
                if engine._stale():
                    engine._write(founding(path))
                engine._opened = opened.pop_all()
        except (OSError, RuntimeError, LockException) as error:  # no such home, no locks there
            why = getattr(error, "strerror", None) or error
            raise UnsafePlace(
                f"No database can be kept at {path} ({why}):"
                " set AGENT_MEM_DB to a file that can be written."
            ) from error
        return engine

    def _stale(self) -> bool:
        """Look whether anything is due, without the lock: mostly nothing is."""
        exists = "SELECT 1 FROM sqlite_master WHERE name = 'schema_ledger'"
        if not self._writer.execute(exists).fetchall():
            return True
        ledger = self._writer.execute(queries(self.dialect)["ledger.all"]).fetchall()
        if pending(steps(self.dialect), ledger):
            return True
        named = self._writer.execute(queries(self.dialect)["local.fingerprint"]).fetchall()
        return named[0][0] != fingerprint(self.path)

    async def _close(self) -> None:
        # A connection that is closed while a thread uses it takes the process down: wait for all,
        # and let none begin. The file lock is not taken, since another process may hold it for
        # long: SQLite checkpoints here only where nobody else has the file open.
        for number in range(READERS):
            await self._reading.acquire_on_behalf_of(number)
        await run_sync(self._opened.close, limiter=self._writing)

    def _read(self, transaction: Transaction[T]) -> T:
        connection = self._readers.pop()
        try:
            with wrapped(self.path), within(connection, "BEGIN"):
                return drive(connection, transaction)
        finally:
            self._readers.append(connection)

    def _write(self, transaction: Transaction[T]) -> T:
        with wrapped(self.path), self._lock, within(self._writer, "BEGIN IMMEDIATE"):
            return drive(self._writer, transaction)


@contextmanager
def within(connection: sqlite3.Connection, begin: str) -> Generator[None]:
    """Commit what happens inside, or take all of it back."""
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def refuse_foreign(path: Path, connection: sqlite3.Connection) -> None:
    """Leave the database of another program as it is.

    Raises:
        StorageError: the file has tables, and none of ours.
    """
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    if names and "schema_ledger" not in names:
        raise StorageError(
            f"{path} is a database of another program: set AGENT_MEM_DB to another file."
        )


def prepare(path: Path) -> None:
    """Make the folder and the file for their owner's eyes only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def sound(path: Path) -> str:
    """Check every page and index of a file; `ok`, or the first thing that is wrong."""
    with closing(connect(path, read_only=True)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchone()[0]


def facts(path: Path) -> Mapping[str, Any]:
    """Tell the library's version and the size of the file with its log, in bytes."""
    files = [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]
    size = sum(file.stat().st_size for file in files if file.exists())
    return {"sqlite": sqlite3.sqlite_version, "bytes": size}
