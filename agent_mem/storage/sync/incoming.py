"""The pull: what others have written, page by page, each in one transaction with its cursors."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import groupby
from typing import Final, NamedTuple

from agent_mem.errors import RowRefused
from agent_mem.records import RECORDS
from agent_mem.records.loser import Loser
from agent_mem.records.record import Record, now
from agent_mem.storage import statements
from agent_mem.storage.lines import reason
from agent_mem.storage.statements import Row, Statement, Transaction
from agent_mem.storage.store import Store, decode
from agent_mem.storage.sync.meeting import Head, Known, Way, noted

PAGE: Final = 500
PLACES: Final = {model.TABLE: n for n, model in enumerate(RECORDS)}


class Page(NamedTuple):
    """What the server has that was not read, in the order of its versions, or the first of it."""

    rows: Sequence[Row]
    cursors: dict[str, int]
    """Up to which version each table is read with it."""
    full: bool


class Beside(NamedTuple):
    """What the file has in the place of some rows of the server."""

    here: Mapping[str, Record]
    waiting: frozenset[str]
    aside: frozenset[str]


@cache
def news(tables: Sequence[str]) -> str:
    """Read what came to some tables after a version of each, in order (PostgreSQL)."""
    each = (
        f"SELECT '{table}' AS record, n.* FROM ("  # noqa: S608 - our own names
        f"{statements.pull(RECORDS[PLACES[table]]).replace(':after', f':{table}')}) AS n"
        for table in tables
    )
    return " UNION ALL ".join(each) + " ORDER BY ver LIMIT :limit"


def paging(server: Store, known: Known, head: Head) -> Transaction[Page]:
    """Read the next page of all tables that are behind."""
    after = {table: known.cursors.get(table, 0) for table in PLACES}
    behind = {table: ver for table, ver in after.items() if ver < head.ver}
    rows: Sequence[Row] = ()
    if behind:
        params = {"owner": server.owner, "head": head.ver, "limit": PAGE, **behind}
        rows = yield Statement(news(tuple(behind)), params)
    full = len(rows) == PAGE
    upto = rows[-1]["ver"] if full else head.ver
    return Page(rows, {table: max(ver, upto) for table, ver in after.items()}, full)


async def pull(way: Way, known: Known, page: Page) -> Known:
    """Take what came up to a head that was read before, beginning with a page of it."""
    while True:
        known = known._replace(cursors=page.cursors)
        if page.rows:
            way.done.receive(await take(way.local, page.rows, way.head, known))
        if not page.full:
            return known
        page = await way.server.engine.read(paging(way.server, known, way.head))


async def fetch(way: Way, records: Sequence[Record]) -> list[Record]:
    """Take the server's rows in the place of ours that it refused; give those that were others."""
    rows = await way.server.engine.read(asking(way.server, records))
    return await take(way.local, rows, way.head)


def by_model(records: Iterable[Record]) -> Iterator[tuple[type[Record], list[Record]]]:
    """Part records that are in the order of their tables."""
    for table, some in groupby(records, lambda record: record.TABLE):
        yield RECORDS[PLACES[table]], list(some)


def asking(server: Store, records: Sequence[Record]) -> Transaction[list[Row]]:
    """Read what the server has in the place of some rows."""
    found: list[Row] = []
    for model, some in by_model(records):
        ids = {"owner": server.owner, "ids": [record.id for record in some]}
        rows = yield Statement(statements.pull_some(model), ids)
        found += [{**row, "record": model.TABLE} for row in rows]
    return found


async def take(
    local: Store, rows: Sequence[Row], head: Head, known: Known | None = None
) -> list[Record]:
    """Take rows, or where the file refuses them, each of their halves; give those that were others.

    With them all that came before them was read, too, and is noted if it is given.
    """
    try:
        return await local.engine.write(taking(local, rows, head, known))
    except RowRefused as error:
        if len(rows) == 1:
            await local.engine.write(passing(local, rows[0], str(error), known))
            return []
    half = len(rows) // 2
    first = await take(local, rows[:half], head)
    return first + await take(local, rows[half:], head, known)


