"""The vector index of one model over a SQLite file: its own file mapped, what is newer in memory.

Every process has one. The database says what changed, in order, so that each recall first takes in
what any process has written since. The file is only where the next process begins.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final, Protocol

import numpy as np
from anyio.to_thread import run_sync

from agent_mem.recall import mapped
from agent_mem.recall.mapped import BadIndex, Description, Parts
from agent_mem.recall.vectors import (
    NEVER,
    Block,
    Names,
    Near,
    Vector,
    Wanted,
    block,
    cosines,
    nearest,
)
from agent_mem.records.record import uuid7
from agent_mem.storage.statements import Row, Transaction
from agent_mem.storage.store import Store

BATCH: Final = 1_000
"""Rows that are taken in at a time."""
AT_ONCE: Final = 2
"""How many batches a recall waits for; the rest comes in the background."""
WORTH: Final = 1_000
"""Rows that are not in the file, from which on it is written again …"""
SHARE: Final = 4
"""… if they are this part of those that are: each row is then written only some times."""


class VectorIndex(Protocol):
    """The vectors of one model, searched by cosine, as part of a transaction."""

    def nearest(
        self, store: Store, asked: Vector, filters: Mapping[str, Any], limit: int
    ) -> Transaction[list[Near]]:
        """Find the passages that a request's filters allow, the highest cosine first."""
        ...

    def cosines(
        self, store: Store, asked: Vector, keys: Sequence[int]
    ) -> Transaction[dict[int, float]]:
        """Compare some passages; those that have no vector are left out."""
        ...


