"""Meaning beside words: what a query means, by the encoder that is shipped or by an endpoint.

Recall never waits for what is loaded or embedded in the background: it goes by words, or by the
built-in vectors, where it is not told more.
"""

import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import numpy as np

from agent_mem.config import Settings
from agent_mem.errors import (
    AgentMemError,
    EmbedderRefused,
    EncoderUnavailable,
    InvalidInput,
)
from agent_mem.recall.builtin import Builtin
from agent_mem.recall.embedding import Source, forgetting, models
from agent_mem.recall.feeding import Seen, unseen
from agent_mem.recall.local_index import LocalIndex
from agent_mem.recall.pgvector import ServerIndex
from agent_mem.recall.remote import Remote
from agent_mem.recall.space import FEW, Space
from agent_mem.recall.vector_index import VectorIndex
from agent_mem.recall.vectors import Vector
from agent_mem.recall.words import terms
from agent_mem.storage.lock import FileLock
from agent_mem.storage.store import Store

LIVE: Final = 64
"""Passages of one batch in the background: a recall shares the processor with it."""
BULK: Final = 256
"""Passages of one batch where nobody waits: those of a length are encoded together."""
READ: Final = re.compile("[a-z0-9]")
"""What a word has that the shipped encoder can read: to it, those of other scripts are alike."""
NO_TOKENS: Final = np.zeros((0, 1), np.float32)
LIKENED: Final = 5_000
"""Texts whose vectors are kept to be compared: some 8 MB."""
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


Spaced = Callable[[Source, str], Space]
"""Makes the space of what makes vectors; the name is that of its lock."""


def on_file(store: Store, path: Path, opened: ExitStack) -> Spaced:
    """Have the vectors searched by this process, and embedded by one of those on a file."""

    def space(source: Source, name: str) -> Space:
        files = (path.with_name(f"{path.name}.{lock}.lock") for lock in (name, "embedding"))
        locks = [opened.enter_context(closing(FileLock(file))) for file in files]
        return Space(store, source, partial(LocalIndex, path=path), *(k.if_free for k in locks))

    return space


def on_server(store: Store) -> Spaced:
    """Have the vectors searched by the server, and embedded by whoever comes first."""
    return lambda source, _: Space(store, source, ServerIndex)


