"""The second stage: features of each candidate, and one linear model over them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import exp, log, sqrt
from typing import Final

from agent_mem.recall.passages import NAME, NUMBER, QUESTION, TEMPORAL, Passage
from agent_mem.recall.query import Query
from agent_mem.recall.words import terms

# One weight a feature. Fitted by `bench/fit.py` on the first five conversations of LoCoMo (760
# questions): listwise softmax loss, L2 of 0.001, Newton's method from zero, so that no seed is
# drawn. "phrase" is set by hand, for hardly a question there quotes. A new feature is one more
# entry here and one more column in `features`.
WEIGHTS: Final[Mapping[str, float]] = {
    "words": 1.18,
    "neighbours": 0.69,
    "session": 0.73,
    "reply": 0.37,
    "subject": 2.59,
    "dates": 3.73,
    "when": 2.00,
    "number": 1.60,
    "name": 1.32,
    "phrase": 3.0,
}

# What has no scale of its own counts by how far it stands out: (value - mean) / deviation.
STANDARDISED: Final = frozenset({"words", "neighbours", "session", "reply"})

_K1: Final = 0.9
_B: Final = 0.3
_REACH: Final = (0.7, 0.5)
"""What a word counts that stands one, or two, passages away in the session."""
_SESSION_BEST: Final = 2
_FADING: Final = 7.0
"""In how many days the agreement of two dates fades to 1/e."""
_SPREAD: Final = 0.25
"""The least deviation that counts, as a share of the highest value."""
_AGREED: Final = 0.5
_TIE: Final = 1e-6
_SAID: Final = 3
"""Words named in a reason, at most."""

_Gains = dict[str, float]
"""What each query term that a passage has adds to its BM25."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """What BM25 has to know of all the passages that were searched."""

    frequencies: Mapping[str, int]
    """In how many passages each term of the query occurs."""
    total: int
    """How many passages there are."""
    average: float
    """Their mean number of terms."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A passage, how well it fits, and why: in a few words, and in the figures behind the score."""

    score: float
    passage: Passage
    why: tuple[str, ...]
    features: Mapping[str, float]


def rank(
    query: Query, passages: Sequence[Passage], corpus: Corpus, limit: int | None = None
) -> list[Ranked]:
    """Rank the passages, best first, each by the sum of its features' values times WEIGHTS.

    `passages` are the first stage's candidates and what stands beside them in their sessions (up
    to two places away), each once, in any order: neighbours are ranked as well, for the words of a
    question often stand beside its answer. What has an excluded phrase is left out. Ties go to
    what is more important, then to what is newer.
    """
    kept = [passage for passage in passages if not excluded(query, passage)]
    columns = features(query, kept, corpus)
    scores = _scores(columns, len(kept))
    order = sorted(
        range(len(kept)),
        key=lambda i: (-scores[i] - _TIE * kept[i].importance, -kept[i].at.timestamp(), kept[i].n),
    )
    return [
        Ranked(scores[i], kept[i], _why(query, kept[i], found), found)
        for i in order[:limit]
        for found in [{name: column[i] for name, column in columns.items()}]
    ]


def features(query: Query, passages: Sequence[Passage], corpus: Corpus) -> dict[str, list[float]]:
    """Compute the features by name, as in WEIGHTS: one value a passage, in their order."""
    gains = _gains(query, passages, corpus)
    words = [sum(gain.values()) for gain in gains]
    previous, following = _places(passages)
    columns = {
        "words": words,
        "neighbours": [_beside(i, gains, previous, following) for i in range(len(gains))],
        "session": _sessions(passages, words),
        "reply": _replies(passages, words, previous),
        "subject": _subjects(query, passages),
        "dates": _dates(query, passages),
        "when": _marked(passages, TEMPORAL * (query.wants == "when")),
        "number": _marked(passages, NUMBER * (query.wants == "number")),
        "name": _marked(passages, NAME * (query.wants == "name")),
        "phrase": _phrases(query, passages),
    }
    return {
        name: _standardised(column) if name in STANDARDISED else column
        for name, column in columns.items()
    }


def excluded(query: Query, passage: Passage) -> bool:
    """Look whether a passage has what its query excludes."""
    return any(_has(passage, phrase) for phrase in query.excluded)


def _has(passage: Passage, phrase: Iterable[str]) -> bool:
    return f" {' '.join(phrase)} " in f" {passage.terms} "


def _gains(query: Query, passages: Sequence[Passage], corpus: Corpus) -> list[_Gains]:
    """Take BM25 apart by term (Robertson and Zaragoza 2009), with Lucene's non-negative idf."""
    weights = {
        term: log(1 + (corpus.total - df + 0.5) / (df + 0.5))
        for term in query.terms
        for df in [min(corpus.frequencies.get(term, 0), corpus.total)]
    }
    wanted = frozenset(weights)
    topics = {passage.topic: terms(passage.topic or "") for passage in passages}
    found: list[_Gains] = []
    for passage in passages:
        held = passage.terms.split() + topics[passage.topic]
        shared = wanted.intersection(held)
        damping = _K1 * (1 - _B + _B * len(held) / (corpus.average or 1))
        found.append(
            {
                term: weights[term] * count * (_K1 + 1) / (count + damping)
                for term in shared
                for count in [held.count(term)]
            }
        )
    return found


_Places = list[int | None]