class LocalIndex:
    """A `VectorIndex` of this process."""

    def __init__(self, model: str, dim: int, path: Path) -> None:
        self.model = model
        self.dim = dim
        self.path = path
        self.behind = True
        """There was more to take in than a recall can wait for."""
        self._lock = Lock()
        self._restart(Block.of(0, dim), [], 0)

    def _restart(self, base: Block, names: Iterable[str], seq: int) -> None:
        self._base = base
        self._tail = Block.of(WORTH, self.dim)
        self._size = 0
        self._alive = np.ones(len(base.keys) + WORTH, np.bool_)
        self._places = np.full(int(base.keys.max(initial=0)) + WORTH, -1, np.int32)
        self._places[base.keys] = np.arange(len(base.keys))
        self._names = Names(names)
        self._seq = seq

    def nearest(
        self, store: Store, asked: Vector, filters: Mapping[str, Any], limit: int
    ) -> Transaction[list[Near]]:
        """Take in what is new, and find."""
        yield from self.catching_up(store)
        with self._lock:
            wanted, size = Wanted(filters, self._names), len(self._base.keys)
            parts = [(self._base, self._alive[:size]), (self._newer(), self._alive[size:])]
        return nearest(parts, asked, wanted, limit)

    def cosines(
        self, store: Store, asked: Vector, keys: Sequence[int]
    ) -> Transaction[dict[int, float]]:
        """Take in what is new, and compare some passages."""
        yield from self.catching_up(store)
        with self._lock:
            known = [key for key in keys if key < len(self._places) and self._places[key] >= 0]
            places, size = self._places[known], len(self._base.keys)
            old = places < size
            rows = np.zeros((len(known), self.dim), np.int8)
            rows[old] = self._base.rows[places[old]]
            rows[~old] = self._tail.rows[places[~old] - size]
        return dict(zip(known, cosines(rows, asked).tolist(), strict=True))

    def catching_up(self, store: Store, batches: int = AT_ONCE) -> Transaction[None]:
        """Take in what any process has written, some batches of it."""
        (latest,) = yield store.query("memory_index.latest", model=self.model)
        for _ in range(batches):
            if self._seq >= latest["seq"]:
                break
            params = {"model": self.model, "seq": self._seq, "limit": BATCH, "never": NEVER}
            self._take((yield store.query("memory_index.tail", **params)))
        self.behind = self._seq < latest["seq"]

    def _newer(self) -> Block:
        return self._tail.first(self._size)

    def _take(self, rows: Sequence[Row]) -> None:
        """Take in changes, in their order; those that another thread has taken in are none."""
        with self._lock:
            new = [row for row in rows if row["seq"] > self._seq]
            if new:
                self._make_room(len(new), max(row["n"] for row in new))
                self._kill([row["n"] for row in new])
                self._append(block([r for r in new if r["vector"]], self._names, self.dim))
                self._seq = new[-1]["seq"]

    def _make_room(self, more: int, highest: int) -> None:
        if highest >= len(self._places):
            wider = np.full(2 * highest + 1, -1, np.int32)
            wider[: len(self._places)] = self._places
            self._places = wider
        if self._size + more > len(self._tail.keys):
            tail = Block.of(2 * (self._size + more), self.dim)
            tail.put(0, self._newer())
            alive = np.ones(len(self._base.keys) + len(tail.keys), np.bool_)
            alive[: len(self._alive)] = self._alive
            self._tail, self._alive = tail, alive

    def _kill(self, keys: list[int]) -> None:
        places = self._places[keys]
        self._alive[places[places >= 0]] = False
        self._places[keys] = -1

    def _append(self, rows: Block) -> None:
        self._tail.put(self._size, rows)
        first = len(self._base.keys) + self._size
        self._places[rows.keys] = np.arange(first, first + len(rows.keys))
        self._size += len(rows.keys)

    async def load(self, store: Store) -> None:
        """Begin with the file if it is good, and take in all that is newer.

        Whatever is wrong with the file, the database has all that was in it.
        """
        with suppress(BadIndex):
            path, expected = await store.engine.read(self._expected(store))
            about, base = await run_sync(mapped.read, path, expected)
            with self._lock:
                self._restart(base, about.names, about.seq)
        await self.catch_up(store)

    async def catch_up(self, store: Store) -> None:
        """Take in all that is new."""
        self.behind = True
        while self.behind:
            await store.engine.read(self.catching_up(store))

    def _expected(self, store: Store) -> Transaction[tuple[Path, dict[str, Any]]]:
        """Ask the database what the file has to be."""
        (replica,) = yield store.query("memory_index.replica")
        models = yield store.query("memory_index.models")
        (mine,) = [row for row in models if row["model"] == self.model]
        name = mine["file"] or "no file"
        expected = {"replica": str(replica["id"]), "model": self.model, "dim": self.dim}
        return self.path.with_name(name), {**expected, "name": name, "seq": mine["file_seq"]}

    async def save(self, store: Store) -> None:
        """Write the file anew if much has changed since, and begin with it. One process at a time.

        Where there is no space for it, the next process has to take in more.
        """
        if self._size < max(WORTH, len(self._base.keys) // SHARE):
            return
        (replica,) = await store.rows("memory_index.replica")
        about, parts = self._view(str(replica["id"]))
        with suppress(OSError):
            await run_sync(mapped.write, self.path.with_name(about.name), about, parts)
            await store.engine.write(self._noting(store, about))
            await self.load(store)

    def _view(self, replica: str) -> tuple[Description, Parts]:
        """Choose what lives at this moment; rows are never changed, so none is copied."""
        with self._lock:
            old = len(self._base.keys)
            parts = [
                (self._base, np.flatnonzero(self._alive[:old])),
                (self._newer(), np.flatnonzero(self._alive[old : old + self._size])),
            ]
            about = Description(
                name=f"{self.path.name}.{uuid7().hex}.vectors",
                replica=replica,
                model=self.model,
                dim=self.dim,
                seq=self._seq,
                size=sum(len(chosen) for _, chosen in parts),
                names=self._names.all(),
            )
        return about, parts

    def _noting(self, store: Store, about: Description) -> Transaction[None]:
        """Make the new file the one that counts, and remove those that count no more."""
        params = {"model": self.model, "file": about.name, "seq": about.seq}
        yield store.query("memory_index.note_file", **params)
        models = yield store.query("memory_index.models")
        current = {row["file"] for row in models}
        for path in self.path.parent.glob(f"{self.path.name}.*.vectors"):
            if path.name not in current:
                with suppress(OSError):  # another process has it open, where that keeps a file
                    path.unlink()