class Meaning:
    """The models that are set: the built-in one, and that of an endpoint beside it.

    The built-in encoder always gives the token vectors. It gives the passages' vectors, too, until
    the endpoint's are complete, and where the endpoint does not answer.
    """

    def __init__(self, store: Store, settings: Settings, spaced: Spaced) -> None:
        self._store = store
        self.near: Space | None = None
        """The space of the built-in encoder."""
        self.far: Space | None = None
        """The space of the endpoint."""
        self._builtin = Builtin()
        self._likened: dict[str, Vector] = {}
        self._remote: Remote | None = None
        if settings.embedder != "none":
            self.near = spaced(self._builtin, "embedding")
        if settings.embedder not in {"none", "builtin"}:
            self._remote = Remote(settings)
            self.far = spaced(self._remote, "endpoint")

    @classmethod
    @asynccontextmanager
    async def open(
        cls, store: Store, settings: Settings, spaced: Spaced
    ) -> AsyncGenerator["Meaning"]:
        """Get ready to load; nothing is loaded yet.

        Raises:
            InvalidInput: the endpoint's address cannot be one.
        """
        meaning = cls(store, settings, spaced)
        try:
            yield meaning
        finally:
            with anyio.CancelScope(shield=True):
                await meaning._close()

    @property
    def spaces(self) -> list[Space]:
        """List the models that are set, the built-in one first."""
        return [space for space in (self.near, self.far) if space]

    @property
    def endpoint(self) -> str | None:
        """Name the model of the endpoint, if one is set."""
        return self._remote.model if self._remote else None

    @property
    def trouble(self) -> str | None:
        """Say why recall goes by words alone, or has not all vectors, in one sentence."""
        if self.far and isinstance(self.far.error, EmbedderRefused | InvalidInput):
            return f"The embedder that is set does not work: {self.far.error}"
        if self.near is None or (self.far and self.far.serves):
            return None
        return lacking(self.near)

    async def ask(self, text: str) -> Meant | None:
        """Find what a query means; None where that cannot be told."""
        near, far = self.near.index if self.near else None, await self._asked(text)
        untold = Meant(*far, "", NO_TOKENS, ()) if far else None
        if near is None:
            return untold
        (made,) = await self._builtin.encode([text])
        read = [i for i, word in enumerate(made.words) if READ.search(word)]
        if not read:
            return untold
        index, vector = far or (near, made.vector)
        words = tuple(made.words[i] for i in read)
        return Meant(index, vector, near.model, made.tokens[read].astype(np.float32), words)

    async def _asked(self, text: str) -> tuple[VectorIndex, Vector] | None:
        """Ask the endpoint, if it has embedded all that is to be found."""
        if not (self._remote and self.far and self.far.index and self.far.serves):
            return None
        vector, index = await self._remote.ask(text), self.far.index
        return (index, vector) if vector is not None and len(vector) == index.dim else None

    async def likeness(self, query: str, texts: Sequence[str]) -> list[float] | None:
        """Compare a query with a few short texts (cosine), by the built-in encoder.

        None where it is not loaded, or cannot read the query. What a text means is kept.
        """
        if self.near is None or self.near.index is None or not READ.search(query.lower()):
            return None
        wanted = [query, *texts]
        new = [text for text in dict.fromkeys(wanted) if text not in self._likened]
        if len(self._likened) > LIKENED:
            self._likened.clear()
            new = list(dict.fromkeys(wanted))
        for text, made in zip(new, await self._builtin.encode(new), strict=True):
            self._likened[text] = made.vector
        return [float(self._likened[query] @ self._likened[text]) for text in texts]

    async def load(self) -> None:
        """Get ready as far as this machine can at once, and embed what little waits."""
        with suppress(AgentMemError):
            if self.near:
                await self.near.work(FEW, most=FEW)
        with suppress(AgentMemError):
            known = await self._store.engine.read(models(self._store))
            if self.far and self._remote and self._remote.model in known:
                await self.far.load()

    async def run(self) -> None:
        """Load, then embed whatever anybody writes, until cancelled."""
        async with anyio.create_task_group() as tasks:
            for space in self.spaces:
                tasks.start_soon(space.run, LIVE)

    async def embed(self, seen: Seen = unseen) -> int:
        """Embed all that waits, and tell how many; what cannot be embedded waits on."""
        done = 0
        for space in self.spaces:
            with suppress(AgentMemError):
                done += await space.work(BULK, seen=lambda n, of, b=done: seen(b + n, b + of))
        return done

    @property
    def left(self) -> list[str]:
        """Say what could not be embedded, and why: a sentence for each model."""
        return [
            str(space.error or f"{space.waits} passages wait: another process is embedding them.")
            for space in self.spaces
            if space.error or space.waits
        ]

    async def renew(self) -> None:
        """Ask for all vectors anew.

        Raises:
            AgentMemError: a model cannot be used now.
        """
        for space in self.spaces:
            await space.renew()

    async def drop(self, model: str) -> None:
        """Forget the vectors of a model that is not in use.

        Raises:
            InvalidInput: it is in use, or unknown.
        """
        used: list[str] = []
        for space in self.spaces:
            with suppress(AgentMemError):
                used.append(await space.name())
        known = await self._store.engine.read(models(self._store))
        idle = [name for name in known if name not in used]
        if model not in idle:
            there = ", ".join(idle) or "none"
            raise InvalidInput(f"Of the models that are not in use there is no `{model}`: {there}.")
        await self._store.engine.write(forgetting(self._store, model))

    async def _close(self) -> None:
        if self._remote:
            await self._remote.aclose()


def lacking(near: Space) -> str | None:
    """Say what the built-in encoder does not do for recall, or not yet."""
    if isinstance(near.error, EncoderUnavailable):
        return str(near.error)
    if near.error:
        return f"What is new is found by words alone: {near.error}"
    if near.index is None:
        return LOADING
    if near.waits > FEW:
        return f"{near.waits} passages are found by words alone, until they are embedded."
    return None
