"""The pull: what others have written, page by page, each in one transaction with its cursor."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from agent_mem.errors import RowRefused, ServerRefused
from agent_mem.records import RECORDS
from agent_mem.records.loser import Loser
from agent_mem.records.record import Record, now
from agent_mem.storage import statements
from agent_mem.storage.lines import reason
from agent_mem.storage.statements import Row, Statement, Transaction
from agent_mem.storage.store import Store, decode
from agent_mem.storage.sync.tally import Pass

R = TypeVar("R", bound=Record)

PAGE: Final = 500
AHEAD: Final = timedelta(hours=24)
"""How far a row may be ahead of the server's clock: a broken clock must not win for ever."""


class Head(NamedTuple):
    """How far the server is."""

    ver: int
    epoch: UUID
    min_writer: int
    now: datetime
    here: datetime
    """What time it was here when it was `now` there."""

    @property
    def latest(self) -> int:
        """The highest clock value that is taken."""
        return int((self.now + AHEAD).timestamp() * 1000) << 16


def heading(server: Store) -> Transaction[Head]:
    """Ask the server how far it is.

    Raises:
        ServerRefused: it does not know the owner any more.
    """
    for row in (yield server.query("sync.head")):
        return Head(row["ver"], UUID(str(row["epoch"])), row["min_writer"], row["now"], now())
    raise ServerRefused("The server has lost its rows: is a backup being restored?")


def cursors(local: Store) -> Transaction[dict[str, int]]:
    rows = yield local.query("sync.cursors")
    return {row["record"]: row["ver"] for row in rows}


async def pull(local: Store, server: Store, head: Head, done: Pass) -> None:
    """Take what came up to a head that was read before."""
    known = await local.engine.read(cursors(local))
    behind = {model: known.get(model.TABLE, 0) for model in RECORDS}
    behind = {model: after for model, after in behind.items() if after < head.ver}
    if not behind:
        return
    for model, first in await server.engine.read(paging(server, behind, head)):
        rows = first
        while rows:
            full = len(rows) == PAGE
            after = rows[-1]["ver"] if full else head.ver
            done.receive(model, await take(local, model, rows, head, after))
            again = {model: after} if full else {}
            rows = dict(await server.engine.read(paging(server, again, head))).get(model)
    # At once for all in which there was nothing: each write waits for the disk.
    await local.engine.write(reaching(local, behind, head.ver))


def paging(
    server: Store, behind: Mapping[type[Record], int], head: Head
) -> Transaction[list[tuple[type[Record], list[Row]]]]:
    """Read the next page of some tables."""
    pages: list[tuple[type[Record], list[Row]]] = []
    for model, after in behind.items():
        page = {"owner": server.owner, "after": after, "head": head.ver, "limit": PAGE}
        pages.append((model, (yield Statement(statements.pull(model), page))))
    return pages


async def fetch(local: Store, server: Store, head: Head, records: Sequence[Record]) -> int:
    """Take the server's rows in the place of ours that it refused; tell how many were others."""
    model = type(records[0])
    ids = {"owner": local.owner, "ids": [record.id for record in records]}
    rows = await server.engine.read(asked(Statement(statements.pull_some(model), ids)))
    return await take(local, model, rows, head)


def asked(statement: Statement) -> Transaction[list[Row]]:
    return (yield statement)


async def take(
    local: Store, model: type[Record], rows: Sequence[Row], head: Head, after: int | None = None
) -> int:
    """Take rows, or where the file refuses them, each of their halves; tell how many were others.

    With them the table was read up to the version `after`, if that is given.
    """
    try:
        return await local.engine.write(taking(local, model, rows, head, after))
    except RowRefused as error:
        if len(rows) == 1:
            await local.engine.write(passing(local, model, rows[0], str(error), after))
            return 0
    half = len(rows) // 2
    first = await take(local, model, rows[:half], head, after and rows[half - 1]["ver"])
    return first + await take(local, model, rows[half:], head, after)


def taking(
    local: Store, model: type[Record], rows: Sequence[Row], head: Head, after: int | None
) -> Transaction[int]:
    """Take rows, note how far they go, and tell how many were others."""
    count = 0
    for row in rows:
        try:
            record = received(model, row, head)
        except ValueError as error:
            yield from passing(local, model, row, reason(error))
        else:
            count += yield from receiving(local, record)
    yield from reaching(local, [model], after)
    return count


def received(model: type[R], row: Row, head: Head) -> R:
    """Read a row of the server.

    Raises:
        ValueError: it cannot be taken.
    """
    if row["hlc"] > head.latest:
        raise ValueError("is from the future: its clock is a day ahead of the server's, or more")
    return model.model_validate_json(row["body"])


def passing(
    local: Store, model: type[Record], row: Row, error: str, after: int | None = None
) -> Transaction[None]:
    """Set aside a row that cannot be taken: the others go on."""
    aside = {"record": model.TABLE, "id": row["id"], "ver": row["ver"], "at": now()}
    yield local.query("sync.put_aside", **aside, error=error)
    yield from reaching(local, [model], after)


def reaching(local: Store, models: Iterable[type[Record]], after: int | None) -> Transaction[None]:
    """Note up to which version some tables were read."""
    for model in models if after is not None else ():
        yield local.query("sync.note_cursor", record=model.TABLE, ver=after)


def receiving(local: Store, record: Record) -> Transaction[bool]:
    """Take one row unless a later one is here; what loses a conflict is kept."""
    key = {"record": record.TABLE, "id": record.id}
    mine = yield from having(local, record)
    waits = yield local.query("sync.waits", **key)
    yield local.query("sync.take_back", **key)
    same = mine and (mine.hlc, mine.origin) == (record.hlc, record.origin)
    taken = not same and (yield from local.taking(record))
    if same:
        yield Statement(statements.mark_known(type(record)), record.model_dump())
    elif mine and waits:
        for lost, won in losers(mine, record, taken=taken):
            yield from local.saving(Loser.of(lost, won))
    if same or taken:
        yield local.query("sync.done", **key, hlc=record.hlc)
    return taken


def having(local: Store, record: R) -> Transaction[R | None]:
    """Read what is here in the place of a row; what cannot be read counts as nothing."""
    key = {"owner": local.owner, "id": record.id}
    for row in (yield Statement(statements.select(type(record)), key)):
        with suppress(ValueError):
            return decode(type(record), row)
    return None


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
