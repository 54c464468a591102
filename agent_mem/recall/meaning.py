"""Meaning beside words: the encoder and the vector index, loaded and fed in the background.

Recall never waits for them: it asks what a query means, and goes by words where it is not told.
"""

import logging
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
from anyio.to_thread import run_sync

from agent_mem.errors import EncoderUnavailable, StorageError
from agent_mem.recall.embedding import Embedded, embed_some, registering
from agent_mem.recall.local_index import LocalIndex, VectorIndex
from agent_mem.recall.vectors import Vector
from agent_mem.recall.words import terms
from agent_mem.storage.lock import FileLock
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Store

if TYPE_CHECKING:
    from agent_mem.recall.encoder import Encoder

logger = logging.getLogger(__name__)

PAUSE: Final = 0.3
"""Seconds between two looks for what waits: a memory is to be found by meaning within one."""
BATCH: Final = 32
"""Passages of one pass: while they are encoded, a recall shares the processor with them."""
DIM: Final = 384
LOADING: Final = "Found by words alone: the encoder is still loading."


@dataclass(frozen=True, slots=True)
class Meant:
    """What a query means, and the index to look for it in."""

    index: VectorIndex
    vector: Vector
    model: str
    """The model of the token vectors."""
    tokens: Vector
    """One row for each word piece that says something."""
    words: tuple[str, ...]
    """For each of these the word that it is of."""

    @property
    def terms(self) -> list[str]:
        return [term for word in self.words for term in terms(word)]


class Meaning:
    """The encoder of this process, and the index of its vectors."""

    def __init__(self, store: Store, path: Path, opened: ExitStack) -> None:
        self.trouble: str | None = LOADING
        """Why recall goes by words alone, or has not all vectors yet: one sentence."""
        self._store = store
        self._path = path
        self._lock = opened.enter_context(
            closing(FileLock(path.with_name(path.name + ".embedding.lock")))
        )
        self._encoder: Encoder | None = None
        self._index: LocalIndex | None = None

    async def ask(self, text: str) -> Meant | None:
        """Find what a query means; None as long as that cannot be told."""
        if self._index is None or self._encoder is None:
            return None
        (made,) = await run_sync(self._encoder.encode, [text])
        tokens = made.tokens.astype("float32")
        return Meant(self._index, made.vector, self._encoder.name, tokens, made.words)

    async def load(self) -> bool:
        """Load the encoder and the index; tell whether they can be used."""
        try:
            # Here, since it takes as long as all else together, and not every machine can.
            module = await run_sync(import_module, "agent_mem.recall.encoder")
            encoder: Encoder = await run_sync(module.Encoder.load)
        except EncoderUnavailable as error:
            self.trouble = str(error)
            return False
        if encoder.name not in await self._store.engine.read(models(self._store)):
            await self._store.engine.write(registering(self._store, encoder.name, DIM))
        index = LocalIndex(encoder.name, DIM, self._path)
        await index.load(self._store)
        self._encoder, self._index = encoder, index
        await self._look(encoder.name)
        return True

    async def run(self) -> None:
        """Load, then embed whatever anybody writes, until cancelled or not able to."""
        able = True
        while able:
            try:
                able = await self.work()
            except StorageError as error:
                self.trouble = f"Found by words alone: {error}"
                logger.warning("What was written cannot be embedded now.", exc_info=True)
            await anyio.sleep(PAUSE)

    async def work(self) -> bool:
        """Embed what waits, unless another process is at it; tell whether that is possible."""
        if self._index is None and not await self.load():
            return False
        if self._index is not None and self._encoder is not None:
            with self._lock.if_free() as mine:
                if mine:
                    await self._embed(self._encoder, self._index)
            await self._index.catch_up(self._store)
            await self._look(self._encoder.name)
        return True

    async def _embed(self, encoder: "Encoder", index: LocalIndex) -> None:
        async def embed(texts: Sequence[str]) -> Sequence[Embedded]:
            made = await run_sync(encoder.encode, texts)
            return [Embedded(one.vector, one.tokens.tobytes()) for one in made]

        while await embed_some(self._store, encoder.name, embed, BATCH):
            await self._look(encoder.name)
        await index.save(self._store)

    async def _look(self, model: str) -> None:
        """See how far the first embedding of everything has got."""
        complete = (await self._store.engine.read(models(self._store)))[model]
        self.trouble = None
        if not complete:
            (row,) = await self._store.rows("memory_index.waiting", model=model)
            self.trouble = f"{row['n']} passages are found by words alone, until they are embedded."


def models(store: Store) -> Transaction[dict[str, bool]]:
    """List the models, and whether each has caught up once."""
    rows = yield store.query("memory_index.models")
    return {row["model"]: bool(row["complete"]) for row in rows}
