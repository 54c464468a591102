"""What goes wrong with PostgreSQL, in our words: the driver's errors, and what to do about them."""

import re
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import asyncpg as untyped  # pyright: ignore[reportMissingTypeStubs] - it has none

from agent_mem.errors import (
    InvalidInput,
    RowRefused,
    ServerRefused,
    ServerUnreachable,
    StorageError,
    StorageFull,
)
from agent_mem.storage.server_address import AUTHORITY

asyncpg: Any = untyped

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
BROKEN: Final = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the pool, where a connection ends while it is given back
)
LOST: Final = re.compile(
    r"connection is closed|connection_lost|released back to the pool|free connection holder"
)


@contextmanager
def wrapped() -> Generator[None]:
    """Turn the driver's errors into ours, once."""
    try:
        yield
    except BROKEN as error:
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
