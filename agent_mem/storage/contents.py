"""What can be wrong with a memory: with what it holds; and what mends it."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from agent_mem.errors import StorageDamaged
from agent_mem.records import RECORDS
from agent_mem.records.record import NOBODY, Record
from agent_mem.storage.archive import paged
from agent_mem.storage.health import MEND, RESTORE, Cure, Finding
from agent_mem.storage.lines import reason
from agent_mem.storage.sqlite import encode
from agent_mem.storage.statements import Row, Statement, Transaction
from agent_mem.storage.store import Store, decode

UNEMBED = ("memory_index.clear", "memory_index.drop_tokens", "memory_index.dequeue")
"""What takes away the vectors of a passage."""


async def inside(store: Store) -> list[Finding]:
    """Check what a memory holds; nothing is changed."""
    return [
        await words(store),
        *(await store.engine.read(indexed(store))),
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


@dataclass(slots=True)
class Tally:
    """What came of comparing the index with the records."""

    rows: int = 0
    wrong: int = 0
    unreadable: list[str] = field(default_factory=list[str])


def indexed(store: Store) -> Transaction[list[Finding]]:
    """Compare what the index has of every record with what it would write now."""
    tally = Tally()
    for model in RECORDS:
        after: object = NOBODY
        while rows := (yield paged(store, model, after)):
            after = rows[-1]["id"]
            held = yield store.query("health.passages_of", ids=[row["id"] for row in rows])
            compare(store, model, rows, held, tally)
    astray = yield orphans(store)
    return [readable(tally), passages(tally, len(astray))]


def compare(
    store: Store, model: type[Record], rows: list[Row], held: list[Row], tally: Tally
) -> None:
    of_record: defaultdict[str, list[Row]] = defaultdict(list)
    for passage in held:
        of_record[passage["record_id"]].append(passage)
    for row in rows:
        tally.rows += 1
        try:
            tally.wrong += not same(of_record[row["id"]], derived(store, decode(model, row)))
        except ValueError as error:
            tally.unreadable.append(f"{row['id']} of {model.TABLE} {reason(error)}")


def same(held: list[Row], wanted: list[Row]) -> bool:
    """Look whether passages are as they would be written now."""
    return len(held) == len(wanted) and all(
        have[name] == encode(value)
        for have, want in zip(held, wanted, strict=True)
        for name, value in want.items()
    )


def derived(store: Store, record: Record) -> list[Row]:
    """Ask the index what it would write of a record, by showing it an empty database."""
    put = store.query("passages.put").sql
    found: list[Row] = []
    index = store.index(store, record)
    with suppress(StopIteration):
        statement = next(index)
        while True:
            writes = statement.sql == put
            found += [statement.params] if writes else []
            statement = index.send([{"n": len(found)}] if writes else [])
    return found


def readable(tally: Tally) -> Finding:
    if not tally.unreadable:
        return Finding("rows", "ok", f"Every row can be read (rows: {tally.rows}).")
    first = tally.unreadable[0]
    text = f"{len(tally.unreadable)} rows cannot be read; the first is {first}. {RESTORE}"
    return Finding("rows", "bad", text)


def passages(tally: Tally, astray: int) -> Finding:
    if not tally.wrong and not astray:
        return Finding("passages", "ok", "The index has what it should have of every row.")
    text = (
        f"{tally.wrong} rows are not indexed as they should be, and {astray} passages are of no"
        f" row: {MEND} makes the index anew."
    )
    return Finding("passages", "bad", text, cure="index")


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


def keys(name: Callable[[type[Record]], str]) -> str:
    """List the keys of all rows, with what their table is called."""
    tables = (f"SELECT '{name(m)}', id FROM {m.TABLE} WHERE owner = :owner" for m in RECORDS)  # noqa: S608 - our own names
    return " UNION ALL ".join(tables)


def without_row(store: Store) -> Statement:
    """Find what waits for sync and is not there."""
    rows = keys(lambda model: model.TABLE)
    sql = f"SELECT record, id FROM outbox WHERE owner = :owner AND (record, id) NOT IN ({rows})"  # noqa: S608 - our own names
    return Statement(sql, {"owner": store.owner})


def orphans(store: Store) -> Statement:
    """Find the passages whose record is not there."""
    rows = keys(lambda model: model.KIND)
    sql = (
        "SELECT n, terms, labels FROM passages"  # noqa: S608 - our own names
        f" WHERE owner = :owner AND (record, record_id) NOT IN ({rows})"
    )
    return Statement(sql, {"owner": store.owner})


def rebuilding(store: Store) -> Transaction[int]:
    """Make the index anew: in one transaction, so that recall never finds half of it."""
    yield store.query("health.rebuild_words")
    count = 0
    for model in RECORDS:
        after: object = NOBODY
        while rows := (yield paged(store, model, after)):
            after = rows[-1]["id"]
            for record in legible(model, rows):
                yield from store.index(store, record)
                count += 1
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
