"""The seam between ranking and whatever holds the vectors of one model."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from agent_mem.recall.vectors import Near, Vector
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Store


class VectorIndex(Protocol):
    """The vectors of one model, searched by cosine, as part of a transaction."""

    model: str
    dim: int

    async def load(self, store: Store) -> None:
        """Get ready to be searched."""
        ...

    async def catch_up(self, store: Store) -> object:
        """Take in what anybody has written."""
        ...

    async def save(self, store: Store) -> None:
        """Make what the next search, or the next process, is faster with, if it is worth it."""
        ...

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
