"""Statements and transactions, and the SQL that is derived from a model's fields."""

from collections.abc import Generator, Mapping
from functools import cache
from typing import Any, NamedTuple, TypeAlias, TypeVar

from agent_mem.records.record import Record

Row: TypeAlias = Mapping[str, Any]
T = TypeVar("T")


class Statement(NamedTuple):
    """One SQL text with its named parameters (`:name`)."""

    sql: str
    params: Mapping[str, Any]
    patience: float | None = None
    """Seconds that a server may take for it, if not as many as for others."""


Transaction: TypeAlias = Generator[Statement, list[Row], T]
"""What a transaction does, without a database: it yields statements and is sent their rows.

An engine drives it to its end inside one transaction, so that the same function runs in
SQLite's thread and over PostgreSQL's connection, and nothing is ever awaited in between.
"""


@cache
def upsert(model: type[Record]) -> str:
    """Write a whole row, unless a later one is there: `(hlc, origin)` decides."""
    names = list(model.model_fields)
    values = ", ".join(f":{name}" for name in names)
    changes = ", ".join(f"{n} = excluded.{n}" for n in names if n not in ("owner", "id"))
    return (
        f"INSERT INTO {model.TABLE} ({', '.join(names)}) VALUES ({values}) "  # noqa: S608 - our own names
        f"ON CONFLICT (owner, id) DO UPDATE SET {changes} "
        f"WHERE (excluded.hlc, excluded.origin) > ({model.TABLE}.hlc, {model.TABLE}.origin)"
    )


@cache
def select(model: type[Record]) -> str:
    """Read one row by its key."""
    return f"SELECT * FROM {model.TABLE} WHERE owner = :owner AND id = :id"  # noqa: S608 - our own names


@cache
def page(model: type[Record]) -> str:
    """Read the rows after a key, in the order of their ids."""
    return (
        f"SELECT * FROM {model.TABLE} WHERE owner = :owner AND id > :after "  # noqa: S608 - our own names
        "ORDER BY id LIMIT :limit"
    )


@cache
def expired(model: type[Record]) -> str:
    """Find the rows that carry a date which has passed."""
    return (
        f"SELECT * FROM {model.TABLE} WHERE owner = :owner AND deleted_at IS NULL "  # noqa: S608 - our own names
        "AND expires_at <= :now ORDER BY id LIMIT :limit"
    )


@cache
def erase(model: type[Record], *, waiting: bool = True) -> str:
    """Remove for good what was forgotten before a time; on request, not what waits (SQLite)."""
    waits = f"SELECT id FROM outbox WHERE owner = :owner AND record = '{model.TABLE}'"  # noqa: S608 - our own names
    return (
        f"DELETE FROM {model.TABLE} WHERE owner = :owner AND deleted_at < :before "  # noqa: S608 - our own names
        f"{'' if waiting else f'AND id NOT IN ({waits}) '}RETURNING id"
    )


@cache
def count(model: type[Record]) -> str:
    """Count the rows that are not deleted."""
    return (
        f"SELECT count(*) AS n FROM {model.TABLE} "  # noqa: S608 - our own names
        "WHERE owner = :owner AND deleted_at IS NULL"
    )


@cache
def among(model: type[Record]) -> str:
    """Read some rows by their ids (SQLite)."""
    return (
        f"SELECT * FROM {model.TABLE} WHERE owner = :owner "  # noqa: S608 - our own names
        "AND id IN (SELECT value FROM json_each(:ids))"
    )


@cache
def requeue(model: type[Record]) -> str:
    """Have every row wait for sync (SQLite)."""
    return (
        "INSERT INTO outbox (owner, record, id, hlc, tries) "  # noqa: S608 - our own names
        f"SELECT owner, '{model.TABLE}', id, hlc, 0 FROM {model.TABLE} WHERE owner = :owner "
        "ON CONFLICT (owner, record, id) DO UPDATE SET hlc = excluded.hlc"
    )


@cache
def mark_known(model: type[Record]) -> str:
    """Note the server's version of a row, unless it was changed since (SQLite)."""
    return (
        f"UPDATE {model.TABLE} SET ver = :ver "  # noqa: S608 - our own names
        "WHERE owner = :owner AND id = :id AND hlc = :hlc"
    )


@cache
def push(model: type[Record]) -> str:
    """Write rows to the server, later ones only, each with the next version (PostgreSQL).

    The update of the feed holds its row until the commit, so versions are handed out in the order
    of commits: who reads up to one has seen all below it. Its clock goes on from the rows (`seen`),
    so that what is written on the server itself is later than they are.
    """
    names = [name for name in model.model_fields if name not in ("owner", "ver")]
    changes = ", ".join(f"{n} = excluded.{n}" for n in (*names[1:], "ver"))
    given = ", ".join(f"x.{name}" for name in names)
    return (
        "WITH bump AS (UPDATE feed SET ver = ver + :n, clock = greatest(clock, :seen) "  # noqa: S608 - our own names
        "WHERE owner = :owner RETURNING ver) "
        f"INSERT INTO {model.TABLE} AS m (owner, {', '.join(names)}, ver) "
        f"SELECT :owner, {given}, bump.ver - :n + x.ordinality FROM bump CROSS JOIN "
        f"jsonb_populate_recordset(CAST(NULL AS {model.TABLE}), CAST(:rows AS jsonb)) "
        "WITH ORDINALITY AS x ON CONFLICT (owner, id) DO UPDATE "
        f"SET {changes} WHERE (excluded.hlc, excluded.origin) > (m.hlc, m.origin) "
        "RETURNING id, ver"
    )


def pull(model: type[Record]) -> str:
    """Read what of a table came after a version, in order (PostgreSQL)."""
    return _as_json(model, "ver > :after AND ver <= :head ORDER BY ver LIMIT :limit")


def pull_some(model: type[Record]) -> str:
    """Read some rows by their ids (PostgreSQL)."""
    return _as_json(model, "id = ANY(CAST(:ids AS uuid[]))")


@cache
def _as_json(model: type[Record], which: str) -> str:
    """Read rows as JSON: a value that is not one of ours is then no reason to stop the others.

    Columns that a newer program has added are left alone: no write of ours names them.
    """
    return (
        "SELECT id, hlc, ver, CAST(to_jsonb(m) AS text) AS body FROM ("  # noqa: S608 - our own names
        f"SELECT {', '.join(model.model_fields)} FROM {model.TABLE} "
        f"WHERE owner = :owner AND {which}) AS m ORDER BY ver"
    )
