"""One pass over what waits for a model: some workers, so that none of them waits for the disk."""

import os
from collections.abc import Callable, Sequence
from typing import Final

import anyio

from agent_mem.errors import AgentMemError, EmbedderRefused
from agent_mem.recall.embedding import Embedded, Share, Source, embed_some
from agent_mem.storage.store import Store

WORKERS: Final = max(2, min(4, os.cpu_count() or 1))
"""Batches under way at a time: each is encoded by one thread, and is read and written between."""

Seen = Callable[[int, int], object]
"""Is told how many passages are embedded, and of how many."""


def unseen(done: int, of: int) -> None:
    """Show no progress."""


class Feeding:
    """A pass: what is embedded with, for which model, and how far it has got.

    Args:
        store: where the passages are.
        source: what makes the vectors.
        model: whose vectors they are.
        dim: how long each has to be.
    """

    def __init__(self, store: Store, source: Source, model: str, dim: int) -> None:
        self.done = 0
        self._store = store
        self._source = source
        self._model = model
        self._dim = dim
        self._failed: list[AgentMemError] = []

    async def run(self, batch: int, most: float, seen: Callable[[int], object]) -> int:
        """Embed batches until nothing waits, or as many passages as are wanted; tell how many.

        Raises:
            AgentMemError: it cannot be done, or not now; what was done is kept.
        """

        async def take(share: Share) -> None:
            while self.done < most and not self._failed and (n := await self._some(batch, share)):
                self.done += n
                seen(self.done)

        async with anyio.create_task_group() as tasks:
            for number in range(WORKERS):
                tasks.start_soon(take, Share(number, WORKERS))
        if self._failed:
            raise self._failed[0]
        return self.done

    async def _some(self, batch: int, share: Share) -> int:
        try:
            return await embed_some(self._store, self._model, self._embed, batch, share)
        except AgentMemError as error:  # the other worker finishes what it has begun
            self._failed.append(error)
            return 0

    async def _embed(self, texts: Sequence[str]) -> Sequence[Embedded]:
        made = await self._source.embed(texts)
        if any(len(one.vector) != self._dim for one in made):
            raise EmbedderRefused(
                f"The vectors of {self._model} were of {self._dim} numbers, and are of"
                f" {len(made[0].vector)} now: run `agent-mem reembed --all`."
            )
        return made
