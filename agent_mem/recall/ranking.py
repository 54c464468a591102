"""The second stage: one linear model over the features of each candidate."""

import json
from collections.abc import Container, Mapping
from datetime import date
from importlib.resources import files
from typing import Final, NamedTuple

import numpy as np

from agent_mem.recall.candidates import Pool
from agent_mem.recall.features import Column, Sense, features, has
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
    to what is newer.
    """
    kept = [passage for passage in pool.passages if not excluded(query, passage)]
    columns = features(query, kept, corpus, pool.sense)
    scores = scored(columns, len(kept))
    shown = [i for i, passage in enumerate(kept) if passage.n in pool.allowed]
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


def cosine_of(sense: Sense | None, passage: Passage) -> float:
    return sense.cosines.get(passage.n, 0.0) if sense else 0.0


def excluded(query: Query, passage: Passage) -> bool:
    """Look whether a passage has what its query excludes: in its text, or as a label of it."""
    if not query.excluded:
        return False
    labels = " ".join(terms(f"{passage.subject or ''}. {passage.topic or ''}"))
    return any(has(text, phrase) for phrase in query.excluded for text in (passage.terms, labels))


def why(query: Query, ranked: Ranked) -> tuple[str, ...]:
    """Say in a few words what speaks for a passage."""
    passage, found = ranked.passage, ranked.features
    if not found:
        return ("latest",)
    held = frozenset(passage.terms.split())
    words = [word for term, word in zip(query.terms, query.words, strict=True) if term in held]
    reasons = {
        f"words: {', '.join(words[:_SAID])}": bool(words),
        f"topic: {passage.topic}": not set(query.terms).isdisjoint(terms(passage.topic or "")),
        "exact phrase": found["phrase"] > 0,
        "meaning": found.get("meaning", 0.0) > _MEANT,
        f"about {passage.subject}": found["subject"] > 0,
        f"dated {_said(passage)}": found["dates"] > _AGREED,
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
