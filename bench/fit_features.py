"""The features of each question's candidates, taken from the product: what `fit.py` fits on.

What takes a stage of recall away is done to what the features are computed from, so that nothing
here knows which features there are. The matrices are kept in the system's folder for temporary
files, under a digest of the product's sources and of the conversation.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import anyio
import numpy as np
from conversations import Conversation, Question
from numpy.typing import NDArray
from stores import CACHE, IDLE, Stored, digest_of, stored

from agent_mem.recall.candidates import Pool, joined, near
from agent_mem.recall.features import features
from agent_mem.recall.frequencies import Corpus
from agent_mem.recall.meaning import Meant
from agent_mem.recall.query import Query
from agent_mem.recall.ranking import WEIGHTS, excluded, weights_of
from agent_mem.recall.search import Finder, Request
from agent_mem.recall.vector_index import VectorIndex
from agent_mem.recall.vectors import Near, Vector
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Store

PROCESSES = 2
Array = NDArray[np.float64]
Understood = tuple[Query, Meant | None]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with the features of its candidates."""

    conversation: str
    question: Question
    names: tuple[str, ...]
    values: Array
    """One row a passage, one column a feature."""
    found: list[list[str]]
    """For each row the turns that its memory is of."""
    alone: "Asked | None" = None
    """The same by words alone, if that is something else."""

    @property
    def read(self) -> bool:
        """Whether the encoder could read it: not every script."""
        return weights_of(self.names) is WEIGHTS

    @property
    def by_words(self) -> "Asked":
        return self.alone or self


@dataclass(frozen=True, slots=True)
class Blind:
    """An index that compares what others found, and finds nothing itself."""

    index: VectorIndex

    def nearest(
        self,
        store: Store,  # noqa: ARG002 - as the protocol has it
        asked: Vector,  # noqa: ARG002 - as the protocol has it
        filters: Mapping[str, Any],  # noqa: ARG002 - as the protocol has it
        limit: int,  # noqa: ARG002 - as the protocol has it
    ) -> Transaction[list[Near]]:
        """Find nothing."""
        yield from ()
        return []

    def cosines(
        self, store: Store, asked: Vector, keys: Sequence[int]
    ) -> Transaction[dict[int, float]]:
        """Compare some passages."""
        return self.index.cosines(store, asked, keys)


def as_is(query: Query, meant: Meant | None) -> Understood:
    return query, meant


def words_alone(query: Query, _: Meant | None) -> Understood:
    return query, None


def words_find(query: Query, meant: Meant | None) -> Understood:
    return query, meant and replace(meant, index=Blind(meant.index))


def vectors_find(query: Query, meant: Meant | None) -> Understood:
    return replace(query, terms=(), words=()), meant


def whole(pool: Pool) -> Pool:
    return pool


def no_late_interaction(pool: Pool) -> Pool:
    return replace(pool, sense=pool.sense and replace(pool.sense, tokens={}))


def no_cosine(pool: Pool) -> Pool:
    return replace(pool, sense=pool.sense and replace(pool.sense, cosines={}))


def no_neighbours(pool: Pool) -> Pool:
    alone = [passage._replace(previous=None, next=None) for passage in pool.passages]
    return replace(pool, passages=alone)


def isolated(pool: Pool) -> Pool:
    alone = [passage._replace(session_id=None) for passage in no_neighbours(pool).passages]
    return replace(pool, passages=alone)


class Variant(NamedTuple):
    """Recall without one of its stages."""

    ask: Callable[[Query, Meant | None], Understood]
    see: Callable[[Pool], Pool]
    alone: str
    """The variant on whose weights it falls back for what the encoder cannot read."""


ALL, WORDS_ALONE, NEITHER = "all of it", "words alone", "words alone, no neighbours, no session"
VARIANTS = {
    ALL: Variant(as_is, whole, WORDS_ALONE),
    WORDS_ALONE: Variant(words_alone, whole, WORDS_ALONE),
    "candidates by words only": Variant(words_find, whole, WORDS_ALONE),
    "no words at all": Variant(vectors_find, whole, WORDS_ALONE),
    "no late interaction": Variant(as_is, no_late_interaction, WORDS_ALONE),
    "no cosine as a feature": Variant(as_is, no_cosine, WORDS_ALONE),
    "no neighbours": Variant(as_is, no_neighbours, NEITHER),
    "no neighbours, no session": Variant(as_is, isolated, NEITHER),
    NEITHER: Variant(words_alone, isolated, NEITHER),
}


