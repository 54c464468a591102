"""Distributed tables stand by: with each table in pieces by owner, a statement touches one piece.

Citus places rows by the hash of a column. A plain PostgreSQL with hash partitions shows the same:
whatever cannot be planned for one partition would be sent to every node.
"""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from helpers_postgres import Cluster, connected
from test_same_rows import CASES

from agent_mem.records import RECORDS
from agent_mem.records.record import Record
from agent_mem.storage import statements
from agent_mem.storage.postgres import numbered, prepare
from agent_mem.storage.statements import queries
from agent_mem.storage.sync.incoming import news

pytestmark = pytest.mark.anyio

PIECES = 4
KEY = UUID(int=7)
NOW = datetime(2026, 5, 1, tzinfo=UTC)
OWNED = """
    SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'owner'
    WHERE n.nspname = 'agent_mem' AND c.relkind = 'r'
"""
OF_THE_SERVER: dict[str, Mapping[str, Any]] = {
    "local.tick": {"wall": 1},
    "local.advance": {"hlc": 1},
    "canonical.enrol": {"origin": KEY, "epoch": KEY},
    "sync.head": {},
    "sync.meet": {"id": KEY, "host": "h", "ver": 1, "at": NOW, "met": 1},
    "sync.meet_and_announce": {"id": KEY, "host": "h", "ver": 1, "at": NOW, "met": 1},
}
WITHOUT_ROWS = {
    "canonical.schema",
    "canonical.schema_exists",
    "canonical.ledger_exists",
    "canonical.lock",
    "canonical.settle",
    "canonical.unprotected",
    "sync.announce",
    "ledger.create",
    "ledger.all",
    "ledger.add",
}
"""What reads or writes no owner's rows."""


@pytest.fixture
async def pieces(cluster: Cluster) -> AsyncGenerator[Any]:
    """Give a connection to a database in which every owner's table is in pieces."""
    with cluster.database() as name:
        async with connected(cluster.url(name)) as connection:
            await prepare(connection)
            await connection.execute("CREATE SCHEMA pieces")
            for row in await connection.fetch(OWNED):
                await cut(connection, row["name"])
            await connection.execute("SET search_path = pieces")
            yield connection


async def cut(connection: Any, table: str) -> None:  # noqa: ANN401 - the driver's
    whole = f"pieces.{table}"
    await connection.execute(
        f"CREATE TABLE {whole} (LIKE agent_mem.{table} INCLUDING ALL) PARTITION BY HASH (owner)"
    )
    for n in range(PIECES):
        await connection.execute(
            f"CREATE TABLE {whole}__{n} PARTITION OF {whole}"
            f" FOR VALUES WITH (MODULUS {PIECES}, REMAINDER {n})"
        )


def derived(model: type[Record]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give the statements that are made from a model's fields, those of the server."""
    row = model.model_construct().model_dump()
    filled = {name: row.get(name) for name in model.model_fields}
    page = {"after": 0, "head": 9, "limit": 5}
    yield statements.upsert(model), filled
    yield statements.select(model), {"id": KEY}
    yield statements.page(model), {"after": KEY, "limit": 5}
    yield statements.erase(model), {"before": NOW}
    yield statements.count(model), {}
    yield statements.push(model), {"n": 1, "rows": [{}]}
    yield statements.pull(model), page
    yield statements.pull_some(model), {"ids": [KEY]}
    if "expires_at" in model.model_fields:
        yield statements.expired(model), {"now": NOW, "limit": 5}


async def touched(connection: Any, sql: str, params: Mapping[str, Any]) -> set[str]:  # noqa: ANN401 - the driver's
    """Name the pieces that a statement's plan reads or writes, without their tables."""
    text, names = numbered(sql)
    values = {"owner": "me", **params}
    (row,) = await connection.fetch(
        f"EXPLAIN (FORMAT JSON) {text}", *(values[name] for name in names)
    )
    return {
        relation.partition("__")[2]
        for relation in relations(json.loads(row[0]))
        if "__" in relation
    }


def relations(plan: object) -> Iterator[str]:
    if isinstance(plan, list):
        for part in plan:  # pyright: ignore[reportUnknownVariableType] - JSON
            yield from relations(part)  # pyright: ignore[reportUnknownArgumentType] - JSON
    elif isinstance(plan, dict):
        for name, value in plan.items():  # pyright: ignore[reportUnknownVariableType] - JSON
            if name == "Relation Name":
                yield str(value)  # pyright: ignore[reportUnknownArgumentType] - JSON
            yield from relations(value)  # pyright: ignore[reportUnknownArgumentType] - JSON


def test_no_statement_of_the_server_is_left_out() -> None:
    assert queries("postgres").keys() == CASES.keys() | OF_THE_SERVER.keys() | WITHOUT_ROWS


async def test_every_statement_touches_one_piece(pieces: Any) -> None:  # noqa: ANN401 - the driver's
    for sql, params in (pair for model in RECORDS for pair in derived(model)):
        assert len(await touched(pieces, sql, params)) <= 1, sql
    tables = tuple(model.TABLE for model in RECORDS)
    page = {**dict.fromkeys(tables, 0), "head": 9, "limit": 5}
    assert len(await touched(pieces, news(tables), page)) == 1
    named = {**{name: cases[0] for name, cases in CASES.items()}, **OF_THE_SERVER}
    for name, params in named.items():
        found = await touched(pieces, queries("postgres")[name], params)
        assert len(found) <= 1, name


async def test_a_statement_without_the_owner_touches_all_pieces(pieces: Any) -> None:  # noqa: ANN401 - the driver's
    assert len(await touched(pieces, "SELECT * FROM memories", {})) == PIECES
