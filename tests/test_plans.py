"""What the planner makes of the statements that a caller waits for."""

import pytest
from helpers_vectors import filters

from agent_mem.app import App
from agent_mem.storage.blocks import queries
from agent_mem.storage.statements import Row, Statement, Transaction

pytestmark = pytest.mark.anyio


async def plan(app: App, name: str, **params: object) -> list[str]:
    asked = app.store.query(name, **params)

    def planned() -> Transaction[list[Row]]:
        return (yield Statement(f"EXPLAIN QUERY PLAN {queries('sqlite')[name]}", asked.params))

    return [row["detail"] for row in await app.store.engine.read(planned())]


@pytest.mark.parametrize("name", ["fetch", "links", "records"])
async def test_some_passages_are_read_by_their_keys_and_not_through_all_of_their_owner(
    app: App, name: str
) -> None:
    lines = await plan(app, f"passages.{name}", among=[1], **filters())

    assert "SEARCH p USING INTEGER PRIMARY KEY (rowid=?)" in lines


@pytest.mark.parametrize(
    ("name", "params", "index"),
    [
        ("same", {"content_hash": "x"}, "memories_hash (owner=? AND content_hash=?)"),
        ("all_of_topic", {"topic": "x"}, "memories_topic (owner=? AND topic=?)"),
    ],
    ids=["same", "all_of_topic"],
)
async def test_an_index_is_taken_for_what_it_finds_and_not_for_the_sort_that_it_spares(
    app: App, name: str, params: dict[str, str], index: str
) -> None:
    lines = await plan(app, f"memories.{name}", **params)

    assert lines[0] == f"SEARCH memories USING INDEX {index}"
