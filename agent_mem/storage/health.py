"""What can be wrong with a memory: with its file, looked at from outside."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Literal

from agent_mem.errors import SchemaError, StorageDamaged, StorageError, UnsafePlace
from agent_mem.storage import place
from agent_mem.storage.blocks import queries
from agent_mem.storage.migrations import pending, steps
from agent_mem.storage.sqlite import connect, sound, wrapped
from agent_mem.storage.statements import Row

Cure = Literal["modes", "schema", "index", "outbox", "vectors", "files"]

FIXED = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""The versions of SQLite that mended the WAL-reset race, each for its own line."""
LOCKS = (".lock", ".embedding.lock", ".endpoint.lock", ".sync.lock", ".syncer.lock", ".runner.lock")
ENDINGS = ("", "-wal", "-shm", *LOCKS)
RESTORE = "Set AGENT_MEM_DB to a new file, and `agent-mem import` your last archive there."
MEND = "`agent-mem doctor --mend`"
LONGEST = 200
"""Characters of what SQLite says, at most."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what is to do about it."""

    check: str
    level: Literal["ok", "warn", "bad"]
    text: str
    cure: Cure | None = None
    """What mends it without loss."""
    stops: bool = False
    """What the file holds cannot be looked at."""


def outside(path: Path) -> list[Finding]:
    """Check a file without opening the memory in it; nothing is changed or made."""
    found = [library(sqlite3.sqlite_version_info), placed(path)]
    if not path.exists():
        return [*found, nothing_yet(path)]
    found += [*modes(path), whole(path)]
    return found if found[-1].stops else [*found, tables(path)]


def nothing_yet(path: Path) -> Finding:
    text = f"No memory yet: {path} is made when something is remembered."
    return Finding("file", "ok", text, stops=True)


def library(version: tuple[int, int, int]) -> Finding:
    """Look whether this SQLite can damage a file that several processes write."""
    name = ".".join(map(str, version))
    if version >= FIXED[-1] or any(v <= version and v[:2] == version[:2] for v in FIXED):
        return Finding("sqlite", "ok", f"SQLite {name}.")
    return Finding(
        "sqlite",
        "warn",
        f"SQLite {name} has the WAL-reset race: several writers at once can damage a file."
        " agent-mem's own processes write in turn, by a lock beside the file, so it cannot happen"
        " among them; let no other program write this file. Mended in SQLite 3.51.3, 3.50.7 and"
        " 3.44.6: use a Python that has one of these.",
    )


def placed(path: Path) -> Finding:
    try:
        place.check(path)
    except UnsafePlace as error:
        return Finding("place", "bad", str(error), stops=True)
    return Finding("place", "ok", f"{path.parent} is no network or cloud folder that is known.")


def family(path: Path) -> list[Path]:
    """Name the files of a database that are there."""
    names = (path.name + ending for ending in ENDINGS)
    return [*(file for file in map(path.with_name, names) if file.exists()), *indexes(path)]


def indexes(path: Path) -> list[Path]:
    """Name the files of vector indexes that are there, those that are used no more, too."""
    # Each name has 32 hexadecimal digits, so that no other database's file fits.
    return sorted(path.parent.glob(f"{escape(path.name)}.{'[0-9a-f]' * 32}.vectors"))


def modes(path: Path, *, posix: bool = os.name == "posix") -> Iterator[Finding]:
    """Look whether anyone else on this machine may read the files."""
    if not posix:
        yield Finding("modes", "ok", "This system has no file modes.")
        return
    if loose := [file for file in family(path) if is_open(file)]:
        names = ", ".join(file.name for file in loose)
        text = f"Others on this machine may read {names}: {MEND} makes them yours alone."
        yield Finding("modes", "bad", text, cure="modes")
    else:
        yield Finding("modes", "ok", "Only you may read the files.")
    if is_open(path.parent):
        yield open_folder(path)


def open_folder(path: Path) -> Finding:
    text = f"Others on this machine may look into {path.parent}"
    if is_own_folder(path):
        return Finding("folder", "warn", f"{text}: {MEND} makes it yours alone.", cure="modes")
    return Finding("folder", "warn", f"{text}, which has other files too: chmod 700 it if you can.")


def is_open(file: Path) -> bool:
    return bool(stat.S_IMODE(file.stat().st_mode) & 0o077)


def is_own_folder(path: Path) -> bool:
    """Look whether a folder has nothing but the database: a shared one is not ours to close."""
    return set(path.parent.iterdir()) == set(family(path))


def tighten(path: Path) -> None:
    """Make the files, and the folder if it is theirs alone, readable by their owner only.

    Raises:
        StorageError: they are another user's.
    """
    try:
        for file in family(path):
            file.chmod(0o600)
        if is_own_folder(path):
            path.parent.chmod(0o700)
    except OSError as error:
        raise StorageError(f"{error.filename}: {error.strerror}.") from error


def whole(path: Path) -> Finding:
    """Check every page of a file."""
    try:
        with wrapped(path):
            result = sound(path)
    except StorageDamaged as error:
        result = str(error.__cause__)
    except StorageError as error:
        return Finding("pages", "bad", str(error), stops=True)
    said = " ".join(result.split())[:LONGEST]
    if said == "ok":
        return Finding("pages", "ok", "Every page of the file is sound.")
    if "passages_fts" in said:  # SQLite 3.44 and later looks into full-text indexes, at the end
        text = f"The full-text index is damaged ({said}): {MEND} makes it anew."
        return Finding("pages", "bad", text, cure="index")
    return Finding("pages", "bad", f"{path} is damaged ({said}). {RESTORE}", stops=True)


def tables(path: Path) -> Finding:
    """Look whether the tables are ours, and as this program knows them."""
    named = queries("sqlite")
    with wrapped(path), closing(connect(path, read_only=True)) as connection:
        names = {row["name"] for row in connection.execute(named["health.tables"])}
        if not names:
            return nothing_yet(path)
        if "schema_ledger" not in names:
            text = f"{path} is another program's database: set AGENT_MEM_DB to another file."
            return Finding("tables", "bad", text, stops=True)
        return applied(connection.execute(named["ledger.all"]).fetchall())


def applied(ledger: list[Row]) -> Finding:
    try:
        todo = pending(steps("sqlite"), ledger)
    except SchemaError as error:
        return Finding("tables", "bad", str(error), stops=True)
    if todo:
        text = f"{len(todo)} steps are due: {MEND}, or any use of this memory, does them."
        return Finding("tables", "warn", text, cure="schema", stops=True)
    return Finding("tables", "ok", "The tables are up to date.")
