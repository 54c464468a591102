"""What tests of ranking share: passages without a file, alone or in a session."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from agent_mem.recall.candidates import Pool
from agent_mem.recall.features import Column, Sense, features
from agent_mem.recall.frequencies import Corpus
from agent_mem.recall.passages import Passage, describe
from agent_mem.recall.query import parse

NOW = datetime(2023, 5, 17, tzinfo=UTC)
DAY = timedelta(days=1)


def passage(n: int, text: str, at: datetime = NOW, subject: str | None = None) -> Passage:
    terms, marks, dates = describe(text, at)
    return Passage(
        n=n,
        record="memory",
        record_id=f"memory-{n}",
        part=0,
        session_id=None,
        topic=None,
        subject=subject,
        importance=0.5,
        terms=terms,
        marks=marks,
        dates=dates,
        at=at.isoformat(timespec="microseconds"),
        previous=None,
        next=None,
    )


def session(name: str, *passages: Passage) -> list[Passage]:
    """Put passages one after the other into a session."""
    keys = [None, *(p.n for p in passages), None]
    return [
        p._replace(session_id=name, previous=keys[i], next=keys[i + 2])
        for i, p in enumerate(passages)
    ]


def corpus(passages: Sequence[Passage]) -> Corpus:
    held = [p.terms.split() for p in passages]
    every = {term for terms in held for term in terms}
    frequencies = {term: sum(term in terms for terms in held) for term in every}
    return Corpus(frequencies, len(passages), sum(map(len, held)) / (len(passages) or 1))


def columns(
    text: str, passages: Sequence[Passage], sense: Sense | None = None
) -> Mapping[str, Column]:
    return features(parse(text, NOW), passages, corpus(passages), sense)


def pool(passages: Sequence[Passage], sense: Sense | None = None) -> Pool:
    """Allow all of some passages."""
    return Pool(list(passages), frozenset(p.n for p in passages), sense)


def heard(cosines: Mapping[int, float], tokens: Mapping[int, Sequence[int]]) -> Sense:
    """Be an encoder whose query is one word piece, and whose token vectors are of two numbers.

    Args:
        cosines: by `Passage.n`.
        tokens: for each passage one token, whose product with the query is the first number.
    """
    asked = np.array([[127, 0]], np.float32)
    rows = {n: np.array(row, np.int8).tobytes() for n, row in tokens.items()}
    return Sense(asked, np.ones(1), rows, cosines, [frozenset()])