def asked_of(conversations: Sequence[Conversation], variant: str) -> list[Asked]:
    """Read, or compute, the features of the main questions of some conversations."""
    alone = VARIANTS[variant].alone
    found = _asked_of(conversations, variant)
    if alone == variant:
        return found
    words = _asked_of(conversations, alone)
    return [replace(each, alone=by) for each, by in zip(found, words, strict=True)]


def _asked_of(conversations: Sequence[Conversation], variant: str) -> list[Asked]:
    with ProcessPoolExecutor(PROCESSES) as pool:
        paths = list(pool.map(partial(_path_of, variant), conversations))
    return [
        asked
        for conversation, path in zip(conversations, paths, strict=True)
        for asked in _read(conversation, path)
    ]


def _path_of(variant: str, conversation: Conversation) -> Path:
    told = [variant, conversation.name, *conversation.turns, *map(_written, conversation.main)]
    path = CACHE / f"{digest_of(told, *IDLE)}.npz"
    if not path.exists():
        anyio.run(_write, path, conversation, variant)
    return path


def _written(question: Question) -> tuple[object, ...]:
    return question.text, question.asked_at, sorted(question.evidence)


def _read(conversation: Conversation, path: Path) -> list[Asked]:
    with np.load(path) as kept:
        names, keys = json.loads(str(kept["names"])), json.loads(str(kept["keys"]))
        sizes = kept["sizes"]
        numbers = np.cumsum(sizes * [len(each) for each in names])[:-1]
        values = np.split(kept["values"].astype(np.float64), numbers)
        records = np.split(kept["records"], np.cumsum(sizes)[:-1])
    return [
        Asked(
            conversation.name,
            question,
            tuple(named),
            rows.reshape(-1, len(named)),
            [keys[n] for n in found],
        )
        for question, named, rows, found in zip(
            conversation.main, names, values, records, strict=True
        )
    ]


async def _write(path: Path, conversation: Conversation, variant: str) -> None:
    async with stored(conversation.turns) as store:
        seen = [await _columns(store, each, VARIANTS[variant]) for each in conversation.main]
    place = {key: n for n, key in enumerate(store.keys)}
    # A query in a script that the encoder cannot read has other features: those of words alone.
    values = [np.stack(list(columns.values()), axis=1).ravel() for columns, _ in seen]
    part = path.with_name(f"{uuid4().hex}.npz")
    np.savez(
        part,
        names=json.dumps([list(columns) for columns, _ in seen]),
        keys=json.dumps(list(store.keys.values())),
        sizes=[len(records) for _, records in seen],
        values=np.concatenate(values).astype(np.float32),
        records=[place[record] for _, records in seen for record in records],
    )
    part.rename(path)


async def _columns(
    store: Stored, question: Question, variant: Variant
) -> tuple[dict[str, Array], list[str]]:
    """Compute the features of a question's candidates, and name the memory of each."""
    request = Request(question.text, at=question.asked_at)
    meant = await store.app.finder.meant(request)
    gathering = _gathered(store.app.finder, request, meant, variant)
    query, found, corpus = await store.app.store.engine.read(gathering)
    pool = variant.see(found)
    kept = [passage for passage in pool.passages if not excluded(query, passage)]
    columns = features(query, kept, corpus, pool.sense)
    shown = np.array([passage.n in pool.allowed for passage in kept], np.bool_)
    records = [passage.record_id for passage in kept if passage.n in pool.allowed]
    return {name: column[shown] for name, column in columns.items()}, records


def _gathered(
    finder: Finder, request: Request, meant: Meant | None, variant: Variant
) -> Transaction[tuple[Query, Pool, Corpus]]:
    """Gather the candidates as a search does."""
    asked = request.asked()
    if asked.query.anchor:
        asked = asked._replace(query=(yield from finder.placed(asked, asked.query.anchor)))
    query, meant = variant.ask(asked.query, meant)
    asked, found = yield from finder.worded(asked._replace(query=query))
    close = yield from near(finder.store, asked, meant)
    return query, *(yield from finder.pooled(asked, meant, joined(asked, found, close)))
