"""The push: what waits in the outbox, some of all tables at a time."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from agent_mem.errors import RowRefused
from agent_mem.records import RECORDS
from agent_mem.records.event import Event
from agent_mem.records.record import NOBODY, Record, now
from agent_mem.storage import shelf, statements
from agent_mem.storage.lines import reason
from agent_mem.storage.statements import Row, Statement, Transaction
from agent_mem.storage.store import Store, decode
from agent_mem.storage.sync.incoming import by_model, fetch
from agent_mem.storage.sync.meeting import Known, Way, announcing, closing, noted, presenting
from agent_mem.storage.sync.tally import Choice

BATCH: Final = 200
BATCHES: Final = 4
"""How many are sent before it is pulled again: a busy push must not starve the pull."""
IMPORTANT: Final = 0.3
"""Events that matter less stay on their machine."""
AGAIN: Final = timedelta(minutes=5)
"""After which a row is tried again that the server refused; each time twice as long."""
DOUBLED: Final = 8
"""How often that is doubled, at most."""

Passages = Mapping[str, Sequence[Row]]
"""What records are found by, by their ids."""


@dataclass(slots=True)
class Batch:
    """Rows of one table that wait, and those of them that are to go."""

    model: type[Record]
    due: list[Row]
    records: list[Record]
    held: list[tuple[Row, str]]
    """What cannot be read, and why."""
    passages: defaultdict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    """What the records are found by, as they were at the same moment."""

    @property
    def staying(self) -> list[Row]:
        """What waits for nothing: it is gone, or is not to leave its machine."""
        there = {str(record.id) for record in self.records if matters(record)}
        there |= {row["id"] for row, _ in self.held}
        return [row for row in self.due if row["id"] not in there]

    def waiting(self, choice: Choice) -> list[Record]:
        return [r for r in self.records if matters(r) and choice.takes(r)]


def matters(record: Record) -> bool:
    return not isinstance(record, Event) or record.importance >= IMPORTANT


def reading(
    local: Store, model: type[Record], after: object, limit: int = BATCH
) -> Transaction[Batch | None]:
    """Read what of a table waits; None where nothing does."""
    page = {"record": model.TABLE, "after": after, "now": now(), "limit": limit}
    due = yield local.query("sync.due", **page)
    if not due:
        return None
    ids = [row["id"] for row in due]
    among = Statement(statements.among(model), {"owner": local.owner, "ids": ids})
    batch = Batch(model, due, [], [])
    for row in (yield local.query("passages.of_records", ids=ids)) if model.KIND else ():
        batch.passages[row["record_id"]].append(row)
    for row in (yield among):
        try:
            batch.records.append(decode(model, row))
        except ValueError as error:
            batch.held.append((row, reason(error)))
    return batch


def gathering(local: Store, after: Mapping[type[Record], object]) -> Transaction[list[Batch]]:
    """Read some of what waits, of all tables."""
    batches: list[Batch] = []
    left = BATCH
    for model in RECORDS:
        batch = yield from reading(local, model, after.get(model, NOBODY), left)
        if batch:
            batches.append(batch)
            left -= len(batch.due)
        if not left:
            break
    return batches


async def push(way: Way, known: Known) -> tuple[Known, bool]:
    """Send some batches; give what the file knows then, and whether the pass came to its end."""
    after: dict[type[Record], object] = {}
    left, ended = BATCHES, False
    while left and not ended:
        batches = await way.local.engine.read(gathering(way.local, after))
        after |= {batch.model: batch.due[-1]["id"] for batch in batches}
        if any(batch.staying or batch.held for batch in batches):
            await way.local.engine.write(settling(way.local, batches))
        if records := [r for batch in batches for r in batch.waiting(way.done.choice)]:
            left -= 1
            last = sum(len(batch.due) for batch in batches) < BATCH
            passages = {key: p for batch in batches for key, p in batch.passages.items()}
            known, ended = await sending(way, known, records, passages, last=last)
            if left == 0:  # there is much to send
                await shelf.introduce(way.server, "passages", "passage_terms")
        elif not batches:
            return known, left == BATCHES and await ending(way, known)
    return known, ended


async def ending(way: Way, known: Known) -> bool:
    """End a pass in which nothing was left to send."""
    if way.told < known.read:
        # All that was read is on disk here: the server may forget what every machine has read.
        await way.server.engine.write(presenting(way.server, known, way.head))
    await way.local.engine.write(closing(way.local, known, way.head, way.done))
    return True


async def sending(
    way: Way, known: Known, records: list[Record], passages: Passages, *, last: bool
) -> tuple[Known, bool]:
    """Send a batch, or where the server refuses it, each of its halves.

    With the last batch the pass ends, if nobody else's change has come between.
    """
    try:
        versions, then = await way.server.engine.write(delivering(way, known, records, passages))
    except RowRefused as error:
        return await halving(way, known, records, passages, str(error)), False
    way.done.send([record for record in records if named(record) in versions])
    ended = last and then.read == known.read + len(records)
    await way.local.engine.write(acknowledging(way, then, records, versions, ended=ended))
    if others := [record for record in records if named(record) not in versions]:
        way.done.receive(await fetch(way, others))
    return then, ended


async def halving(
    way: Way, known: Known, records: list[Record], passages: Passages, error: str
) -> Known:
    """Send both halves of what was refused; set it aside where it is one row."""
    half = len(records) // 2
    if not half:
        key = {"id": records[0].id, "hlc": records[0].hlc}
        await way.local.engine.write(deferring(way.local, type(records[0]), key, error))
        return known
    for part in (records[:half], records[half:]):
        known, _ = await sending(way, known, part, passages, last=False)
    return known


def named(record: Record) -> tuple[str, str]:
    return record.TABLE, str(record.id)


def delivering(
    way: Way, known: Known, records: Sequence[Record], passages: Passages
) -> Transaction[tuple[dict[tuple[str, str], int], Known]]:
    """Push rows of some tables, and count that; give their versions, and what the file knows.

    Where they have the very next versions there is nothing between that has to be read.
    """
    versions: dict[tuple[str, str], int] = {}
    for model, some in by_model(records):
        rows = yield from pushing(way.server, some, way.head.latest)
        versions |= {(model.TABLE, str(row["id"])): row["ver"] for row in rows}
    taken = [record for record in records if record.KIND and named(record) in versions]
    yield from finding(way.server, taken, passages)
    then = known.read + len(records)
    if sorted(versions.values()) == [*range(known.read + 1, then + 1)]:
        known = known._replace(cursors=dict.fromkeys(known.cursors, then))
    return versions, (yield from announcing(way.server, known, way.head))


def pushing(server: Store, records: Sequence[Record], latest: int = 0) -> Transaction[list[Row]]:
    """Push rows of one table; what is written on the server is later than those up to `latest`."""
    rows = [record.model_dump(mode="json") for record in records]
    seen = max((record.hlc for record in records if record.hlc <= latest), default=0)
    params: dict[str, Any] = {"owner": server.owner, "n": len(rows), "seen": seen, "rows": rows}
    return (yield Statement(statements.push(type(records[0])), params))


def finding(server: Store, records: Sequence[Record], passages: Passages) -> Transaction[None]:
    """Have what the server took be found there."""
    made = {record.id: record.created_at for record in records}
    rows = [{**row, "made": at} for key, at in made.items() for row in passages.get(str(key), ())]
    if made:
        yield from shelf.shelving(server, list(made), rows)


def acknowledging(
    way: Way,
    known: Known,
    records: Sequence[Record],
    versions: Mapping[tuple[str, str], int],
    *,
    ended: bool,
) -> Transaction[None]:
    """Take off the outbox what the server took.

    What it did not take it has already, or it has a later one: that is fetched, tells what was
    lost, and takes it off. If it cannot be taken, this waits.
    """
    local = way.local
    for record in records:
        key = {"id": record.id, "hlc": record.hlc}
        if ver := versions.get(named(record)):
            yield local.query("sync.done", record=record.TABLE, **key)
            now_known = {"owner": local.owner, "ver": ver, **key}
            yield Statement(statements.mark_known(type(record)), now_known)
        else:
            later = now() + AGAIN
            yield local.query("sync.postpone", record=record.TABLE, **key, next_at=later)
    yield from closing(local, known, way.head, way.done) if ended else noted(local, known)


def deferring(
    local: Store, model: type[Record], key: Mapping[str, object], error: str
) -> Transaction[None]:
    """Set a row aside that the server refuses, unless it was changed since: the others go on."""
    for row in (yield local.query("sync.tried", record=model.TABLE, **key)):
        later = now() + AGAIN * 2 ** min(row["tries"], DOUBLED)
        aside = {"error": error, "next_at": later}
        yield local.query("sync.defer", record=model.TABLE, **key, **aside)


def settling(local: Store, batches: Sequence[Batch]) -> Transaction[None]:
    """Take off the outbox what is not to go, and set aside what cannot be read."""
    for batch in batches:
        for row in batch.staying:
            yield local.query("sync.done", record=batch.model.TABLE, **row)
        for row, why in batch.held:
            key = {"id": row["id"], "hlc": row["hlc"]}
            yield from deferring(local, batch.model, key, why)
