"""The file of a vector index: written whole, checked whole, mapped.

A line of JSON says what the file is and where its arrays are; they follow, one after the other.
The file is derived: whatever is wrong with it, it is made anew from the database.
"""

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from agent_mem.recall.vectors import Block

HEAD: Final = 64
"""Bytes before the description: its length, in ASCII."""
PIECE: Final = 1 << 22
"""Bytes that are read or written at a time."""


class BadIndex(Exception):
    """An index file is missing, torn or another's."""


class Description(BaseModel):
    """What an index file says about itself."""

    name: str
    replica: str
    model: str
    dim: int
    seq: int
    size: int
    names: list[str]
    crc32: int = 0


Parts = Sequence[tuple[Block, NDArray[np.int64]]]
"""Blocks, each with the places of the rows that are chosen of it."""


def write(path: Path, about: Description, parts: Parts) -> None:
    """Write the chosen rows; the file is on disk when this returns."""
    about = about.model_copy(update={"crc32": checksum(pieces(parts))})
    text = about.model_dump_json().encode()
    handle = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600
    )
    with os.fdopen(handle, "wb") as file:
        file.write(str(len(text)).encode().ljust(HEAD) + text)
        file.write(b" " * (-file.tell() % HEAD))
        for piece in pieces(parts):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def pieces(parts: Parts) -> Iterator[bytes]:
    """Yield the bytes of each array: of the keys of all parts, then of their bits, and so on."""
    for columns in zip(*(columns_of(rows) for rows, _ in parts), strict=True):
        for column, (_, chosen) in zip(columns, parts, strict=True):
            step = max(1, PIECE // (column[:1].nbytes or 1))
            for start in range(0, len(chosen), step):
                yield column[chosen[start : start + step]].tobytes()


def columns_of(rows: Block) -> list[NDArray[Any]]:
    """List what has one entry a row."""
    return [rows.keys, *rows.bits, *rows.times, *rows.labels, rows.rows]


def checksum(parts: Iterable[bytes]) -> int:
    crc = 0
    for part in parts:
        crc = zlib.crc32(part, crc)
    return crc


def read(path: Path, expected: dict[str, Any]) -> tuple[Description, Block]:
    """Check a file from its first byte to its last, and map it.

    Args:
        path: the file.
        expected: what its description must say, by name.

    Raises:
        BadIndex: it is not there, not whole, or another's.
    """
    try:
        with path.open("rb") as file:
            about, start = described(file)
            if any(getattr(about, name) != value for name, value in expected.items()):
                raise BadIndex(f"{path.name} is the index of something else.")
            if checksum(iter(lambda: file.read(PIECE), b"")) != about.crc32:
                raise BadIndex(f"{path.name} is torn.")
            return about, mapped(path, about, start)
    except (OSError, ValueError, ValidationError) as error:
        raise BadIndex(f"{path.name} cannot be read: {type(error).__name__}.") from error


def described(file: BinaryIO) -> tuple[Description, int]:
    length = int(file.read(HEAD))
    about = Description.model_validate(json.loads(file.read(length)))
    start = -(-(HEAD + length) // HEAD) * HEAD
    file.seek(start)
    return about, start


def mapped(path: Path, about: Description, start: int) -> Block:
    """Map a file's arrays; none of its bytes is read before it is asked for."""
    shapes = Block.of(0, about.dim)
    views: list[NDArray[Any]] = []
    for array in shapes.arrays():
        shape = tuple(extent or about.size for extent in array.shape)
        views.append(
            np.memmap(path, array.dtype, "r", start, shape)
            if about.size
            else np.zeros(shape, array.dtype)
        )
        start += views[-1].nbytes
    return Block(*views)
