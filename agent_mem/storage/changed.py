"""What has changed since somebody looked: the resources that are others now."""

from agent_mem.records import RECORDS
from agent_mem.storage import statements
from agent_mem.storage.statements import Statement, Transaction
from agent_mem.storage.store import Store

MOST = 1_000
"""Rows of one table that are read to tell what changed: nobody wants to hear of more at once."""


async def last_change(store: Store) -> int:
    """Say where the changes have got to."""
    (row,) = await store.rows("local.last_change")
    return row["n"]


async def changed(store: Store, after: int, latest: int) -> list[str]:
    """List the resources that changed after a place in the order of changes.

    A file keeps that list, for all processes on it; the server has the versions of its rows.
    """
    if store.engine.dialect == "sqlite":
        return [row["uri"] for row in await store.rows("local.changed_since", n=after)]
    return await store.engine.read(_reading(store, after, latest))


def _reading(store: Store, after: int, latest: int) -> Transaction[list[str]]:
    found: dict[str, None] = {}
    page = {"owner": store.owner, "after": after, "head": latest, "limit": MOST}
    for model in RECORDS:
        for row in (yield Statement(statements.pull(model), page)):
            found |= dict.fromkeys(model.model_validate_json(row["body"]).uris())
    return list(found)
