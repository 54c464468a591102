"""Nearest vectors by cosine, without an extension: sign bits find them, int8 rows rank them.

A row is one passage. Its vector is kept twice: the signs of its numbers as bits, which are compared
by their Hamming distance (Charikar 2002), and all its numbers as int8, by which the best by bits
are ranked again. Beside them stand the facts that filters ask for. Rows are only ever added; one
that was replaced or forgotten is dead.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

RESCORED: Final = 1_000
"""How many of the best by bits are ranked by their int8 rows."""
CHUNK: Final = 1 << 16
"""Rows that are compared at a time: what stands between the steps fits into the cache."""
NEVER: Final = 2**62
LABELS: Final = ("owner", "record", "kind", "topic", "agent_name", "project")
TIMES: Final = ("at", "begins", "ends", "expires")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
ANY_TIME: Final = {
    "since": datetime.min.replace(tzinfo=UTC),
    "until": datetime.max.replace(tzinfo=UTC),
}

Vector = NDArray[np.float32]


class Near(NamedTuple):
    """A passage that was found, and its cosine with what was asked."""

    n: int
    cosine: float


def quantised(vectors: Vector) -> NDArray[np.int8]:
    """Write vectors (rows) as int8: each fills the range, for a cosine asks no length."""
    longest = np.abs(vectors).max(axis=1, keepdims=True)
    return np.rint(vectors * (127 / np.maximum(longest, 1e-30))).astype(np.int8)


def written(vector: NDArray[Any]) -> str:
    """Write a vector as pgvector reads it."""
    return f"[{','.join(map(str, vector.tolist()))}]"


def signs(rows: NDArray[Any]) -> NDArray[np.uint64]:
    """Pack the signs of each row into words of 64 bits: an array of (words, rows)."""
    packed = np.packbits(rows > 0, axis=1)
    padded = np.zeros((len(rows), -(-packed.shape[1] // 8) * 8), np.uint8)
    padded[:, : packed.shape[1]] = packed
    return np.ascontiguousarray(padded.view(np.uint64).T)


@dataclass(frozen=True, slots=True)
class Block:
    """Rows side by side, in memory or mapped from a file."""

    keys: NDArray[np.int64]
    bits: NDArray[np.uint64]
    """(words, rows)"""
    times: NDArray[np.int64]
    """(len(TIMES), rows): seconds since 1970."""
    labels: NDArray[np.int32]
    """(len(LABELS), rows): numbers of names; 0 is none."""
    rows: NDArray[np.int8]
    """(rows, dim)"""

    @classmethod
    def of(cls, size: int, dim: int) -> "Block":
        """Make room for some rows."""
        return cls(
            np.zeros(size, np.int64),
            np.zeros((-(-dim // 64), size), np.uint64),
            np.zeros((len(TIMES), size), np.int64),
            np.zeros((len(LABELS), size), np.int32),
            np.zeros((size, dim), np.int8),
        )

    def arrays(self) -> tuple[NDArray[Any], ...]:
        """List the arrays, those of the widest numbers first."""
        return self.keys, self.bits, self.times, self.labels, self.rows

    def first(self, size: int) -> "Block":
        """View the first rows."""
        bits, times, labels = self.bits[:, :size], self.times[:, :size], self.labels[:, :size]
        return Block(self.keys[:size], bits, times, labels, self.rows[:size])

    def put(self, start: int, other: "Block") -> None:
        """Copy another block's rows to a place in this one."""
        end = start + len(other.keys)
        self.keys[start:end] = other.keys
        self.bits[:, start:end] = other.bits
        self.rows[start:end] = other.rows
        self.labels[:, start:end] = other.labels
        self.times[:, start:end] = other.times


Part = tuple[Block, NDArray[np.bool_]]
"""Rows, and which of them live."""


class Names:
    """Numbers for the names that filters ask for; 0 is no name."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._numbers = {name: n for n, name in enumerate(names, 1)}

    def number(self, name: str | None) -> int:
        """Give a name its number, a new one if need be."""
        return 0 if name is None else self._numbers.setdefault(name, len(self._numbers) + 1)

    def known(self, name: str) -> int:
        """Look up a name's number; -1, which nothing has, if no row has that name."""
        return self._numbers.get(name, -1)

    def all(self) -> list[str]:
        return list(self._numbers)


def block(rows: Sequence[Mapping[str, Any]], names: Names, dim: int) -> Block:
    """Read rows of the database, each with its vector: the columns of `memory_index.tail`."""
    vectors = np.frombuffer(b"".join(row["vector"] for row in rows), np.int8).reshape(-1, dim)
    times = [[row[time] for row in rows] for time in TIMES]
    labels = [[names.number(row[label]) for row in rows] for label in LABELS]
    return Block(
        np.array([row["n"] for row in rows], np.int64),
        signs(vectors),
        np.array(times, np.int64).reshape(len(TIMES), -1),
        np.array(labels, np.int32).reshape(len(LABELS), -1),
        vectors,
    )