def taking(
    local: Store, rows: Sequence[Row], head: Head, known: Known | None
) -> Transaction[list[Record]]:
    """Take rows, note how far they go, and give those that were others."""
    others: list[Record] = []
    ordered = sorted(rows, key=lambda row: PLACES[row["record"]])
    for table, some in groupby(ordered, key=lambda row: str(row["record"])):
        model = RECORDS[PLACES[table]]
        records = yield from readable(local, model, some, head)
        others += yield from receiving_all(local, model, records)
    yield from local.telling(others)
    if known:
        yield from noted(local, known)
    return others


def readable(
    local: Store, model: type[Record], rows: Iterable[Row], head: Head
) -> Transaction[list[Record]]:
    """Read rows of one table; set aside what cannot be taken."""
    records: list[Record] = []
    for row in rows:
        try:
            records.append(received(model, row, head))
        except ValueError as error:
            yield from passing(local, row, reason(error))
    return records


def received(model: type[Record], row: Row, head: Head) -> Record:
    """Read a row of the server.

    Raises:
        ValueError: it cannot be taken.
    """
    if row["hlc"] > head.latest:
        raise ValueError("is from the future: its clock is a day ahead of the server's, or more")
    return model.model_validate_json(row["body"])


def passing(local: Store, row: Row, error: str, known: Known | None = None) -> Transaction[None]:
    """Set aside a row that cannot be taken: the others go on."""
    aside = {"record": row["record"], "id": row["id"], "ver": row["ver"], "at": now()}
    yield local.query("sync.put_aside", **aside, error=error)
    if known:
        yield from noted(local, known)


def being(local: Store, model: type[Record], records: Sequence[Record]) -> Transaction[Beside]:
    """Read what is here in the place of rows of one table; what cannot be read is nothing."""
    ids = [str(record.id) for record in records]
    here: dict[str, Record] = {}
    for row in (yield Statement(statements.among(model), {"owner": local.owner, "ids": ids})):
        with suppress(ValueError):
            here[row["id"]] = decode(model, row)
    which = {"record": model.TABLE, "ids": ids}
    waiting = yield local.query("sync.waiting_among", **which)
    aside = yield local.query("sync.aside_among", **which)
    return Beside(
        here, frozenset(row["id"] for row in waiting), frozenset(row["id"] for row in aside)
    )


def receiving_all(
    local: Store, model: type[Record], records: Sequence[Record]
) -> Transaction[list[Record]]:
    """Take rows of one table, and give those that were others; all written later is later."""
    beside = yield from being(local, model, records)
    yield local.query("local.advance", hlc=max((record.hlc for record in records), default=0))
    others: list[Record] = []
    for record in records:
        others += [record] if (yield from receiving(local, record, beside)) else []
    yield from local.index(local, others)
    return others


def receiving(local: Store, record: Record, beside: Beside) -> Transaction[bool]:
    """Take one row unless a later one is here; what loses a conflict is kept."""
    name = str(record.id)
    key = {"record": record.TABLE, "id": record.id}
    mine, waits = beside.here.get(name), name in beside.waiting
    if name in beside.aside:
        yield local.query("sync.take_back", **key)
    same = mine is not None and (mine.hlc, mine.origin) == (record.hlc, record.origin)
    taken = not same and (yield from local.taking(record))
    if same:
        yield Statement(statements.mark_known(type(record)), record.model_dump())
    elif mine and waits:
        for lost, won in losers(mine, record, taken=taken):
            yield from local.saving(Loser.of(lost, won))
    if waits and (same or taken):
        yield local.query("sync.done", **key, hlc=record.hlc)
    return taken


def losers(mine: Record, theirs: Record, *, taken: bool) -> Iterator[tuple[Record, Record]]:
    """Name what was lost and to what, if it said anything else.

    An earlier state of one machine is not lost to a later one of the same: that is its history.
    """
    lost, won = (mine, theirs) if taken else (theirs, mine)
    if lost.origin != won.origin and not isinstance(lost, Loser) and said(lost) != said(won):
        yield lost, won


def said(record: Record) -> dict[str, object]:
    """Give what a row says, without when and where it was written."""
    return record.model_dump(exclude={"updated_at", "hlc", "origin", "ver"})
