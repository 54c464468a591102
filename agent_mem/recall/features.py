"""What speaks for a candidate: a column of numbers for each feature, one number a passage."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from math import exp
from typing import Final

import numpy as np
from numpy.typing import NDArray

from agent_mem.recall.frequencies import Corpus
from agent_mem.recall.passages import NAME, NUMBER, QUESTION, TEMPORAL, Passage
from agent_mem.recall.query import Query
from agent_mem.recall.words import terms

_REACH: Final = (0.7, 0.5)
"""What a word counts that stands one, or two, passages away in the session."""
_SESSION_BEST: Final = 2
_FADING: Final = 7.0
"""In how many days the agreement of two dates fades to 1/e."""
EARLIER: Final = 0.9
"""What a date counts that fits in an earlier year, where none was named."""
_SPREAD: Final = 0.25
"""The least deviation that counts, as a share of the highest value."""
_UNIT: Final = 127.0**2
"""What the product of two int8 vectors is that are the same, and of unit length."""
_CACHED: Final = 1_024
"""Rows that are made wider at a time: so many stay in the cache."""
_CODE: Final = re.compile(r"\d[^\W\d]|[^\W\d]\d|\b(?!(?:19|20)\d\d\b)\d{3}")
"""What is a code, and not a count, a day or a year: digits beside letters, or three and more."""
_LOOKALIKE: Final = 0.3
"""What a code, or a number, counts that is like the one asked for, where that one is there."""
_FAINT: Final = 0.02
"""The least deviation of similarities that counts."""

Column = NDArray[np.float64]
Matrix = NDArray[np.float64]
"""One row a passage, one column a word of the query."""
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sense:
    """What the encoder says of a query, and of the passages."""

    asked: NDArray[np.float32]
    """One row for each word piece of the query that says something."""
    weights: NDArray[np.float64]
    """What each of these counts; their sum is 1."""
    tokens: Mapping[int, bytes]
    """The passages' token vectors as int8, by `Passage.n`."""
    cosines: Mapping[int, float]
    """Their vectors' cosine with the query's."""
    words: Sequence[frozenset[str]]
    """The terms of the word that each word piece of the query is of."""


def features(
    query: Query, passages: Sequence[Passage], corpus: Corpus, sense: Sense | None
) -> dict[str, Column]:
    """Compute the features by name: one value a passage, in their order.

    What has no scale of its own counts by how far it stands out among the candidates:
    (value - mean) / deviation.
    """
    topics = {topic: terms(topic or "") for topic in {passage.topic for passage in passages}}
    held = [passage.terms.split() + topics[passage.topic] for passage in passages]
    gains = word_gains(query.terms, held, corpus)
    words = gains.sum(axis=1)
    before, after = places(passages)
    columns = {
        "words": standardised(words),
        "reply": standardised(replies(passages, words, before)),
        "subject": subjects(query, passages),
        "dates": dates(query, passages),
        "when": marked(passages, TEMPORAL * (query.wants == "when")),
        "number": marked(passages, NUMBER * (query.wants == "number")),
        "name": marked(passages, NAME * (query.wants == "name")),
        "phrase": phrases(query, passages),
    }
    if sense:
        return columns | meanings(passages, sense, before, after)
    return columns | {
        "neighbours": standardised(beside(gains, before, after)),
        "session": standardised(sessions(passages, words)),
    }


def meanings(
    passages: Sequence[Passage], sense: Sense, before: Places, after: Places
) -> dict[str, Column]:
    """Compute the features that an encoder gives; they replace those of words about neighbours."""
    gains = late_interaction(passages, sense)
    cosines = [sense.cosines.get(passage.n) for passage in passages]
    return {
        "meaning": standardised(gains.sum(axis=1), _FAINT),
        "neighbours": standardised(beside(gains, before, after), _FAINT),
        "cosine": standardised(filled(cosines), _FAINT),
        "question": marked(passages, QUESTION),
    }