class Wanted:
    """The filters of a request, as they are compared with a block's rows."""

    def __init__(self, filters: Mapping[str, Any], names: Names) -> None:
        self._equal = {
            place: names.known(filters[name])
            for place, name in ((0, "owner"), (3, "topic"), (4, "agent"))
            if filters[name] is not None
        }
        kinds = filters["kinds"]
        self._kinds = None if kinds is None else [names.known(kind) for kind in kinds]
        project = filters["project"]
        self._project = None if project is None else names.known(project)
        self._since = None if filters["since"] == ANY_TIME["since"] else second(filters["since"])
        self._until = None if filters["until"] == ANY_TIME["until"] else second(filters["until"])
        self._valid_at = None if filters["ended"] else second(filters["valid_at"])
        self._unexpired_at = second(filters["valid_at"])
        begun = filters["begun_by"]
        self._begun_by = None if begun == ANY_TIME["until"] else second(begun)

    def among(self, labels: NDArray[np.int32], times: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which rows are wanted. A second's width of doubt goes in their favour."""
        kept = times[3] >= self._unexpired_at
        if self._valid_at is not None:
            kept &= times[2] >= self._valid_at
        for place, number in self._equal.items():
            kept &= labels[place] == number
        if self._kinds is not None:
            kept &= np.isin(labels[1], self._kinds) | np.isin(labels[2], self._kinds)
        if self._project is not None:
            kept &= (labels[5] == self._project) | (labels[5] == 0)
        if self._since is not None:
            kept &= times[0] >= self._since
        if self._until is not None:
            kept &= times[0] <= self._until
        if self._begun_by is not None:
            kept &= times[1] <= self._begun_by
        return kept


def second(moment: datetime) -> int:
    """Count whole seconds since 1970; a float would round some moments up."""
    return (moment - EPOCH) // timedelta(seconds=1)


def nearest(parts: Sequence[Part], asked: Vector, wanted: Wanted, limit: int) -> list[Near]:
    """Find the wanted, living rows with the highest cosine, best first, of equals the newest.

    Args:
        parts: rows, each with a mask of those that live.
        asked: one vector of the rows' length.
        wanted: the filters.
        limit: how many to find.
    """
    chosen = list(zip(parts, by_bits(parts, asked, wanted), strict=True))
    keys = np.concatenate([rows.keys[places] for (rows, _), places in chosen])
    scores = cosines(np.concatenate([rows.rows[places] for (rows, _), places in chosen]), asked)
    best = np.lexsort((-keys, -scores))[:limit]
    return list(map(Near, keys[best].tolist(), scores[best].tolist()))


def cosines(rows: NDArray[np.int8], asked: Vector) -> Vector:
    """Compare int8 rows with one vector."""
    wide = rows.astype(np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", wide, wide)) * np.linalg.norm(asked)
    return (wide @ asked) / np.maximum(lengths, 1e-30)


def by_bits(parts: Sequence[Part], asked: Vector, wanted: Wanted) -> list[NDArray[np.int64]]:
    """Choose the RESCORED rows with the lowest Hamming distance: their places in each part."""
    query = signs(asked[np.newaxis])[:, 0]
    near = [closest(rows, alive, query, wanted) for rows, alive in parts]
    far = np.concatenate([distances for _, distances in near])
    kept = np.zeros(len(far), np.bool_)
    kept[::-1][np.argsort(far[::-1], kind="stable")[:RESCORED]] = True  # of equals the newest
    ends = np.cumsum([len(places) for places, _ in near])
    return [places[mine] for (places, _), mine in zip(near, np.split(kept, ends[:-1]), strict=True)]


def closest(
    rows: Block, alive: NDArray[np.bool_], query: NDArray[np.uint64], wanted: Wanted
) -> tuple[NDArray[np.int64], NDArray[np.uint16]]:
    """Find at least the RESCORED closest rows of a block: their places and distances.

    Once so many are found, only what is as close is looked at for whether it is wanted.
    """
    places = np.zeros(0, np.int64)
    distances = np.zeros(0, np.uint16)
    limit = NEVER
    for start in range(0, len(rows.keys), CHUNK):
        chunk = slice(start, start + CHUNK)
        far = hamming(rows.bits[:, chunk], query)
        near = np.flatnonzero(far <= limit)
        looked = chunk if limit == NEVER else near + start
        near = near[alive[looked] & wanted.among(rows.labels[:, looked], rows.times[:, looked])]
        places = np.concatenate([places, near + start])
        distances = np.concatenate([distances, far[near]])
        limit = limit_of(distances)
        kept = distances <= limit
        places, distances = places[kept], distances[kept]
    return places, distances


def hamming(bits: NDArray[np.uint64], query: NDArray[np.uint64]) -> NDArray[np.uint16]:
    far = np.zeros(bits.shape[1], np.uint16)
    for words, asked in zip(bits, query, strict=True):
        far += np.bitwise_count(words ^ asked)
    return far


def limit_of(far: NDArray[np.uint16]) -> int:
    """Find the distance within which RESCORED rows are, and those that are just as far."""
    if len(far) <= RESCORED:
        return NEVER
    return int(np.searchsorted(np.cumsum(np.bincount(far)), RESCORED))
