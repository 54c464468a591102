"""What an archive consists of: a header and a line a row; and all that can be wrong with them."""

import json
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent_mem.errors import InvalidInput, StorageDamaged
from agent_mem.records import RECORDS
from agent_mem.records.fields import Moment
from agent_mem.records.record import Record
from agent_mem.storage.migrations import steps
from agent_mem.storage.statements import Row
from agent_mem.storage.store import decode

VERSION = 1
LONGEST_LINE = 1_000_000_000
"""Bytes: no row of SQLite is longer. A file without lines need not fit in memory."""
LARGEST = 1 << 62
A_DAY = 24 * 60 * 60 * 1000
"""No number of ours is as large; a clock that is could not go on."""
MODELS = {model.TABLE: model for model in RECORDS}


class Header(BaseModel):
    """The first line of an archive: what follows, whose it is, and when it was read."""

    model_config = ConfigDict(serialize_by_alias=True)

    agent_mem: Literal[1] = VERSION
    steps: dict[str, int] = Field(alias="schema")
    """The last step of each table's history: which columns its rows have."""
    owner: str
    exported_at: Moment
    counts: dict[str, int]


def latest(applied: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Keep the last step of each record's table."""
    return {name: version for name, version in sorted(applied) if name in MODELS}


def line(value: object) -> bytes:
    """Write one line.

    Raises:
        ValueError: it holds half of a surrogate pair, which is not text.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return f"{text}\n".encode()


def entry(model: type[Record], row: Row) -> bytes:
    """Write one row.

    Raises:
        StorageDamaged: it is not what was once stored.
    """
    try:
        return line({"record": model.TABLE, "row": decode(model, row).model_dump(mode="json")})
    except ValueError as error:
        raise StorageDamaged(
            f"Row {row['id']} of {model.TABLE} cannot be read ({reason(error)})."
        ) from error


def reason(error: ValueError) -> str:
    """Say in a few words what is wrong with a value."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    said = first["msg"].removeprefix("Value error, ")
    return f"has a wrong {path[:80]!r}: {said[:1].lower()}{said[1:]}"


def records(path: Path, owner: str) -> Iterator[Record]:
    """Read the rows of an archive, one by one.

    Raises:
        InvalidInput: it is broken, or another owner's; the sentence names the line.
    """
    counted = Counter[str]()
    number = 1
    with path.open("rb") as file:
        with at(path, number):
            header = header_of(file.readline(LONGEST_LINE))
        if header.owner != owner:
            raise InvalidInput(
                f"{path} is of the owner {header.owner!r}, and the owner here is {owner!r}:"
                f" set AGENT_MEM_OWNER to {header.owner!r} to import it."
            )
        for number, text in enumerate(iter(partial(file.readline, LONGEST_LINE), b""), 2):
            with at(path, number):
                record = record_of(text, header)
            counted[record.TABLE] += 1
            yield record
    if counted != Counter(header.counts):
        raise InvalidInput(
            f"{path} ends after line {number} with {counted.total()} rows, but its header counts"
            f" {sum(header.counts.values())}: it is not complete."
        )


@contextmanager
def at(path: Path, number: int) -> Generator[None]:
    """Say in which line of an archive something is wrong."""
    try:
        yield
    except ValueError as error:
        raise InvalidInput(f"Line {number} of {path} {reason(error)}.") from error


def header_of(text: bytes) -> Header:
    """Read the first line.

    Raises:
        ValueError: it is not what this program writes there, or a later one has written it.
    """
    match parsed(text):
        case {"agent_mem": int(version)} if version != VERSION:
            raise ValueError(
                f"is of version {version} of the archive's form, and this agent-mem reads"
                f" version {VERSION}: update it"
            )
        case {"agent_mem": _} as values:
            header = Header.model_validate(values)
        case _:
            raise ValueError("is not the header of an archive that agent-mem wrote")
    for table, step in header.steps.items():
        if step > known().get(table, 0):
            raise ValueError(
                f"names step {step} of {table!r}, which this agent-mem does not know: update it"
            )
    return header


@cache
def known() -> dict[str, int]:
    """Tell the last step of each table that this program knows."""
    return latest((step.line, step.version) for step in steps("sqlite"))


def record_of(text: bytes, header: Header) -> Record:
    """Read one row.

    Raises:
        ValueError: it is not one that could be stored as it is.
    """
    match parsed(text):
        case {"record": str(table), "row": dict(), **more} as found if not more:
            values: dict[str, Any] = found["row"]
        case _:
            raise ValueError("is not a row of an archive")
    if (model := MODELS.get(table)) is None:
        raise ValueError(f"is of the kind {table[:80]!r}, which this agent-mem does not know")
    # An older archive lacks the later columns; any other is of a row that would not be the same.
    missing = model.model_fields.keys() - values.keys()
    if missing and header.steps.get(table, 0) >= known()[table]:
        raise ValueError(f"lacks {min(missing)!r}")
    record = model.model_validate(values)
    storable(record, header.owner)
    return record


def storable(record: Record, owner: str) -> None:
    """Look whether a database can keep a record.

    Raises:
        ValueError: it cannot.
    """
    if record.owner != owner:
        raise ValueError(f"is of another owner than the archive: {record.owner[:80]!r}")
    for name, value in record:
        if isinstance(value, int | float) and not abs(value) < LARGEST:
            raise ValueError(f"has too large a number as {name!r}")
    if record.hlc > (time.time_ns() // 1_000_000 + A_DAY) << 16:
        raise ValueError("is from the future: its clock is more than a day ahead of this machine's")
    line(record.model_dump(mode="json"))


def parsed(text: bytes) -> Any:  # noqa: ANN401 - JSON
    """Read one line.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return json.loads(text, parse_constant=unknown)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON: this is no archive, or it is damaged or cut off") from None


def unknown(constant: str) -> None:
    """Refuse `NaN` and the like, which Python reads though JSON has none."""
    raise ValueError(constant)
