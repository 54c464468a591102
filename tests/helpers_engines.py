"""Both databases side by side, and what is the same of what they say."""

from collections.abc import Iterable
from typing import Any

from agent_mem.records.record import Record
from agent_mem.storage.sqlite import encode
from agent_mem.storage.statements import Row, Transaction
from agent_mem.storage.store import Engine, Store
from agent_mem.storage.sync.syncer import unindexed


def stored(engine: Engine) -> Store:
    """Open records without an index: only one of the databases has one."""
    return Store(engine, "me", unindexed)


async def restore(store: Store, records: Iterable[Record]) -> list[bool]:
    """Write records as they are, as an import does."""

    def restoring() -> Transaction[list[bool]]:
        written: list[bool] = []
        for record in records:
            written += [(yield from store.restoring(record))]
        return written

    return await store.engine.write(restoring())


def plain(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Write values as SQLite has them, whichever database they are from."""
    return [{name: flat(value) for name, value in dict(row).items()} for row in rows]


def flat(value: object) -> object:
    return int(value) if isinstance(value, bool) else encode(value)
