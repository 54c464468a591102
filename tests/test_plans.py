"""What the planner makes of a recall's statements."""

import pytest
from helpers_vectors import filters

from agent_mem.app import App
from agent_mem.storage.blocks import queries
from agent_mem.storage.statements import Row, Statement, Transaction

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["fetch", "links", "records"])
async def test_some_passages_are_read_by_their_keys_and_not_through_all_of_their_owner(
    app: App, name: str
) -> None:
    asked = app.store.query(f"passages.{name}", among=[1], **filters())

    def planned() -> Transaction[list[Row]]:
        sql = queries("sqlite")[f"passages.{name}"]
        return (yield Statement(f"EXPLAIN QUERY PLAN {sql}", asked.params))

    lines = [row["detail"] for row in await app.store.engine.read(planned())]
    assert "SEARCH p USING INTEGER PRIMARY KEY (rowid=?)" in lines
