"""Records in and out of a database: one class for every kind and every engine."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeVar, get_origin
from uuid import UUID

from agent_mem.records import RECORDS
from agent_mem.records.record import Record, now
from agent_mem.storage import statements
from agent_mem.storage.blocks import Dialect, queries
from agent_mem.storage.statements import Row, Statement, Transaction

R = TypeVar("R", bound=Record)
T = TypeVar("T")

CHANGES_KEPT = 5_000


class Engine(Protocol):
    """A database that runs transactions: SQLite here, PostgreSQL beside it."""

    @property
    def dialect(self) -> Dialect: ...

    async def read(self, transaction: Transaction[T]) -> T: ...

    async def write(self, transaction: Transaction[T]) -> T: ...


@cache
def _json_fields(model: type[Record]) -> frozenset[str]:
    fields = model.model_fields.items()
    return frozenset(n for n, field in fields if get_origin(field.annotation) in (list, dict))


def decode(model: type[R], row: Row) -> R:
    """Read a row as its record; JSON comes as text from SQLite, as itself from PostgreSQL.

    Columns that the record does not know are a newer version's, or another program's.
    """
    known = model.model_fields
    values: dict[str, Any] = {n: value for n, value in dict(row).items() if n in known}
    for name in _json_fields(model):
        if isinstance(values[name], str):
            values[name] = json.loads(values[name])
    return model.model_validate(values)


@dataclass(frozen=True, slots=True)
class Store:
    """One owner's records. Its generators are transactions, or parts of a larger one."""

    engine: Engine
    owner: str
    index: Callable[["Store", Sequence[Record]], Transaction[None]]
    """Keeps what recall searches in step with records, in the transaction that writes them."""

    async def get(self, model: type[R], key: UUID) -> R | None:
        """Fetch one record; None if there is none, or if it was forgotten."""
        return await self.engine.read(self.getting(model, key))

    async def put(self, *records: Record) -> None:
        """Write records, all or none."""
        await self.engine.write(self.putting(*records))

    async def find(self, model: type[R], name: str, /, **params: object) -> list[R]:
        """Run a named query whose rows are whole records."""
        return [decode(model, row) for row in await self.rows(name, **params)]

    async def rows(self, name: str, /, **params: object) -> list[Row]:
        """Run a named query that reads."""
        return await self.engine.read(self.asking(name, **params))

    def query(self, name: str, /, **params: object) -> Statement:
        """Name a statement (`file.name`) and give it its parameters; the owner is added."""
        sql = queries(self.engine.dialect)[name]
        return Statement(sql, {"owner": self.owner, **params})

    def asking(self, name: str, /, **params: object) -> Transaction[list[Row]]:
        return (yield self.query(name, **params))

    def getting(
        self, model: type[R], key: UUID, *, forgotten: bool = False
    ) -> Transaction[R | None]:
        rows = yield Statement(statements.select(model), {"owner": self.owner, "id": key})
        found = [decode(model, row) for row in rows]
        return next((r for r in found if forgotten or r.deleted_at is None), None)

    def locating(self, key: UUID) -> Transaction[list[Record]]:
        """Look for an id among all that recall can find, forgotten or not."""
        found: list[Record] = []
        for model in RECORDS:
            record = (yield from self.getting(model, key, forgotten=True)) if model.KIND else None
            found += [record] if record else []
        return found

    def putting(self, *records: Record) -> Transaction[None]:
        for record in records:
            yield from self.saving(record)

    def saving(self, record: R) -> Transaction[R]:
        """Write one row, its index and its outbox entry, stamped with this file's clock."""
        (tick,) = yield self.query("local.tick", wall=(time.time_ns() // 1_000_000) << 16)
        stamp = {"owner": self.owner, "updated_at": now(), **tick}
        stamped = record.model_copy(update={**stamp, "origin": UUID(str(tick["origin"]))})
        yield from self._writing(stamped)
        return stamped

    def restoring(self, record: Record) -> Transaction[bool]:
        """Write one row as it is, if none as late is there; tell whether it was written."""
        (seen,) = yield self.query("local.advance", hlc=record.hlc)
        return (yield from self._writing(record.model_copy(update={"ver": seen["ver"]})))

    def taking(self, record: Record) -> Transaction[bool]:
        """Write one row that came from the server, if none as late is there; it does not wait.

        Whoever takes some, advances the clock first, has all that was written indexed, and tells
        the others of it at the end.
        """
        upsert = statements.upsert(type(record)) + " RETURNING id"
        return bool((yield Statement(upsert, record.model_dump())))

    def _writing(self, record: Record) -> Transaction[bool]:
        """Write one row, and only if it is the later one, its index and its outbox entry."""
        if not (yield from self._keeping(record)):
            return False
        if self.engine.dialect == "sqlite":
            key = {"record": record.TABLE, "id": record.id}
            yield self.query("local.mark_dirty", **key, hlc=record.hlc)
        else:  # the server is what others follow
            yield self.query("sync.announce")
        return True

    def _keeping(self, record: Record) -> Transaction[bool]:
        """Write one row, if it is the later one, and its index; tell the processes on this file."""
        if not (yield from self.taking(record)):
            return False
        if self.engine.dialect == "sqlite":
            yield from self.telling([record])
        yield from self.index(self, [record])
        return True

    def telling(self, records: Sequence[Record]) -> Transaction[None]:
        """Tell the processes on this file what is another now."""
        uris = list(dict.fromkeys(uri for record in records for uri in record.uris()))
        if uris:
            yield self.query("local.note_changes", uris=uris)
            yield self.query("local.trim_changes", keep=CHANGES_KEPT)
