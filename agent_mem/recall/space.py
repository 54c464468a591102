"""The vectors of one model: what this process does for them, beside all others that have them."""

import logging
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

import anyio

from agent_mem.errors import (
    AgentMemError,
    EmbedderRefused,
    EmbedderUnreachable,
    EncoderUnavailable,
    InvalidInput,
    StorageError,
)
from agent_mem.recall.embedding import (
    Source,
    models,
    registering,
    renewing,
    waiting,
)
from agent_mem.recall.feeding import Feeding, Seen, unseen
from agent_mem.recall.vector_index import VectorIndex
from agent_mem.storage.store import Store

logger = logging.getLogger(__name__)

PAUSE: Final = 0.3
"""Seconds between two looks for what waits: a memory is to be found by meaning within one."""
REFUSED: Final = 180.0
"""Seconds after which it is tried again what was refused: somebody has to mend it."""
LONGEST_PAUSE: Final = 60.0
"""Seconds after which it is tried again, at most, what may come back by itself."""
FEW: Final = 100
"""Passages that are embedded before anybody could be told that they wait."""
SAMPLE: Final = "."
"""What is embedded to learn how long a model's vectors are."""


Turn = Callable[[], AbstractContextManager[bool]]
"""What one process does at a time: it tells whether this one may."""


def anyone() -> AbstractContextManager[bool]:
    """Let several do the same: what one of them writes is what another would."""
    return nullcontext(True)


class Space:
    """One model at work in this process.

    Args:
        store: where the vectors are.
        source: what makes the vectors.
        indexed: makes the index of a model, by its name and its vectors' length.
        working: held by the process that embeds for this model.
        saving: held by the process that writes an index, of whichever model.
    """

    def __init__(
        self,
        store: Store,
        source: Source,
        indexed: Callable[[str, int], VectorIndex],
        working: Turn = anyone,
        saving: Turn = anyone,
    ) -> None:
        self.index: VectorIndex | None = None
        self.complete = False
        """All passages have been embedded once."""
        self.waits = 0
        """How many passages are to be embedded."""
        self.error: AgentMemError | None = None
        """What has kept this process from it, the last time."""
        self._store = store
        self._source = source
        self._indexed = indexed
        self._working = working
        self._saving = saving
        self._turn = anyio.Lock()

    @property
    def serves(self) -> bool:
        """Tell whether these vectors can be searched instead of another model's."""
        return self.index is not None and self.complete and self.waits <= FEW

    async def run(self, batch: int) -> None:
        """Embed whatever anybody writes, until cancelled, or for ever unable to."""
        failed, told = 0, ""
        while True:
            pause = PAUSE
            try:
                await self.work(batch)
                failed = 0
            except EncoderUnavailable:
                return
            except (EmbedderRefused, InvalidInput):
                pause = REFUSED
            except (EmbedderUnreachable, StorageError):
                pause = min(LONGEST_PAUSE, 2**failed)
                failed += 1
            if str(self.error or "") != told:
                told = str(self.error or "")
                logger.warning("Embedding: %s", told or "it goes on.")
            await anyio.sleep(pause)

    async def work(self, batch: int, most: float = float("inf"), seen: Seen = unseen) -> int:
        """Embed what waits, some of it, unless another process is at it; tell how many.

        Raises:
            AgentMemError: it cannot be done, or not now; it is kept as `error`.
        """
        async with self._turn:
            with self._remembering():
                index = await self._look(self.index or await self._load())
                with self._working() as mine:
                    done = await self._embed(index, batch, most, seen) if mine else 0
                with self._saving() as mine:
                    if mine:
                        await index.save(self._store)
                await self._look(index)
        return done

    async def load(self) -> None:
        """Get ready to find by these vectors.

        Raises:
            AgentMemError: it cannot be done, or not now; it is kept as `error`.
        """
        async with self._turn:
            with self._remembering():
                await self._look(self.index or await self._load())

    async def renew(self) -> None:
        """Ask for all vectors anew, of whatever length they are by now.

        Raises:
            AgentMemError: it cannot be done, or not now; it is kept as `error`.
        """
        async with self._turn:
            with self._remembering():
                index = self.index or await self._load()
                dim = await self._measured()
                await self._store.engine.write(renewing(self._store, index.model, dim))
                await self._look(index)

    async def name(self) -> str:
        """Name the model.

        Raises:
            EncoderUnavailable, InvalidInput: it cannot be used here.
        """
        with self._remembering():
            return await self._source.open()

    async def check(self) -> None:
        """Embed something, to see whether that works.

        Raises:
            AgentMemError: it does not.
        """
        with self._remembering():
            await self._measured()

    async def _load(self) -> VectorIndex:
        """Register the model if it is a new one, and load its index."""
        model = await self._source.open()
        known = (await self._store.engine.read(models(self._store))).get(model)
        dim = known.dim if known else await self._measured()
        if known is None:
            await self._store.engine.write(registering(self._store, model, dim))
        index = self._indexed(model, dim)
        await index.load(self._store)
        self.index = index
        return index

    async def _measured(self) -> int:
        (sample,) = await self._source.embed([SAMPLE])
        return len(sample.vector)

    async def _look(self, index: VectorIndex) -> VectorIndex:
        """Take in what any process has done; give the index that counts now."""
        known = (await self._store.engine.read(models(self._store))).get(index.model)
        if known is None or known.dim != index.dim:  # it was forgotten, or made anew
            index = await self._load()
        await index.catch_up(self._store)
        self.complete = known is not None and known.complete
        self.waits = await self._store.engine.read(waiting(self._store, index.model))
        return index

    async def _embed(self, index: VectorIndex, batch: int, most: float, seen: Seen) -> int:
        of = self.waits

        def told(done: int) -> None:
            self.waits = max(0, of - done)
            seen(done, done + self.waits)

        feeding = Feeding(self._store, self._source, index.model, index.dim)
        return await feeding.run(batch, most, told)

    @contextmanager
    def _remembering(self) -> Generator[None]:
        """Keep what goes wrong, until it goes right again."""
        try:
            yield
        except AgentMemError as error:
            self.error = error
            raise
        self.error = None
