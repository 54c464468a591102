"""The tables are tested, not trusted."""

import re
import sqlite3
from collections.abc import AsyncGenerator, Iterator
from datetime import datetime
from types import UnionType
from typing import Annotated, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import pytest

from agent_mem.config import Settings
from agent_mem.errors import SchemaDrift, SchemaTooNew
from agent_mem.records import RECORDS
from agent_mem.records.record import Record
from agent_mem.storage import statements
from agent_mem.storage.blocks import blocks, parse, queries
from agent_mem.storage.migrations import Step, pending, steps
from agent_mem.storage.sqlite import SQLite

pytestmark = pytest.mark.anyio

PLAIN: dict[object, str] = {
    UUID: "uuid",
    datetime: "timestamptz",
    str: "text",
    int: "integer",
    float: "double precision",
    bool: "boolean",
}
WIDE = {"hlc": "bigint", "ver": "bigint"}
MODELS = pytest.mark.parametrize("model", RECORDS, ids=lambda model: model.TABLE)


def declared(hint: object) -> tuple[str, bool]:
    """Say which column a field needs: its type, and whether it may be empty."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return declared(inner[0])
    if origin in (Union, UnionType):
        (kind,) = [option for option in inner if option is not type(None)]
        return declared(kind)[0], True
    if origin is Literal:
        return "text", False
    if origin is list and declared(inner[0])[0] == "text":
        return "text array", False
    return PLAIN.get(hint, "jsonb"), False


@pytest.fixture
async def db(settings: Settings) -> AsyncGenerator[sqlite3.Connection]:
    async with SQLite.open(settings.db):
        pass
    connection = sqlite3.connect(settings.db)
    yield connection
    connection.close()


def columns(db: sqlite3.Connection, table: str) -> Iterator[tuple[str, str, bool]]:
    for _, name, kind, not_null, _, _ in db.execute(f"PRAGMA table_info({table})"):
        yield name, kind.lower(), not not_null


@MODELS
async def test_the_columns_are_the_fields_in_order_with_their_types(
    db: sqlite3.Connection, model: type[Record]
) -> None:
    hints = get_type_hints(model, include_extras=True)
    expected = [
        (name, WIDE.get(name, declared(hints[name])[0]), declared(hints[name])[1])
        for name in model.model_fields
    ]

    assert list(columns(db, model.TABLE)) == expected


@MODELS
async def test_every_key_begins_with_the_owner(db: sqlite3.Connection, model: type[Record]) -> None:
    keys = [
        [row[2] for row in db.execute(f"PRAGMA index_info({name})")]
        for _, name, unique, *_ in db.execute(f"PRAGMA index_list({model.TABLE})")
        if unique
    ]

    assert keys
    assert all(key[0] == "owner" for key in keys)


@pytest.mark.parametrize("name", sorted(queries("sqlite")))
async def test_every_named_query_is_understood_by_its_database(
    db: sqlite3.Connection, name: str
) -> None:
    sql = queries("sqlite")[name]
    params = dict.fromkeys(re.findall(r":([a-z_0-9]+)", sql), "1")

    plan = db.execute(f"EXPLAIN {sql}", params).fetchall()

    assert plan


@MODELS
async def test_what_is_derived_from_the_fields_is_understood(
    db: sqlite3.Connection, model: type[Record]
) -> None:
    params = dict.fromkeys([*model.model_fields, "limit", "after", "before", "now"], 1)

    derived = [statements.upsert, statements.select, statements.page, statements.count]
    derived += [statements.erase]
    derived += [statements.expired] if "expires_at" in model.model_fields else []
    for derive in derived:
        assert db.execute(f"EXPLAIN {derive(model)}", params).fetchall()


def test_every_block_has_a_sentence_that_says_what_it_is_for() -> None:
    queries = [block for block in blocks() if block.verb != "migrate"]
    told = [block for block in queries if block.verb == "query" or "\n" in block.text]

    assert all(re.match(r"-- [A-Z].*[.,:]", block.text) for block in told)


def test_a_database_that_is_up_to_date_has_nothing_to_do() -> None:
    known = steps("sqlite")
    ledger = [{"line": s.line, "version": s.version, "sha256": s.sha256} for s in known]

    assert pending(known, ledger) == []
    assert pending(known, ledger[1:]) == known[:1]


def test_an_edited_migration_is_refused() -> None:
    ledger = [{"line": "memories", "version": 1, "sha256": Step("memories", 1, "old").sha256}]

    with pytest.raises(SchemaDrift, match="Step 1 of memories was applied"):
        pending([Step("memories", 1, "new")], ledger)


def test_a_database_of_a_newer_program_is_refused() -> None:
    ledger = [{"line": "memories", "version": 9, "sha256": "…"}]

    with pytest.raises(SchemaTooNew, match="step 9 of memories"):
        pending([Step("memories", 1, "text")], ledger)


async def test_a_newer_database_is_refused_when_it_is_opened(settings: Settings) -> None:
    async with SQLite.open(settings.db):
        pass
    with sqlite3.connect(settings.db) as db:
        db.execute("INSERT INTO schema_ledger VALUES ('wonders', 1, 'x')")
    db.close()

    with pytest.raises(SchemaTooNew, match="Update this one"):
        async with SQLite.open(settings.db):
            pass


async def test_new_steps_are_applied_to_an_old_file(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SQLite.open(settings.db):
        pass
    more = (
        *blocks(),
        *parse("wonders", "-- migrate 1 --\nCREATE TABLE w (a text);\nCREATE TABLE x (a text);\n"),
    )
    monkeypatch.setattr("agent_mem.storage.migrations.blocks", lambda: more)

    async with SQLite.open(settings.db):
        pass

    with sqlite3.connect(settings.db) as db:
        assert db.execute(
            "SELECT count(*) FROM sqlite_master WHERE name IN ('w', 'x')"
        ).fetchone() == (2,)
    db.close()
