"""What is true after a run of `chaos.py`: every machine equals the server, and nothing is lost."""

import hashlib
import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from agent_mem.records import RECORDS
from agent_mem.records.behavior import Behavior
from agent_mem.records.record import NOBODY, Record
from agent_mem.storage import statements
from agent_mem.storage.sqlite import connect, sound
from agent_mem.storage.statements import Statement, Transaction
from agent_mem.storage.store import Store, decode
from agent_mem.storage.sync.outgoing import matters

PAGE: Final = 1_000
WAITING: Final = "SELECT count(*), count(error) FROM outbox"
READ: Final = "SELECT count(*), min(ver) FROM sync_cursors"
Key = tuple[str, str]


class Stamp(NamedTuple):
    """A row as it was written: what decides, and a fingerprint of all that it says."""

    table: str
    id: str
    hlc: int
    origin: str
    said: str
    shared: bool
    """Whether it is to leave its machine."""

    @property
    def key(self) -> Key:
        return self.table, self.id

    @property
    def order(self) -> tuple[int, str]:
        return self.hlc, self.origin


OWN: Final = {"ver", "status", "last_run"}
"""What each database keeps beside a behavior, and is no change of it (and the version of a row)."""


def told_of(record: Record) -> Stamp:
    own = OWN if isinstance(record, Behavior) else {"ver"}
    row = record.model_dump(mode="json", exclude=own)
    said = hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:16]
    return Stamp(
        record.TABLE, str(record.id), record.hlc, str(record.origin), said, matters(record)
    )


def everything(store: Store) -> Transaction[dict[Key, Stamp]]:
    """Read every row of every table that is synced."""
    found: dict[Key, Stamp] = {}
    for model in RECORDS:
        after: object = NOBODY
        while True:
            params = {"owner": store.owner, "after": after, "limit": PAGE}
            rows = yield Statement(statements.page(model), params)
            stamps = [told_of(decode(model, row)) for row in rows]
            found |= {stamp.key: stamp for stamp in stamps}
            if len(rows) < PAGE:
                break
            after = rows[-1]["id"]
    return found


def shared(rows: dict[Key, Stamp]) -> dict[Key, Stamp]:
    return {key: stamp for key, stamp in rows.items() if stamp.shared}


def acknowledged(journals: Iterable[Path]) -> list[Stamp]:
    """Read what was acknowledged; a kill may have torn the last line, which then was not."""
    lines = [line for path in journals for line in path.read_text().splitlines(keepends=True)]
    return [Stamp(*json.loads(line)) for line in lines if line.endswith("\n")]


def lost(stamps: Iterable[Stamp], there: dict[Key, Stamp]) -> list[Stamp]:
    """Find what was acknowledged, and is neither there as it was nor followed by a later one."""
    return [stamp for stamp in stamps if not kept(stamp, there.get(stamp.key))]


def kept(stamp: Stamp, there: Stamp | None) -> bool:
    return there is not None and (there == stamp or there.order > stamp.order)


class Local(NamedTuple):
    """How far a machine is."""

    waiting: int
    refused: int
    aside: int
    cursor: int
    """The version up to which all tables are read."""


def local(file: Path) -> Local:
    """Look into a machine's file."""
    with closing(connect(file, read_only=True)) as connection:
        waiting, refused = connection.execute(WAITING).fetchone()
        (aside,) = connection.execute("SELECT count(*) FROM sync_aside").fetchone()
        tables, cursor = connection.execute(READ).fetchone()
        return Local(waiting, refused, aside, cursor if tables == len(RECORDS) else -1)


def faults(file: Path) -> list[str]:
    """Say what is wrong with a machine's file."""
    now = local(file)
    wrong = {"waits": now.waiting, "refused": now.refused, "aside": now.aside}
    integrity = sound(file)
    return [
        *(f"{name}: {n}" for name, n in wrong.items() if n),
        *([integrity] if integrity != "ok" else []),
    ]
