"""What the server finds by: the passages of its records, sent with them by whoever writes them."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_jsonable_python

from agent_mem.errors import StorageError
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Store

PATIENCE: Final = 5.0
"""Seconds that the planner may take to learn of a table."""


def place(record_id: UUID | str, part: int) -> int:
    """Give a passage its key on the server: 63 bits of a hash, whoever sends it."""
    name = f"{record_id}/{part}".encode()
    return int.from_bytes(blake2b(name, digest_size=8).digest()) >> 1


def shelving(
    server: Store, ids: Sequence[UUID], rows: Iterable[Mapping[str, Any]]
) -> Transaction[None]:
    """Put the passages of some records in the place of those that were there.

    Args:
        server: a store on PostgreSQL.
        ids: the records; those that have no passage any more, too.
        rows: their passages, with the columns of the table.
    """
    new = {key: {**row, "owner": server.owner, "n": key} for key, row in keyed(rows)}
    yield server.query("passages.unlist", ids=ids)
    old = {row["n"]: row for row in (yield server.query("passages.remove", ids=ids))}
    if new:
        yield server.query("passages.add", rows=to_jsonable_python(list(new.values())))
        yield server.query("passages.list", ids=ids)
    if old or new:
        yield from counting(server, old, new)


async def introduce(server: Store, *tables: str) -> None:
    """Have the planner learn what tables are like, if it does not know yet, and this role may tell.

    Autovacuum does it within minutes. Until then an owner's rows are taken for few, and all of
    them are read where an index would do: a first sync would take twice as long. Where it cannot
    be done now, since somebody else is at the table, it goes on without.
    """
    for table in tables:
        with suppress(StorageError):
            await server.engine.write(introducing(server, table))


def introducing(server: Store, table: str) -> Transaction[None]:
    (state,) = yield server.query("canonical.uncounted", table=table)
    if state["uncounted"]:
        yield server.query(f"canonical.count_{table}")._replace(patience=PATIENCE)


def keyed(rows: Iterable[Mapping[str, Any]]) -> Iterable[tuple[int, Mapping[str, Any]]]:
    return ((place(row["record_id"], row["part"]), dict(row)) for row in rows)


def counting(
    server: Store, old: Mapping[int, Mapping[str, Any]], new: Mapping[int, Mapping[str, Any]]
) -> Transaction[None]:
    """Count what came and went; ask for the vectors of what is new, or another now."""
    told = {key: row["digest"] for key, row in old.items()}
    changed = {k: row["digest"] for k, row in new.items() if told.get(k) != row["digest"]}
    sizes = [sum(row["size"] for row in rows.values()) for rows in (old, new)]
    yield server.query("memory_index.dequeue_some", among=list(old.keys() - new.keys()))
    waiting = {"among": list(changed), "digests": list(changed.values())}
    yield server.query("memory_index.enqueue_some", **waiting)
    yield server.query("passages.resize", passages=len(new) - len(old), terms=sizes[1] - sizes[0])
