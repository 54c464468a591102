"""What recall is compared with, on the same turns: full text, vectors, and the usual fusions.

The vectors are the product's own: the same MiniLM, as int8, of the same texts with who said it in
front. Full text sees the speaker, too. A fusion takes the whole of both rankings.
"""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from conversations import Question, Turn
from stores import Stored

from agent_mem.recall.candidates import passage, sensed
from agent_mem.recall.features import Sense, late_interaction
from agent_mem.recall.meaning import Meant
from agent_mem.recall.passages import Passage
from agent_mem.recall.search import Request
from agent_mem.recall.words import STOP_WORDS
from agent_mem.storage.statements import Transaction

RRF_K = 60
"""Cormack, Clarke and Buettcher 2009."""
BY_BM25, BY_COSINE, BY_RANKS, BY_SCORES, BY_TOKENS, BY_WORDS, BY_ALL = SYSTEMS = (
    "FTS5 BM25",
    "MiniLM cosine",
    "reciprocal rank fusion of both",
    "min-max score fusion of both",
    "late interaction alone",
    "agent-mem, words alone",
    "agent-mem",
)

Scores = dict[str, float]
"""By turn, the higher the better."""


class FullText:
    """FTS5's own ranking with Porter stemming: any word of the question, but for stop words."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._db = sqlite3.connect(":memory:")
        self._db.execute("CREATE VIRTUAL TABLE t USING fts5 (key UNINDEXED, text, tokenize=porter)")
        rows = [(turn.key, f"{turn.speaker}: {turn.text}") for turn in turns]
        self._db.executemany("INSERT INTO t VALUES (?, ?)", rows)

    def scores(self, question: str) -> Scores:
        """Score the turns that have a word of the question."""
        query = "SELECT key, -rank FROM t WHERE t MATCH ? ORDER BY rank"
        return dict(self._db.execute(query, (any_of(question),)).fetchall())


def any_of(text: str) -> str:
    """Write the full-text query for any word of a text, but for stop words."""
    words: Sequence[str] = re.findall(r"\w+", text.lower())
    kept = [word for word in words if word not in STOP_WORDS] or ["nothing"]
    return " OR ".join(f'"{word}"' for word in kept)


class Vectors(NamedTuple):
    """All passages of a store, to be compared with each question one by one."""

    store: Stored
    passages: list[Passage]
    tokens: Mapping[int, bytes]

    @classmethod
    async def of(cls, store: Stored) -> "Vectors":
        """Read all passages and their token vectors."""
        request = Request("")
        filters = request.filters(request.parsed())
        (size,) = await store.app.store.rows("passages.totals")
        (model,) = await store.app.store.rows("memory_index.models")
        # Nothing was ever forgotten, so that they are numbered without gaps.
        keys = list(range(1, size["passages"] + 1))
        rows = await store.app.store.rows("passages.fetch", among=keys, **filters)
        kept = await store.app.store.rows("memory_index.tokens", model=model["model"], among=keys)
        return cls(store, [passage(row) for row in rows], {r["n"]: r["tokens"] for r in kept})

    async def scores(self, meant: Meant) -> tuple[Scores, Scores]:
        """Score all turns by cosine and by late interaction."""
        sense = await self.store.app.store.engine.read(self._sensed(meant))
        meanings = late_interaction(self.passages, sense).sum(axis=1)
        cosines = [sense.cosines.get(each.n, 0.0) for each in self.passages]
        return self._best(cosines), self._best(meanings.tolist())

    def _sensed(self, meant: Meant) -> Transaction[Sense]:
        finder = self.store.app.finder
        corpus = yield from finder.frequencies.corpus(self.store.app.store, meant.terms)
        sense = yield from sensed(self.store.app.store, [], corpus, meant)
        cosines = yield from meant.index.cosines(
            self.store.app.store, meant.vector, [each.n for each in self.passages]
        )
        return replace(sense, tokens=self.tokens, cosines=cosines)

    def _best(self, scores: Sequence[float]) -> Scores:
        """Score a turn as the best of its passages."""
        found: Scores = {}
        for each, score in zip(self.passages, scores, strict=True):
            for key in self.store.keys[each.record_id]:
                found[key] = max(score, found.get(key, score))
        return found


def best(scores: Scores) -> list[str]:
    return sorted(scores, key=lambda key: -scores[key])


def fused_ranks(*systems: Scores) -> Scores:
    """Fuse by reciprocal ranks."""
    found: Scores = {}
    for scores in systems:
        for rank, key in enumerate(best(scores), 1):
            found[key] = found.get(key, 0.0) + 1 / (RRF_K + rank)
    return found


def fused_scores(*systems: Scores) -> Scores:
    """Fuse by scores, each system's from 0 to 1; what one has not found has 0 from it."""
    found: Scores = {}
    for scores in systems:
        values = np.array(list(scores.values()) or [0.0])
        low, width = values.min(), np.ptp(values) or 1.0
        for key, score in scores.items():
            found[key] = found.get(key, 0.0) + (score - low) / width
    return found


async def answered(
    store: Stored, turns: Sequence[Turn], questions: Sequence[Question]
) -> list[dict[str, list[str]]]:
    """Rank the turns by each system: one row of rankings a question."""
    text, vectors = FullText(turns), await Vectors.of(store)
    return [await answer(store, text, vectors, question) for question in questions]


async def answer(
    store: Stored, text: FullText, vectors: Vectors, question: Question
) -> dict[str, list[str]]:
    """Rank the turns by each system. Ours is asked as the tool `recall` asks it, for ten."""
    finder, request = store.app.finder, Request(question.text, at=question.asked_at)
    meant = await finder.meant(request)
    if finder.meaning.trouble:
        raise SystemExit(finder.meaning.trouble)
    words = text.scores(question.text)
    # The encoder cannot read every script.
    cosines, tokens = await vectors.scores(meant) if meant else ({}, {})
    ours = {
        BY_WORDS: await store.app.store.engine.read(finder.searching(request)),
        BY_ALL: await finder.search(request),
    }
    return {
        BY_BM25: best(words),
        BY_COSINE: best(cosines),
        BY_RANKS: best(fused_ranks(words, cosines)),
        BY_SCORES: best(fused_scores(words, cosines)),
        BY_TOKENS: best(tokens),
    } | {
        name: [key for hit in results.hits for key in store.keys[str(hit.record.id)]]
        for name, results in ours.items()
    }
