"""The vector index of one model over a SQLite file: its own file mapped, what is newer in memory.

Every process has one. The database says what changed, in order, so that each recall first takes in
what any process has written since. The file is only where the next process begins.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import Any, Final

from anyio.to_thread import run_sync

from agent_mem.errors import StorageError
from agent_mem.recall import mapped
from agent_mem.recall.held import Held
from agent_mem.recall.mapped import BadIndex, Description
from agent_mem.recall.vectors import NEVER, Near, Vector
from agent_mem.records.record import uuid7
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Store

logger = logging.getLogger(__name__)

BATCH: Final = 1_000
"""Rows that are taken in at a time."""
AT_ONCE: Final = 2
"""How many batches a recall waits for; the rest comes in the background."""
WORTH: Final = 1_000
"""Changes that are not in the file, from which on it is written again …"""
SHARE: Final = 4
"""… if they are this part of those that are: each row is then written only some times."""


class LocalIndex:
    """A `VectorIndex` of this process."""

    def __init__(self, model: str, dim: int, path: Path, worth: int = WORTH) -> None:
        """Begin with nothing.

        Args:
            model: whose vectors these are.
            dim: how long they are.
            path: the database's file, beside which the index has its own.
            worth: the changes that are worth writing a file.
        """
        self.model = model
        self.dim = dim
        self.path = path
        self.worth = worth
        self._held = Held.nothing(model, dim, None)

    def nearest(
        self, store: Store, asked: Vector, filters: Mapping[str, Any], limit: int
    ) -> Transaction[list[Near]]:
        """Take in what is new, and find."""
        held = yield from self.catching_up(store)
        return held.nearest(asked, {"owner": store.owner, **filters}, limit)

    def cosines(
        self, store: Store, asked: Vector, keys: Sequence[int]
    ) -> Transaction[dict[int, float]]:
        """Take in what is new, and compare some passages."""
        held = yield from self.catching_up(store)
        return held.cosines(asked, keys)

    def catching_up(self, store: Store, held: Held | None = None) -> Transaction[Held]:
        """Take in what any process has written, some batches of it.

        Args:
            store: whose database it is in.
            held: what to add it to, if not to what is searched now.
        """
        held = held or self._held
        (latest,) = yield store.query("memory_index.latest", model=self.model)
        if latest["life"] != held.about.life:  # what is held was forgotten
            held = self._held = Held.nothing(self.model, self.dim, latest["life"])
        for _ in range(AT_ONCE):
            if held.seq >= latest["seq"]:
                break
            params = {"model": self.model, "seq": held.seq, "limit": BATCH, "never": NEVER}
            held.take((yield store.query("memory_index.tail", **params)))
        held.behind = held.seq < latest["seq"]
        return held

    async def catch_up(self, store: Store, held: Held | None = None) -> Held:
        """Take in all that is new."""
        held = await store.engine.read(self.catching_up(store, held))
        while held.behind:
            held = await store.engine.read(self.catching_up(store, held))
        return held

    async def load(self, store: Store) -> None:
        """Begin with the file if it is good, and take in all that is newer.

        Whatever is wrong with the file, the database has all that was in it.
        """
        noted = await store.engine.read(self._noted(store))
        with suppress(BadIndex):
            if noted:
                path = self.path.with_name(noted["name"])
                held = Held(*await run_sync(mapped.read, path, noted))
                self._held = await self.catch_up(store, held)  # it is whole before it is searched
        await self.catch_up(store)

    def _noted(self, store: Store) -> Transaction[dict[str, Any] | None]:
        """Ask the database what the file has to be; None if there is none."""
        for row in (yield store.query("memory_index.models")):
            if row["model"] == self.model and row["file"]:
                about = {"name": row["file"], "seq": row["file_seq"], "life": row["life"]}
                return {**about, "model": self.model, "dim": self.dim}
        return None

    async def save(self, store: Store) -> None:
        """Write the file anew if much has changed since. One process at a time may do so."""
        if self._grown:
            noted = await store.engine.read(self._noted(store))
            if noted and noted["name"] != self._held.about.name:
                await self.load(store)  # another process has written it
        if self._grown:
            await self._write(store)

    @property
    def _grown(self) -> bool:
        return self._held.changes >= max(self.worth, self._held.in_file // SHARE)

    async def _write(self, store: Store) -> None:
        """Write a file and begin with it.

        Where that fails, the next process has to take in more, and this one does not try again
        until as much has changed.
        """
        self._held.changes = 0
        about, parts = self._held.view(f"{self.path.name}.{uuid7().hex}.vectors")
        file = self.path.with_name(str(about.name))
        try:
            await run_sync(mapped.write, file, about, parts)
            current = await store.engine.write(self._noting(store, about))
        except (OSError, StorageError):
            logger.warning("The vector index cannot be written to %s.", file, exc_info=True)
            remove(file)
            return
        await self.load(store)
        # Each name is followed by 32 hexadecimal digits, so that no other database's file fits.
        for path in self.path.parent.glob(f"{escape(self.path.name)}.{'?' * 32}.vectors"):
            if path.name not in current:
                remove(path)

    def _noting(self, store: Store, about: Description) -> Transaction[set[str]]:
        """Make a new file the one that counts; list those that do."""
        params = {"model": self.model, "file": about.name, "seq": about.seq}
        yield store.query("memory_index.note_file", **params)
        return {row["file"] for row in (yield store.query("memory_index.models"))}


def remove(path: Path) -> None:
    """Remove a file, unless another process has it open, where that keeps it."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
