"""The second stage: one linear model over the features of each candidate."""

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from importlib.resources import files
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agent_mem.recall.candidates import Pool
from agent_mem.recall.features import (
    EARLIER,
    Column,
    Sense,
    dates,
    features,
    has,
    late_interaction,
    places,
)
from agent_mem.recall.frequencies import Corpus
from agent_mem.recall.passages import Passage
from agent_mem.recall.query import Query
from agent_mem.recall.words import terms

Weights = Mapping[str, float]

_MODEL: Final = json.loads(
    files("agent_mem.recall").joinpath("model", "ranking.json").read_text(encoding="utf-8")
)
WEIGHTS: Final[Weights] = _MODEL["weights"]
"""One weight a feature: as `bench/fit.py` fitted them, which the file tells."""
WORDS_ALONE: Final[Weights] = _MODEL["words_alone"]
"""The same for what can be told without an encoder."""

_AGREED: Final = 0.5
_TIE: Final = 1e-6
_SAID: Final = 3
"""Words named in a reason, at most."""
_MEANT: Final = 0.5
"""Standard deviations above the other candidates, from which a feature is a reason."""
_NEAR: Final = 0.2
_CLOSE: Final = 0.3
"""The cosine, or the late interaction, that a hit needs where nothing has a word of the query.

At 0.3 and 0.35 it took away more than half of what was found for nonsense, for 0.1 points of
recall@10 in the benchmark of agents, and lost paraphrases in a memory of few items: hence less.
"""

_SHORT: Final = timedelta(31)
"""A time so short that what is of it may be meant, whatever else is asked."""


class Ranked(NamedTuple):
    """A passage, how well it fits, and the figures behind the score."""

    score: float
    passage: Passage
    cosine: float
    features: Mapping[str, float]


def rank(query: Query, pool: Pool, corpus: Corpus, limit: int | None = None) -> list[Ranked]:
    """Rank what may be shown, best first, by the sum of its features' values times their weights.

    Neighbours of candidates are ranked as well, for what a question asks for often stands beside
    its answer. What has an excluded phrase is left out. Ties go to what is more important, then
    to what is newer. Where nothing has a word of the query, what is far from its meaning and not
    of the time that it asks about is left out, too.
    """
    kept = [passage for passage in pool.passages if not excluded(query, passage)]
    columns = features(query, kept, corpus, pool.sense)
    scores = scored(columns, len(kept))
    near = meant(query, kept, pool.sense)
    shown = [i for i, passage in enumerate(kept) if passage.n in pool.allowed and near[i]]
    shown.sort(key=lambda i: (kept[i].at, kept[i].n), reverse=True)
    shown.sort(key=lambda i: -scores[i] - _TIE * kept[i].importance)
    return [
        Ranked(scores[i], kept[i], cosine_of(pool.sense, kept[i]), values)
        for i in shown[:limit]
        for values in [{name: float(column[i]) for name, column in columns.items()}]
    ]


def weights_of(features: Container[str]) -> Weights:
    """Choose the weights: those of all features, or of words alone."""
    return WEIGHTS if "meaning" in features else WORDS_ALONE


def scored(columns: Mapping[str, Column], length: int) -> list[float]:
    """Sum the features, each times its weight."""
    weights = weights_of(columns)
    return sum((weights[n] * c for n, c in columns.items()), np.zeros(length)).tolist()


def meant(query: Query, passages: Sequence[Passage], sense: Sense | None) -> NDArray[np.bool_]:
    """Tell which passages may be meant: all, as soon as one has a word of the query.

    Else those that are near to its meaning, and what stands right beside one of them, and those of
    a short time that it asks about. Where it asks for nothing but a time, those of that time.
    """
    if query.spans and not query.terms and not query.as_of:
        return timely(query, passages)
    if sense is None or not query.terms or any(mentions(passage, query) for passage in passages):
        return np.ones(len(passages), np.bool_)
    cosines = np.array([cosine_of(sense, passage) for passage in passages])
    near = (cosines >= _NEAR) | (late_interaction(passages, sense).sum(axis=1) >= _CLOSE)
    before, after = places(passages)
    padded = np.append(near, np.False_)  # nothing is near at the place -1
    short = tuple((start, end) for start, end in query.spans if end - start <= _SHORT)
    fitting = dates(replace(query, spans=short, other_spans=()), passages) >= 1
    return near | padded[before] | padded[after] | fitting


def timely(query: Query, passages: Sequence[Passage]) -> NDArray[np.bool_]:
    """Tell which passages are of the time that a query asks about; if none is, which are near."""
    agreed = dates(query, passages)
    fitting = agreed >= 1
    return fitting if fitting.any() else agreed > _AGREED


def mentions(passage: Passage, query: Query) -> bool:
    """Look whether a passage has a word of a query, in its text or as a label."""
    asked = frozenset(query.terms)
    return not (asked.isdisjoint(passage.terms.split()) and asked.isdisjoint(labels(passage)))


def labels(passage: Passage) -> list[str]:
    return terms(f"{passage.subject or ''}. {passage.topic or ''}")


def cosine_of(sense: Sense | None, passage: Passage) -> float:
    return sense.cosines.get(passage.n, 0.0) if sense else 0.0


def excluded(query: Query, passage: Passage) -> bool:
    """Look whether a passage has what its query excludes: in its text, or as a label of it."""
    if not query.excluded:
        return False
    held = (passage.terms, " ".join(labels(passage)))
    return any(has(text, phrase) for phrase in query.excluded for text in held)


def why(query: Query, ranked: Ranked) -> tuple[str, ...]:
    """Say in a few words what speaks for a passage."""
    passage, found = ranked.passage, ranked.features
    if not found:
        return ("latest",)
    (own,) = dates(query, [passage._replace(dates="")])
    held = frozenset(passage.terms.split())
    words = [word for term, word in zip(query.terms, query.words, strict=True) if term in held]
    reasons = {
        f"words: {', '.join(words[:_SAID])}": bool(words),
        f"topic: {passage.topic}": not set(query.terms).isdisjoint(terms(passage.topic or "")),
        "exact phrase": found["phrase"] > 0,
        "meaning": found.get("meaning", 0.0) > _MEANT,
        f"about {passage.subject}": found["subject"] > 0,
        f"dated {_said(passage)}": own >= EARLIER,
        "names the time": own < EARLIER <= found["dates"],
        f"dated {_said(passage)}, near the time": own > _AGREED and found["dates"] < EARLIER,
        "says when": found["when"] > 0,
        "has a number": found["number"] > 0,
        "names someone or something": found["name"] > 0,
        "reply to a matching question": found["reply"] > _MEANT,
        "next to a match": found["neighbours"] > _MEANT,
    }
    return tuple(reason for reason, holds in reasons.items() if holds) or ("faintly alike",)


def _said(passage: Passage) -> str:
    day = date.fromisoformat(passage.at[:10])
    return f"{day.day} {day:%B %Y}"
