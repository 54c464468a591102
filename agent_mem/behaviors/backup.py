"""Copy the database while it is used, make sure that the copy is sound, and keep the last ones."""

import os
import sqlite3
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Final

from anyio.to_thread import run_sync
from pydantic import Field

from agent_mem.app import App
from agent_mem.behaviors.action import Outcome, Params, Task
from agent_mem.behaviors.allowed import allowed
from agent_mem.errors import ActionFailed
from agent_mem.records import RECORDS
from agent_mem.records.record import now
from agent_mem.storage import statements
from agent_mem.storage.blocks import queries
from agent_mem.storage.sqlite import connect, wrapped

PART: Final = ".part"
"""What a copy is called until it is known to be sound."""


class Keeping(Params):
    """How many copies are kept."""

    keep: Annotated[int, Field(ge=1, le=100)] = 7


async def backup(app: App, task: Task) -> Outcome:
    """Make a copy and prove it; then remove the oldest ones."""
    params = Keeping.model_validate(task.params.model_dump())
    if app.store.engine.dialect == "postgres":
        raise ActionFailed("There is no file here: the server is backed up with pg_dump.")
    path = app.settings.db.expanduser().resolve()
    folder = (await allowed(app.settings)).backups or path.parent / "backups"
    made = await run_sync(partial(copied, path, folder, app.store.owner), abandon_on_cancel=True)
    gone = await run_sync(partial(rotated, path, folder, params.keep))
    return Outcome({**made, "removed": [file.name for file in gone]}, [])


def copied(path: Path, folder: Path, owner: str) -> dict[str, object]:
    """Copy a file as it is at one moment; no writer waits for it.

    Raises:
        ActionFailed: it could not be made, or is not sound.
    """
    file = folder / f"{path.stem}-{now():%Y%m%dT%H%M%S%f}Z.db"
    part = file.with_name(file.name + PART)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with wrapped(path), closing(connect(path, read_only=True)) as source:
            with closing(sqlite3.connect(part)) as target:
                source.backup(target)
            rows = proved(part, owner)
        part.replace(file)
    except (OSError, sqlite3.Error) as error:
        raise ActionFailed(f"No copy could be made in {folder}: {error}.") from error
    finally:
        with suppress(OSError):
            part.unlink()
    return {"file": str(file), "bytes": file.stat().st_size, "records": rows}


def proved(file: Path, owner: str) -> dict[str, int]:
    """Open a copy, check every page of it, and count its records.

    Raises:
        ActionFailed: it is not sound.
    """
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        said = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if said != "ok":
            raise ActionFailed(f"The copy is not sound: {said[:200]}.")
        connection.execute(queries("sqlite")["ledger.all"]).fetchall()
        return {
            model.TABLE: connection.execute(statements.count(model), {"owner": owner}).fetchone()[0]
            for model in RECORDS
        }


def copies(path: Path, folder: Path) -> list[Path]:
    """List the copies of a file, the oldest first."""
    stamp = "[0-9]" * 8 + "T" + "[0-9]" * 12 + "Z"
    return sorted(folder.glob(f"{path.stem}-{stamp}.db"))


def rotated(path: Path, folder: Path, keep: int) -> list[Path]:
    """Remove all but the last copies."""
    gone = copies(path, folder)[:-keep]
    for file in gone:
        file.unlink(missing_ok=True)
    return gone
