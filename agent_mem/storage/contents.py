"""What can be wrong with a memory: with what it holds; and what mends it."""

from collections.abc import Iterator
from contextlib import suppress

from agent_mem.errors import StorageDamaged
from agent_mem.records import RECORDS
from agent_mem.records.record import NOBODY, Record
from agent_mem.storage.archive import paged
from agent_mem.storage.comparison import indexed, keys, orphans
from agent_mem.storage.health import MEND, Cure, Finding
from agent_mem.storage.statements import Row, Statement, Transaction
from agent_mem.storage.store import Store, decode

UNEMBED = ("memory_index.clear", "memory_index.drop_tokens", "memory_index.dequeue")
"""What takes away the vectors of a passage."""


async def inside(store: Store, most: int | None) -> list[Finding]:
    """Check what a memory holds; nothing is changed.

    Args:
        store: the memory.
        most: rows of a table to compare with the index one by one; None compares all.
    """
    return [
        await words(store),
        *(await store.engine.read(indexed(store, most))),
        await store.engine.read(totals(store)),
        await store.engine.read(waiting(store)),
        await store.engine.read(pointing(store)),
        await store.engine.read(descending(store)),
    ]


async def mend(store: Store, cures: set[Cure]) -> list[str]:
    """Mend what can be mended without loss, and tell what was done.

    Raises:
        StorageDamaged: the index is beyond it.
    """
    done: list[str] = []
    if "index" in cures:
        done.append(f"The index was made anew (rows: {await reindex(store)}).")
    if "outbox" in cures:
        count = await store.engine.write(clearing(store))
        done.append(f"What waited for sync without a row was taken out (entries: {count}).")
    return done


async def reindex(store: Store) -> int:
    """Make the index anew, and count the rows."""
    try:
        return await store.engine.write(rebuilding(store))
    except StorageDamaged as error:
        raise StorageDamaged(
            "The index is too damaged to be made anew in this file, but no memory is lost:"
            " `agent-mem export` it, set AGENT_MEM_DB to a new file, and `agent-mem import` it."
        ) from error


async def words(store: Store) -> Finding:
    try:
        await store.engine.write(store.asking("health.check_words"))
    except StorageDamaged:
        text = f"The full-text index does not fit the passages: {MEND} makes it anew."
        return Finding("words", "bad", text, cure="index")
    return Finding("words", "ok", "The full-text index fits the passages.")


def totals(store: Store) -> Transaction[Finding]:
    """Compare how many passages and terms there are said to be with how many there are."""
    said = yield store.query("passages.totals")
    counted = yield store.query("health.counted")
    if [dict(row) for row in said] == [dict(row) for row in counted]:
        return Finding("totals", "ok", "The index is counted right.")
    text = f"The index is counted wrong, which blurs the ranking: {MEND} counts it anew."
    return Finding("totals", "bad", text, cure="index")


def waiting(store: Store) -> Transaction[Finding]:
    if not (lost := (yield without_row(store))):
        return Finding("outbox", "ok", "What waits for sync is there.")
    text = f"{len(lost)} entries wait for sync without a row: {MEND} takes them out."
    return Finding("outbox", "warn", text, cure="outbox")


def pointing(store: Store) -> Transaction[Finding]:
    (lost,) = yield store.query("health.corrected_by_none")
    if not lost["n"]:
        return Finding("corrections", "ok", "Every correction is there.")
    return Finding(
        "corrections",
        "warn",
        f"{lost['n']} memories were corrected by one that is not here; the first is"
        f" {lost['first']}. `agent-mem import` an archive that has it, or remember it anew.",
    )


def descending(store: Store) -> Transaction[Finding]:
    (lost,) = yield store.query("health.led_to_by_none")
    if not lost["n"]:
        return Finding("decisions", "ok", "Every decision's parent is there.")
    return Finding(
        "decisions",
        "warn",
        f"{lost['n']} decisions follow from one that is not here; the first is {lost['first']}."
        " `agent-mem import` an archive that has it.",
    )


def without_row(store: Store) -> Statement:
    """Find what waits for sync and is not there."""
    rows = keys(lambda model: model.TABLE)
    sql = f"SELECT record, id FROM outbox WHERE owner = :owner AND (record, id) NOT IN ({rows})"  # noqa: S608 - our own names
    return Statement(sql, {"owner": store.owner})


def rebuilding(store: Store) -> Transaction[int]:
    """Make the index anew: in one transaction, so that recall never finds half of it."""
    yield store.query("health.rebuild_words")
    count = 0
    for model in RECORDS:
        after: object = NOBODY
        while rows := (yield paged(store, model, after)):
            after = rows[-1]["id"]
            records = list(legible(model, rows))
            yield from store.index(store, records)
            count += len(records)
    for lost in (yield orphans(store)):
        yield store.query("passages.drop_words", **lost)
        for name in ("passages.drop", *UNEMBED):
            yield store.query(name, n=lost["n"])
    yield store.query("health.drop_totals")
    yield store.query("health.put_totals")
    return count


def legible(model: type[Record], rows: list[Row]) -> Iterator[Record]:
    """Read the rows that can be read; no other can be found."""
    for row in rows:
        with suppress(ValueError):
            yield decode(model, row)


def clearing(store: Store) -> Transaction[int]:
    lost = yield without_row(store)
    for row in lost:
        yield store.query("local.drop_dirty", **row)
    return len(lost)