def _places(passages: Sequence[Passage]) -> tuple[_Places, _Places]:
    """Find where the passage before, and the one after, each passage stands in the list.

    A link that one of two neighbours has is enough: the other one need not know it.
    """
    place: dict[int | None, int] = {passage.n: i for i, passage in enumerate(passages)}
    previous = [place.get(passage.previous) for passage in passages]
    following = [place.get(passage.next) for passage in passages]
    for i, passage in enumerate(passages):
        if (after := place.get(passage.next)) is not None:
            previous[after] = i
        if (before := place.get(passage.previous)) is not None:
            following[before] = i
    return previous, following


def _beside(i: int, gains: Sequence[_Gains], *ways: _Places) -> float:
    """Add up what the neighbours' words add to a passage's own: of each, what it lacks."""
    best: _Gains = {}
    for way in ways:
        at = way[i]
        for weight in _REACH:
            if at is None:
                break
            for term, gain in gains[at].items():
                best[term] = max(best.get(term, 0.0), weight * gain)
            at = way[at]
    mine = gains[i]
    return sum(max(0.0, gain - mine.get(term, 0.0)) for term, gain in best.items())


def _sessions(passages: Sequence[Passage], words: Sequence[float]) -> list[float]:
    """Add up the best BM25 of each passage's session; a passage without one has its own."""
    sessions: dict[str, list[float]] = {}
    for passage, score in zip(passages, words, strict=True):
        if passage.session_id is not None:
            sessions.setdefault(passage.session_id, []).append(score)
    best = {key: sum(sorted(scores)[-_SESSION_BEST:]) for key, scores in sessions.items()}
    return [
        score if passage.session_id is None else best[passage.session_id]
        for passage, score in zip(passages, words, strict=True)
    ]


def _replies(
    passages: Sequence[Passage], words: Sequence[float], previous: Iterable[int | None]
) -> list[float]:
    """Take the BM25 of the question, asked by someone else, that a passage comes right after."""
    return [
        words[j]
        if j is not None and passages[j].marks & QUESTION and passages[j].subject != passage.subject
        else 0.0
        for passage, j in zip(passages, previous, strict=True)
    ]


def _subjects(query: Query, passages: Sequence[Passage]) -> list[float]:
    named = {
        subject: float(not set(query.names).isdisjoint((subject or "").lower().split()))
        for subject in {passage.subject for passage in passages}
    }
    return [named[passage.subject] for passage in passages]


def _dates(query: Query, passages: Sequence[Passage]) -> list[float]:
    """Compare each passage's time, and the days that it names, with what is asked for."""
    asked = [(start.toordinal(), end.toordinal()) for start, end in query.spans]
    if not asked:
        return [0.0] * len(passages)
    return [
        max(_agreement(span, start, end) for span in asked for start, end in _days(passage))
        for passage in passages
    ]


def _days(passage: Passage) -> list[tuple[int, int]]:
    day = passage.at.toordinal()
    pairs = (pair.split("-") for pair in passage.dates.split())
    return [(day, day + 1), *((int(start), int(end)) for start, end in pairs)]


def _agreement(asked: tuple[int, int], start: int, end: int) -> float:
    """Give 1 where two spans of days meet, less the farther they are apart."""
    apart = max(0, start - asked[1] + 1, asked[0] - end + 1)
    return exp(-apart / _FADING)


def _phrases(query: Query, passages: Sequence[Passage]) -> list[float]:
    return [float(sum(_has(passage, phrase) for phrase in query.phrases)) for passage in passages]


def _marked(passages: Sequence[Passage], mark: int) -> list[float]:
    return [float(passage.marks & mark > 0) for passage in passages]


def _standardised(column: Sequence[float]) -> list[float]:
    """Count deviations from the mean; among a few alike, a small difference stays small."""
    size = len(column) or 1
    mean = sum(column) / size
    deviation = sqrt(sum((value - mean) ** 2 for value in column) / size)
    scale = max(deviation, _SPREAD * max(column, default=0.0)) or 1.0
    return [(value - mean) / scale for value in column]


def _scores(columns: Mapping[str, Sequence[float]], length: int) -> list[float]:
    scores = [0.0] * length
    for name, column in columns.items():
        weight = WEIGHTS[name]
        scores = [score + weight * value for score, value in zip(scores, column, strict=True)]
    return scores


def _why(query: Query, passage: Passage, found: Mapping[str, float]) -> tuple[str, ...]:
    """Say in a few words what speaks for a passage."""
    held = frozenset(passage.terms.split())
    words = [word for term, word in zip(query.terms, query.words, strict=True) if term in held]
    reasons = {
        f"words: {', '.join(words[:_SAID])}": bool(words),
        f"topic: {passage.topic}": not set(query.terms).isdisjoint(terms(passage.topic or "")),
        "exact phrase": found["phrase"] > 0,
        f"about {passage.subject}": found["subject"] > 0,
        f"dated {_said(passage.at)}": found["dates"] > _AGREED,
        "says when": found["when"] > 0,
        "has a number": found["number"] > 0,
        "names someone or something": found["name"] > 0,
        "reply to a matching question": found["reply"] > 1,
        "next to a match": found["neighbours"] > 0,
    }
    return tuple(reason for reason, holds in reasons.items() if holds) or ("in a matching session",)


def _said(day: datetime) -> str:
    return f"{day.day} {day:%B %Y}"
