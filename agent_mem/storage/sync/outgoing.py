"""The push: what waits in the outbox, a batch of one table at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from agent_mem.errors import RowRefused
from agent_mem.records import RECORDS
from agent_mem.records.event import Event
from agent_mem.records.record import NOBODY, Record, now
from agent_mem.storage import statements
from agent_mem.storage.lines import reason
from agent_mem.storage.statements import Row, Statement, Transaction
from agent_mem.storage.store import Store, decode
from agent_mem.storage.sync.incoming import Head, fetch
from agent_mem.storage.sync.tally import Pass

BATCH: Final = 200
BATCHES: Final = 4
"""How many are sent before it is pulled again: a busy push must not starve the pull."""
IMPORTANT: Final = 0.3
"""Events that matter less stay on their machine."""
AGAIN: Final = timedelta(minutes=5)
"""After which a row is tried again that the server refused; each time twice as long."""
DOUBLED: Final = 8
"""How often that is doubled, at most."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What of all that waits is to be sent."""

    session: UUID | None = None
    since: datetime | None = None

    def takes(self, record: Record) -> bool:
        of = {getattr(record, "session_id", None), record.id}
        return (self.session is None or self.session in of) and (
            self.since is None or record.updated_at >= self.since
        )


ALL: Final = Choice()


@dataclass(slots=True)
class Batch:
    """Rows of one table that wait, and those of them that are to go."""

    model: type[Record]
    due: list[Row]
    records: list[Record]
    held: list[tuple[Row, str]]
    """What cannot be read, and why."""

    def waiting(self, choice: Choice) -> list[Record]:
        return [r for r in self.records if matters(r) and choice.takes(r)]


def matters(record: Record) -> bool:
    return not isinstance(record, Event) or record.importance >= IMPORTANT


def reading(local: Store, model: type[Record], after: object) -> Transaction[Batch | None]:
    """Read what of a table waits; None where nothing does."""
    page = {"record": model.TABLE, "after": after, "now": now(), "limit": BATCH}
    due = yield local.query("sync.due", **page)
    if not due:
        return None
    ids = [row["id"] for row in due]
    among = Statement(statements.among(model), {"owner": local.owner, "ids": ids})
    batch = Batch(model, due, [], [])
    for row in (yield among):
        try:
            batch.records.append(decode(model, row))
        except ValueError as error:
            batch.held.append((row, reason(error)))
    return batch


async def push(local: Store, server: Store, head: Head, done: Pass, choice: Choice = ALL) -> bool:
    """Send some batches; tell whether there was anything to send."""
    left = BATCHES
    for model in RECORDS:
        after: object = NOBODY
        while left and (batch := await local.engine.read(reading(local, model, after))):
            after = batch.due[-1]["id"]
            if records := batch.waiting(choice):
                await sending(local, server, head, records, done)
                left -= 1
            await local.engine.write(settling(local, batch))
    return left < BATCHES


async def sending(
    local: Store, server: Store, head: Head, records: Sequence[Record], done: Pass
) -> None:
    """Send a batch, or where the server refuses it, each of its halves."""
    model = type(records[0])
    try:
        rows = await server.engine.write(pushing(server, records))
    except RowRefused as error:
        if len(records) == 1:
            key = {"id": records[0].id, "hlc": records[0].hlc}
            await local.engine.write(deferring(local, model, key, str(error)))
            return
        half = len(records) // 2
        for part in (records[:half], records[half:]):
            await sending(local, server, head, part, done)
        return
    done.send(model, rows)
    versions = {str(row["id"]): row["ver"] for row in rows}
    await local.engine.write(acknowledging(local, records, versions))
    if known := [record for record in records if str(record.id) not in versions]:
        done.receive(model, await fetch(local, server, head, known))


def pushing(server: Store, records: Sequence[Record]) -> Transaction[list[Row]]:
    rows = [record.model_dump(mode="json") for record in records]
    params: dict[str, Any] = {"owner": server.owner, "n": len(rows), "rows": rows}
    taken = yield Statement(statements.push(type(records[0])), params)
    yield server.query("sync.announce")
    return taken


def acknowledging(
    local: Store, records: Sequence[Record], versions: dict[str, int]
) -> Transaction[None]:
    """Take off the outbox what the server took.

    What it did not take it has already, or it has a later one: that is fetched, tells what was
    lost, and takes it off. If it cannot be taken, this waits.
    """
    for record in records:
        key = {"id": record.id, "hlc": record.hlc}
        if ver := versions.get(str(record.id)):
            yield local.query("sync.done", record=record.TABLE, **key)
            known = {"owner": local.owner, "ver": ver, **key}
            yield Statement(statements.mark_known(type(record)), known)
        else:
            later = now() + AGAIN
            yield local.query("sync.postpone", record=record.TABLE, **key, next_at=later)


def deferring(
    local: Store, model: type[Record], key: Mapping[str, object], error: str
) -> Transaction[None]:
    """Set a row aside that the server refuses, unless it was changed since: the others go on."""
    for row in (yield local.query("sync.tried", record=model.TABLE, **key)):
        later = now() + AGAIN * 2 ** min(row["tries"], DOUBLED)
        aside = {"error": error, "next_at": later}
        yield local.query("sync.defer", record=model.TABLE, **key, **aside)


def settling(local: Store, batch: Batch) -> Transaction[None]:
    """Take off the outbox what is not to go, and set aside what cannot be read."""
    there = {str(record.id) for record in batch.records if matters(record)}
    there |= {row["id"] for row, _ in batch.held}
    for row in batch.due:
        if row["id"] not in there:
            yield local.query("sync.done", record=batch.model.TABLE, **row)
    for row, why in batch.held:
        key = {"id": row["id"], "hlc": row["hlc"]}
        yield from deferring(local, batch.model, key, why)
