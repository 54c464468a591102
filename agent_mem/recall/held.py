"""The vectors that a process has at hand: those of a file, mapped, and what is newer, in memory."""

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, Final

import numpy as np

from agent_mem.recall.mapped import Chosen, Description
from agent_mem.recall.vectors import (
    CHUNK,
    Block,
    Names,
    Near,
    Part,
    Vector,
    Wanted,
    block,
    cosines,
    nearest,
)
from agent_mem.storage.statements import Row

ROOM: Final = CHUNK
"""Rows of each block in memory; the system gives it memory as it is filled."""
MARGIN: Final = 1_000


class Held:
    """What is known of a model's vectors up to one change.

    A row is never changed once it is there, but dies, so that a thread may search what another
    adds to. Its place is its number in `base`, or, behind that, in the blocks of `newer`.
    """

    def __init__(self, about: Description, base: Block) -> None:
        self.about = about
        self.seq = about.seq
        """The last change that is taken in."""
        self.behind = False
        """There was more to take in than a recall can wait for."""
        self.changes = 0
        """How many changes were taken in beside the base, or since that was last tried to write."""
        self._base = base
        self._newer: list[Block] = []
        self._used: list[int] = []
        """How much of each block is filled."""
        self._alive = np.ones(len(base.keys), np.bool_)
        self._places = np.full(int(base.keys.max(initial=0)) + MARGIN, -1, np.int32)
        self._places[base.keys] = np.arange(len(base.keys))
        self._names = Names(about.names)
        self._lock = Lock()

    @classmethod
    def nothing(cls, model: str, dim: int, life: str | None) -> "Held":
        """Begin with no vector."""
        return cls(Description(life=life, model=model, dim=dim), Block.of(0, dim))

    def take(self, rows: Sequence[Row]) -> None:
        """Take in changes, in their order; those that another thread has taken in are none.

        A vector of another length than the others' is none either.
        """
        with self._lock:
            new = [row for row in rows if row["seq"] > self.seq]
            if new:
                dim = self.about.dim
                added = block([r for r in new if len(r["vector"] or b"") == dim], self._names, dim)
                self._make_room(len(added.keys), max(row["n"] for row in new))
                self._kill([row["n"] for row in new])
                self._add(added)
                self.seq = new[-1]["seq"]
                self.changes += len(new)

    def _make_room(self, more: int, highest: int) -> None:
        if highest >= len(self._places):
            wider = np.full(2 * highest + 1, -1, np.int32)
            wider[: len(self._places)] = self._places
            self._places = wider
        if not self._newer or self._used[-1] + more > ROOM:
            self._newer.append(Block.of(ROOM, self.about.dim))
            self._used.append(0)
            self._alive = np.append(self._alive, np.ones(ROOM, np.bool_))

    def _kill(self, keys: list[int]) -> None:
        places = self._places[keys]
        self._alive[places[places >= 0]] = False
        self._places[keys] = -1

    def _add(self, rows: Block) -> None:
        used = self._used[-1]
        self._newer[-1].put(used, rows)
        first = len(self._alive) - ROOM + used
        self._places[rows.keys] = np.arange(first, first + len(rows.keys))
        self._used[-1] += len(rows.keys)

    def _parts(self) -> list[Part]:
        """See the rows as they are at this moment, whatever happens next."""
        size = len(self._base.keys)
        parts = [(self._base, self._alive[:size].copy())]
        for start, (rows, used) in enumerate(zip(self._newer, self._used, strict=True)):
            first = size + start * ROOM
            parts.append((rows.first(used), self._alive[first : first + used].copy()))
        return parts

    def nearest(self, asked: Vector, filters: Mapping[str, Any], limit: int) -> list[Near]:
        """Find the passages that the filters allow, the highest cosine first."""
        with self._lock:
            wanted, parts = Wanted(filters, self._names), self._parts()
        return nearest(parts, asked, wanted, limit)

    def cosines(self, asked: Vector, keys: Sequence[int]) -> dict[int, float]:
        """Compare some passages; those that have no vector are left out."""
        with self._lock:
            known = [key for key in keys if key < len(self._places) and self._places[key] >= 0]
            places = self._places[known]
            rows = np.zeros((len(known), self.about.dim), np.int8)
            first = 0
            for part in (self._base, *self._newer):
                here = (places >= first) & (places < first + len(part.keys))
                rows[here] = part.rows[places[here] - first]
                first += len(part.keys)
        return dict(zip(known, cosines(rows, asked).tolist(), strict=True))

    def view(self, name: str) -> tuple[Description, Chosen]:
        """Choose what lives at this moment, to be written to a file; none of it is copied."""
        with self._lock:
            parts = [(rows, np.flatnonzero(alive)) for rows, alive in self._parts()]
            more = {
                "name": name,
                "seq": self.seq,
                "size": sum(len(chosen) for _, chosen in parts),
                "names": self._names.all(),
            }
            return self.about.model_copy(update=more), parts

    @property
    def in_file(self) -> int:
        """How many rows the file has."""
        return len(self._base.keys)
