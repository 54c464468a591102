"""What is still to be read: a note a transcript, on disk until a server has read it.

A session that ends has a second, and its server may be gone. So whoever ends it leaves a note
beside the database, and the next process that has the database open does the reading.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple, cast

KEPT: Final = 30 * 86_400 * 10**9
"""Nanoseconds for which a note waits for a transcript that this machine refuses."""


class Job(NamedTuple):
    """A transcript that has more to tell. It says where, and nothing of what was said."""

    session: str
    transcript: str
    project: str
    event: str


def folder(db: Path) -> Path:
    """Give the folder of the notes of a database; all processes name the file in one way."""
    whole = db.expanduser().resolve()
    return whole.with_name(whole.name + ".spool")


def leave(db: Path, job: Job) -> Path:
    """Leave a note, whole or not at all; it is on disk when this returns.

    Returns:
        its file, whose name tells which was left first.
    """
    into = folder(db)
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = f"{time.time_ns():020}-{os.getpid()}"
    draft, note = into / f"{name}.tmp", into / f"{name}.json"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(job._asdict(), file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(note)
    return note


def notes(db: Path) -> list[Path]:
    """List the notes, the first one first."""
    return sorted(folder(db).glob("*.json"))


def read(note: Path) -> Job | None:
    """Read a note; None if it was done meanwhile, or is none.

    Raises:
        OSError: it is there, and cannot be read.
    """
    try:
        found: object = json.loads(note.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return job(cast("dict[str, object]", found)) if isinstance(found, dict) else None


def old(note: Path) -> bool:
    """Tell by its name whether a note was left long ago."""
    return note.name < f"{time.time_ns() - KEPT:020}"


def job(given: Mapping[str, object]) -> Job | None:
    """Take a job from what somebody wrote; None if a part of it is missing."""
    values = [given.get(name) for name in Job._fields]
    kept = [value for value in values if isinstance(value, str) and value]
    return Job(*kept) if len(kept) == len(Job._fields) else None
