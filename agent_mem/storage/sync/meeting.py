"""Where a file and its server meet: how far each of them is, and whether the server was set back.

The server counts how often a file was there (`replicas.met`), in the transaction in which the file
reads how far to pull, and in each that takes what it pushes. The file keeps that number with what
it has read, and with what was acknowledged. So a server that has counted less than the file
remembers has been restored from a backup that is older than what the file relies on.
"""

import platform
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from agent_mem.errors import ServerRefused
from agent_mem.records import RECORDS
from agent_mem.records.record import now
from agent_mem.storage import statements
from agent_mem.storage.statements import Row, Statement, Transaction
from agent_mem.storage.store import Store
from agent_mem.storage.sync.tally import Pass

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
    met: int = 0

    @property
    def latest(self) -> int:
        """The highest clock value that is taken."""
        return int((self.now + AHEAD).timestamp() * 1000) << 16


class Known(NamedTuple):
    """What a file knows of its server."""

    me: UUID
    epoch: UUID | None
    met: int
    cursors: dict[str, int]

    @property
    def read(self) -> int:
        """Up to which version all tables were read."""
        return furthest(self.cursors)


class Way(NamedTuple):
    """What a pass goes by."""

    local: Store
    server: Store
    head: Head
    told: int
    """Up to which version the server knows this file to have read."""
    done: Pass


def furthest(cursors: Mapping[str, int]) -> int:
    return min(cursors.get(model.TABLE, 0) for model in RECORDS)


def knowing(local: Store) -> Transaction[Known]:
    """Read what the file knows."""
    (replica,) = yield local.query("sync.replica")
    cursors = yield from reached(local)
    for row in (yield local.query("sync.state")):
        return Known(UUID(replica["id"]), UUID(row["epoch"]), row["met"], cursors)
    return Known(UUID(replica["id"]), None, 0, cursors)


def reached(local: Store) -> Transaction[dict[str, int]]:
    rows = yield local.query("sync.cursors")
    return {row["record"]: row["ver"] for row in rows}


def heading(server: Store) -> Transaction[Head]:
    """Ask the server how far it is.

    Raises:
        ServerRefused: it does not know the owner any more.
    """
    for row in (yield server.query("sync.head")):
        return Head(row["ver"], UUID(str(row["epoch"])), row["min_writer"], row["now"], now())
    raise ServerRefused("The server has lost its rows: is a backup being restored?")


def meeting(server: Store, known: Known) -> Transaction[tuple[Head, bool]]:
    """Ask the server how far it is, and whether it is the one that the file knows."""
    head = yield from heading(server)
    if head.epoch != known.epoch:
        known = known._replace(epoch=None, met=0, cursors={})
    (here,) = yield noting(server, "sync.meet", known, head.now)
    same = known.epoch is not None and here["met"] > known.met
    return head._replace(met=here["met"]), same


def noting(server: Store, name: str, known: Known, at: datetime) -> Statement:
    """Tell the server how far this file has read."""
    told = {"ver": known.read, "met": known.met, "at": at}
    return server.query(name, id=known.me, host=platform.node(), **told)


def announcing(server: Store, known: Known, head: Head) -> Transaction[Known]:
    """Count what was pushed in this transaction; give what the file knows when it is told so.

    Raises:
        ServerRefused: it is not the server any more that was met before.
    """
    (here,) = yield noting(server, "sync.meet_and_announce", known, head.now)
    if here["met"] <= known.met:
        raise ServerRefused("The server was restored from a backup while rows were sent to it.")
    return known._replace(met=here["met"])


def presenting(server: Store, known: Known, head: Head) -> Transaction[list[Row]]:
    """Tell the server how far this file has read, without anything else."""
    return (yield noting(server, "sync.meet", known, head.now))


def beginning(local: Store, head: Head) -> Transaction[None]:
    """Begin anew with a server that is another one, or that was restored from a backup.

    It gets every row again; those that it has change nothing.
    """
    yield local.query("sync.rewind")
    yield local.query("sync.retry_aside")
    for model in RECORDS:
        yield Statement(statements.requeue(model), {"owner": local.owner})
    yield local.query("sync.begin_state", epoch=head.epoch, met=head.met)


def retrying(local: Store) -> Transaction[int]:
    """Have all that was set aside tried again, here and by reading it again; count it."""
    refused = yield local.query("sync.retry_refused")
    aside = yield local.query("sync.retry_aside")
    known = yield from reached(local)
    for row in aside:
        known[row["record"]] = min(known[row["record"]], row["ver"] - 1)
    yield local.query("sync.note_cursors", cursors=known)
    return len(refused) + len(aside)


def noted(local: Store, known: Known) -> Transaction[None]:
    """Note how far the tables were read, and of which server."""
    yield local.query("sync.note_cursors", cursors=known.cursors)
    yield local.query("sync.note_met", met=known.met)


def closing(local: Store, known: Known, head: Head, done: Pass) -> Transaction[None]:
    """Note that a pass came to its end, and log it if it moved anything."""
    yield from noted(local, known)
    offset = int((head.now - head.here) / timedelta(milliseconds=1))
    yield local.query("sync.note_state", offset_ms=offset, synced_at=now())
    yield local.query("sync.end_trouble")
    if done.moved:
        yield from local.saving(done.entry())