def late_interaction(passages: Sequence[Passage], sense: Sense) -> Matrix:
    """Compare each word piece of the query with the best of each passage: ColBERT's MaxSim.

    O. Khattab and M. Zaharia, "ColBERT", SIGIR 2020; each similarity is weighted by how much its
    word tells. A passage that has no token vectors yet gets all for a word that it has, and for any
    other what the others have on average.
    """
    width = sense.asked.shape[1]
    pieces = [sense.tokens.get(passage.n, b"") for passage in passages]
    known = np.array([bool(piece) for piece in pieces], np.bool_)
    gains = np.zeros((len(passages), len(sense.asked)))
    if not known.any():
        return gains
    rows = np.frombuffer(b"".join(pieces), np.int8).reshape(-1, width)
    starts = [0, *accumulate(len(piece) // width for piece in pieces if piece)][:-1]
    best = np.maximum.reduceat(products(rows, sense.asked), starts, axis=0)
    gains[known] = np.maximum(best, 0) / _UNIT * sense.weights
    return literal(passages, sense, gains, known)


def products(rows: NDArray[np.int8], asked: NDArray[np.float32]) -> NDArray[np.float32]:
    """Multiply each row with each vector that is asked: (rows, vectors)."""
    found = np.empty((len(rows), len(asked)), np.float32)
    for start in range(0, len(rows), _CACHED):
        some = slice(start, start + _CACHED)
        np.matmul(rows[some].astype(np.float32), asked.T, out=found[some])
    return found


def literal(
    passages: Sequence[Passage], sense: Sense, gains: Matrix, known: NDArray[np.bool_]
) -> Matrix:
    """Correct what the encoder says by what the passages have, where it does not know or errs."""
    coded = np.array([bool(_CODE.search(" ".join(word))) for word in sense.words], np.bool_)
    if known.all() and not coded.any():
        return gains
    terms = [frozenset(passage.terms.split()) for passage in passages]
    held = np.array([[bool(word) and word <= has for word in sense.words] for has in terms])
    there = coded & held.any(axis=0)
    likely = np.where(known[:, None], gains, gains[known].mean(axis=0))
    likely[:, there] *= _LOOKALIKE
    return np.where(held & (there | ~known[:, None]), sense.weights, likely)


def word_gains(asked: Sequence[str], held: Sequence[list[str]], corpus: Corpus) -> Matrix:
    """Take BM25 apart: what each term of the query adds to each passage."""
    gains = np.zeros((len(held), len(asked)))
    wanted = frozenset(asked)
    for i, words in enumerate(held):
        if wanted.isdisjoint(words):  # as most neighbours
            continue
        for j, term in enumerate(asked):
            if count := words.count(term):
                gains[i, j] = corpus.gain(term, count, len(words))
    return gains


def places(passages: Sequence[Passage]) -> tuple[Places, Places]:
    """Find where the passage before, and the one after, each passage is in the list; -1 is nowhere.

    A link that one of two neighbours has is enough: the other one need not know it.
    """
    place: dict[int | None, int] = {passage.n: i for i, passage in enumerate(passages)}
    before = [place.get(passage.previous, -1) for passage in passages]
    after = [place.get(passage.next, -1) for passage in passages]
    for i, passage in enumerate(passages):
        if (j := place.get(passage.next, -1)) >= 0:
            before[j] = i
        if (j := place.get(passage.previous, -1)) >= 0:
            after[j] = i
    return np.array(before, np.int64), np.array(after, np.int64)


def beside(gains: Matrix, *ways: Places) -> Column:
    """Add up what the neighbours' words add to a passage's own: of each, what it lacks."""
    padded = np.vstack([gains, np.zeros((1, gains.shape[1]))])  # the place -1 has nothing
    best = np.zeros_like(gains)
    for way in ways:
        step = np.append(way, -1)
        at = way
        for weight in _REACH:
            best = np.maximum(best, weight * padded[at])
            at = step[at]
    return np.maximum(best - gains, 0).sum(axis=1)


def sessions(passages: Sequence[Passage], own: Column) -> Column:
    """Add up the best of each passage's session; a passage without one has its own."""
    members: dict[str, list[int]] = {}
    for i, passage in enumerate(passages):
        if passage.session_id is not None:
            members.setdefault(passage.session_id, []).append(i)
    found = own.copy()
    for among in members.values():
        found[among] = np.sort(own[among])[-_SESSION_BEST:].sum()
    return found


def replies(passages: Sequence[Passage], words: Column, before: Places) -> Column:
    """Take the BM25 of the question, asked by someone else, that a passage comes right after."""
    found = np.zeros(len(passages))
    order: list[int] = before.tolist()
    for i, (passage, j) in enumerate(zip(passages, order, strict=True)):
        asked = passages[j] if j >= 0 else passage
        if asked.marks & QUESTION and asked.subject != passage.subject:
            found[i] = words[j]
    return found


def subjects(query: Query, passages: Sequence[Passage]) -> Column:
    """Mark what is about, or by, somebody whom the query names."""
    named = {
        subject: float(not set(query.names).isdisjoint((subject or "").lower().split()))
        for subject in {passage.subject for passage in passages}
    }
    return np.array([named[passage.subject] for passage in passages])


def dates(query: Query, passages: Sequence[Passage]) -> Column:
    """Compare each passage's time, and the days that it names, with what is asked for."""
    asked = [(start.toordinal(), end.toordinal(), 1.0) for start, end in query.spans]
    asked += [(start.toordinal(), end.toordinal(), EARLIER) for start, end in query.other_spans]
    if not asked:
        return np.zeros(len(passages))
    return np.array([max(agreements(asked, passage)) for passage in passages])


def agreements(asked: Sequence[tuple[int, int, float]], passage: Passage) -> Iterator[float]:
    """Compare what is asked for with each day that a passage has; a span counts its share."""
    for start, end in days(passage):
        for first, last, share in asked:
            yield share * agreement((first, last), start, end)


def days(passage: Passage) -> list[tuple[int, int]]:
    day = date.fromisoformat(passage.at[:10]).toordinal()
    pairs = (pair.split("-") for pair in passage.dates.split())
    return [(day, day + 1), *((int(start), int(end)) for start, end in pairs)]


def agreement(asked: tuple[int, int], start: int, end: int) -> float:
    """Give 1 where two spans of days meet, less the farther they are apart."""
    apart = max(0, start - asked[1] + 1, asked[0] - end + 1)
    return exp(-apart / _FADING)


def phrases(query: Query, passages: Sequence[Passage]) -> Column:
    if not query.phrases:
        return np.zeros(len(passages))
    found = [sum(has(passage.terms, phrase) for phrase in query.phrases) for passage in passages]
    return np.array(found, np.float64)


def has(held: str, phrase: Iterable[str]) -> bool:
    """Look whether some terms have others among them, one right after the other."""
    return f" {' '.join(phrase)} " in f" {held} "


def marked(passages: Sequence[Passage], mark: int) -> Column:
    return np.array([passage.marks & mark > 0 for passage in passages], np.float64)


def filled(values: Sequence[float | None]) -> Column:
    """Give what is not known the mean of what is."""
    known = [value for value in values if value is not None]
    mean = sum(known) / (len(known) or 1)
    return np.array([mean if value is None else value for value in values])


def standardised(column: Column, least: float | None = None) -> Column:
    """Count deviations from the mean; among a few alike, a small difference stays small."""
    if not len(column):
        return column
    floor = _SPREAD * max(column.max(), 0.0) if least is None else least
    return (column - column.mean()) / (max(column.std(), floor) or 1.0)
