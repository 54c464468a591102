"""Archives: everything that one owner has, as JSON Lines, out of a database and into another."""

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from anyio.to_thread import run_sync

from agent_mem.errors import StorageError
from agent_mem.records import RECORDS
from agent_mem.records.record import NOBODY, Record, now
from agent_mem.storage import statements
from agent_mem.storage.lines import Header, entry, latest, line, records
from agent_mem.storage.statements import Statement, Transaction
from agent_mem.storage.store import Store

BATCH = 500

Seen = Callable[[int, int], object]
"""Is told how many rows are done, and of how many."""


@contextmanager
def replacing(path: Path) -> Generator[BinaryIO]:
    """Give a file to write, which takes the place of another when it is complete, or is gone.

    Raises:
        StorageError: it cannot be written.
    """
    path = path.resolve()  # a link stays one
    if path.exists() and not path.is_file():
        raise StorageError(f"{path} is not a file: name one, or write `-` for stdout.")
    with writing(str(path)):
        # Made with mode 0600, in the same folder: a rename does not cross file systems.
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                os.fsync(file.fileno())
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)


@contextmanager
def writing(what: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{what} cannot be written: {error.strerror}.") from error


def unseen(*_: int) -> None:
    """Tell nobody."""


async def dump(store: Store, file: BinaryIO, seen: Seen = unseen) -> Header:
    """Write everything, tombstones too, as it is at one moment, whoever else writes meanwhile."""
    return await store.engine.read(dumping(store, file, seen))


def dumping(store: Store, file: BinaryIO, seen: Seen) -> Transaction[Header]:
    header = yield from heading(store)
    done = 0
    with writing("The archive"):  # here, since the engine would take it for the database
        file.write(line(header.model_dump(mode="json")))
        for model in RECORDS:
            after: object = NOBODY
            while rows := (yield paged(store, model, after)):
                file.writelines(entry(model, row) for row in rows)
                after = rows[-1]["id"]
                done += len(rows)
                seen(done, sum(header.counts.values()))
        file.flush()
    return header


def heading(store: Store) -> Transaction[Header]:
    """Tell what an archive is going to hold."""
    ledger = yield store.query("ledger.all")
    counts: dict[str, int] = {}
    for model in RECORDS:
        (row,) = yield Statement(total(model), {"owner": store.owner})
        counts[model.TABLE] = row["n"]
    return Header(
        schema=latest((row["line"], row["version"]) for row in ledger),
        owner=store.owner,
        exported_at=now(),
        counts=counts,
    )


def paged(store: Store, model: type[Record], after: object) -> Statement:
    """Ask for the next rows of a table, deleted or not."""
    params = {"owner": store.owner, "after": after, "limit": BATCH}
    return Statement(statements.page(model), params)


def total(model: type[Record]) -> str:
    """Count the rows, deleted or not."""
    return f"SELECT count(*) AS n FROM {model.TABLE} WHERE owner = :owner"  # noqa: S608 - our own names


async def load(store: Store, path: Path, seen: Seen = unseen) -> Counter[str]:
    """Write the rows of an archive as they are; what is there and as late stays. Count the others.

    The whole archive is read and checked before its first row is written.

    Raises:
        InvalidInput: the archive is broken, or another owner's.
    """
    rows_in_all = await run_sync(check, path, store.owner)
    written = Counter[str]()
    rows = records(path, store.owner)
    done = 0
    while batch := list(islice(rows, BATCH)):
        written += await store.engine.write(loading(store, batch))
        done += len(batch)
        seen(done, rows_in_all)
    return written


def loading(store: Store, batch: Iterable[Record]) -> Transaction[Counter[str]]:
    written = Counter[str]()
    for record in batch:
        written[record.TABLE] += yield from store.restoring(record)
    return written


def check(path: Path, owner: str) -> int:
    """Read an archive to its end, and count its rows.

    Raises:
        InvalidInput: it is broken, or another owner's.
    """
    return sum(1 for _ in records(path, owner))
