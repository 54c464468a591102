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

from agent_mem.recall.frequencies import Corpus
from agent_mem.recall.matching import Match
from agent_mem.records import RECORDS
from agent_mem.records.record import Record
from agent_mem.storage import statements
from agent_mem.storage.blocks import queries
from agent_mem.storage.postgres import numbered, prepare
from agent_mem.storage.sync.incoming import news

pytestmark = pytest.mark.anyio

PIECES = 4
KEY = UUID(int=7)
NOW = datetime(2026, 5, 1, tzinfo=UTC)
ASKED = f"[{','.join(['1'] * 384)}]"
OWNED = """
    SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'owner'
    WHERE n.nspname = 'agent_mem' AND c.relkind = 'r'
"""
OF_THE_SERVER: dict[str, Mapping[str, Any]] = {
    "local.tick": {"wall": 1},
    "local.advance": {"hlc": 1},
    "local.last_change": {},
    "behaviors.note_status": {"id": KEY, "status": "idle", "last_run": NOW},
    "skill_approvals.all": {},
    "skill_approvals.add": {"skill_id": KEY, "digest": "x", "approved_at": NOW},
    "skill_approvals.here": {},
    "canonical.enrol": {"origin": KEY, "epoch": KEY},
    "sync.head": {},
    "sync.meet": {"id": KEY, "host": "h", "ver": 1, "at": NOW, "met": 1},
    "sync.meet_and_announce": {"id": KEY, "host": "h", "ver": 1, "at": NOW, "met": 1},
}
SOME: Mapping[str, Any] = {"among": [1], "digests": [2]}
MODEL: Mapping[str, Any] = {"model": "m"}
ONE: Mapping[str, Any] = {**MODEL, "n": 1, "digest": 2}
ALLOWED: Mapping[str, Any] = {
    "kinds": None,
    "topic": None,
    "agent": None,
    "project": None,
    "since": NOW,
    "until": NOW,
    "valid_at": NOW,
    "begun_by": NOW,
    "ended": False,
}
WORDS: Mapping[str, Any] = {
    **Match(["a"], ["a"]).params(Corpus({}, 1, 1.0)),
    **ALLOWED,
    "limit": 5,
}
OF_THE_INDEX: dict[str, Mapping[str, Any]] = {
    "passages.unlist": {"ids": [KEY]},
    "passages.remove": {"ids": [KEY]},
    "passages.add": {"rows": [{}]},
    "passages.list": {"ids": [KEY]},
    "passages.resize": {"passages": 1, "terms": 1},
    "passages.matching": WORDS,
    "passages.latest_matching": WORDS,
    "passages.near": {**MODEL, **ALLOWED, "asked": ASKED, "limit": 5},
    "passages.newest": {**ALLOWED, "limit": 5},
    "passages.records": {"among": [1]},
    "passages.links": {"among": [1]},
    "passages.fetch": {**ALLOWED, "among": [1]},
    "passages.frequencies": {"terms": ["a"]},
    "passages.totals": {},
    "memory_index.models": {},
    "memory_index.add_model": {**MODEL, "dim": 3},
    "memory_index.enqueue_all": MODEL,
    "memory_index.enqueue_again": MODEL,
    "memory_index.enqueue_some": SOME,
    "memory_index.dequeue_some": {"among": [1]},
    "memory_index.queued": {**MODEL, "shares": 1, "share": 0, "after": 0, "limit": 5},
    "memory_index.waiting": MODEL,
    "memory_index.take": {**MODEL, "ticket": 1, "digest": 2},
    "memory_index.take_some": {**MODEL, **SOME},
    "memory_index.finish": MODEL,
    "memory_index.put": {**ONE, "vector": "[1]"},
    "memory_index.put_tokens": {**ONE, "tokens": b""},
    "memory_index.put_many": {**MODEL, **SOME, "vectors": ["[1]"]},
    "memory_index.put_all_tokens": {**MODEL, **SOME, "tokens": [b""]},
    "memory_index.vectors": {**MODEL, "among": [1]},
    "memory_index.cosines": {**MODEL, "among": [1], "asked": "[1]"},
    "memory_index.tokens": {**MODEL, "among": [1]},
    "memory_index.indexed": {**MODEL, "name": "x"},
    "memory_index.drop_astray": MODEL,
    "memory_index.drop_model": MODEL,
    "memory_index.drop_vectors": MODEL,
    "memory_index.drop_queue": MODEL,
    "memory_index.drop_all_tokens": MODEL,
}
WITHOUT_ROWS = {
    "canonical.count_embedding_queue",
    "canonical.count_passage_terms",
    "canonical.count_passages",
    "canonical.uncounted",
    "canonical.schema",
    "canonical.schema_exists",
    "canonical.ledger_exists",
    "canonical.lock",
    "canonical.settle",
    "canonical.unprotected",
    "memory_index.build_fast",
    "memory_index.count_up",
    "memory_index.events_column",
    "memory_index.events_index",
    "memory_index.extend",
    "memory_index.extension",
    "memory_index.found",
    "memory_index.hurry",
    "memory_index.make",
    "memory_index.search_wide",
    "sync.announce",
    "ledger.create",
    "ledger.all",
    "ledger.add",
}
"""What reads or writes no owner's rows, or makes an index for all."""


@pytest.fixture
async def pieces(cluster: Cluster) -> AsyncGenerator[Any]:
    """Give a connection to a database in which every owner's table is in pieces."""
    with cluster.database() as name:
        async with connected(cluster.url(name)) as connection:
            await prepare(connection)
            await connection.execute("CREATE SCHEMA pieces")
            for row in await connection.fetch(OWNED):
                await cut(connection, row["name"])
            await connection.execute("SET search_path = pieces, public")
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
    yield statements.push(model), {"n": 1, "seen": 0, "rows": [{}]}
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
    known = CASES.keys() | OF_THE_SERVER.keys() | OF_THE_INDEX.keys() | WITHOUT_ROWS
    assert queries("postgres").keys() == known


async def test_every_statement_touches_one_piece(pieces: Any) -> None:  # noqa: ANN401 - the driver's
    for sql, params in (pair for model in RECORDS for pair in derived(model)):
        assert len(await touched(pieces, sql, params)) <= 1, sql
    tables = tuple(model.TABLE for model in RECORDS)
    page = {**dict.fromkeys(tables, 0), "head": 9, "limit": 5}
    assert len(await touched(pieces, news(tables), page)) == 1
    named = {**{name: cases[0] for name, cases in CASES.items()}, **OF_THE_SERVER, **OF_THE_INDEX}
    for name, params in named.items():
        found = await touched(pieces, queries("postgres")[name], params)
        assert len(found) <= 1, name


async def test_a_statement_without_the_owner_touches_all_pieces(pieces: Any) -> None:  # noqa: ANN401 - the driver's
    assert len(await touched(pieces, "SELECT * FROM memories", {})) == PIECES
