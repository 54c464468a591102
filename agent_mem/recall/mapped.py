"""The file of a vector index: written once, checked whole, mapped.

A description in JSON, then the arrays, one after the other, then the checksum of all of it. The
file is derived: whatever is wrong with it, it is made anew from the database.
"""

import mmap
import os
import zlib
from collections.abc import Iterator, Sequence
from io import RawIOBase
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from agent_mem.recall.vectors import Block

HEAD: Final = 64
"""Bytes before the description: its length, in ASCII. The arrays begin at a multiple of them."""
PIECE: Final = 1 << 20
"""Bytes that are read or written at a time."""
WHOLE: Final = 0x2144DF1C
"""The CRC-32 of whatever ends in its own CRC-32, the lowest byte first."""


class BadIndex(Exception):
    """An index file is missing, torn or another's."""


class Description(BaseModel):
    """What an index says about itself."""

    name: str | None = None
    """Of its file, where it has one."""
    life: str | None
    """Of its model in its database: see `embedding_models`."""
    model: str
    dim: int
    seq: int = 0
    size: int = 0
    names: list[str] = []


Chosen = Sequence[tuple[Block, NDArray[np.int64]]]
"""Blocks, each with the places of the rows that are chosen of it."""


def write(path: Path, about: Description, parts: Chosen) -> None:
    """Write the chosen rows; the file is on disk when this returns."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        crc = 0
        for piece in pieces(about, parts):
            crc = zlib.crc32(piece, crc)
            file.write(piece)
        file.write(crc.to_bytes(4, "little"))
        file.flush()
        os.fsync(file.fileno())


def pieces(about: Description, parts: Chosen) -> Iterator[bytes]:
    """Yield the bytes before the checksum: of the keys of all parts, then of their bits, and so on.

    No more than a piece is copied at a time.
    """
    text = about.model_dump_json().encode()
    yield (str(len(text)).encode().ljust(HEAD) + text).ljust(beginning(len(text)))
    for columns in zip(*(columns_of(rows) for rows, _ in parts), strict=True):
        for column, (_, chosen) in zip(columns, parts, strict=True):
            step = max(1, PIECE // (column.itemsize * prod(column.shape[1:])))
            for start in range(0, len(chosen), step):
                yield column[chosen[start : start + step]].tobytes()


def beginning(length: int) -> int:
    """Tell where the arrays begin, after a description of some bytes."""
    return -(-(HEAD + length) // HEAD) * HEAD


def columns_of(rows: Block) -> list[NDArray[Any]]:
    """List what has one entry a row, in the order of `Block.arrays`."""
    return [rows.keys, *rows.bits, *rows.times, *rows.labels, rows.rows]


def read(path: Path, expected: dict[str, Any]) -> tuple[Description, Block]:
    """Check a file from its first byte to its last, and map it.

    Args:
        path: the file.
        expected: what its description must say, by name.

    Raises:
        BadIndex: it is not there, not whole, or another's.
    """
    try:
        with path.open("rb", buffering=0) as file:
            if checksum(file) != WHOLE:
                raise BadIndex(f"{path.name} is torn.")
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        length = int(data[:HEAD])
        about = Description.model_validate_json(data[HEAD : HEAD + length])
        if any(getattr(about, name) != value for name, value in expected.items()):
            raise BadIndex(f"{path.name} is the index of something else.")
        return about, mapped(data, about, beginning(length))
    except (OSError, ValueError) as error:
        raise BadIndex(f"{path.name} cannot be read: {type(error).__name__}.") from error


def checksum(file: RawIOBase) -> int:
    crc = 0
    piece = memoryview(bytearray(PIECE))
    while size := file.readinto(piece):
        crc = zlib.crc32(piece[:size], crc)
    return crc


def mapped(data: mmap.mmap, about: Description, start: int) -> Block:
    """See the arrays in a mapped file; none of its bytes is read before it is asked for."""
    views: list[NDArray[Any]] = []
    for array in Block.of(0, about.dim).arrays():
        shape = [extent or about.size for extent in array.shape]
        views.append(np.frombuffer(data, array.dtype, prod(shape), start).reshape(shape))
        start += views[-1].nbytes
    return Block(*views)
