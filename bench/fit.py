"""Fit the weights of the ranking on conversations with gold evidence, and say what each is worth.

    python bench/fit.py LOCOMO_JSON

The file is LoCoMo (Maharana et al. 2024): every turn of a dialogue is one memory, a question's
evidence is what recall should find. Candidates are made as the server makes them: the first 60 by
FTS5's BM25, and two neighbours on both sides in their sessions. The weights minimise a listwise
softmax loss (Cao et al. 2007, ListNet's top one) with an L2 penalty, by Newton's method from zero:
the problem is convex and nothing is drawn at random. Figures come from leaving one conversation
out: each is ranked with weights that were fitted on the others.
"""

import json
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent_mem.recall.passages import Passage, describe
from agent_mem.recall.query import Query, parse
from agent_mem.recall.ranking import WEIGHTS, Corpus, features
from agent_mem.recall.words import terms

CANDIDATES = 60
REACH = 2
TOP = 10
L2 = 1e-3
ADVERSARIAL = 5
"""The category of questions that have no answer, and so no evidence."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Asked:
    """A question of one conversation, with its candidates' features."""

    fold: int
    gold: frozenset[str]
    ids: list[str]
    values: Array
    """One row a candidate, one column a feature."""
    lexical: list[str]
    """What FTS5 finds by itself, best first."""
    seconds: float
    """What parsing and ranking took."""


class Store:
    """One conversation in memory, as the server would index it."""

    def __init__(self, conversation: Mapping[str, Any]) -> None:
        self.passages = linked(list(passages(conversation)))
        self.now = max(passage.at for passage in self.passages)
        self.db = sqlite3.connect(":memory:")
        self.db.execute("CREATE VIRTUAL TABLE found USING fts5 (terms, labels)")
        self.db.execute("CREATE VIRTUAL TABLE vocabulary USING fts5vocab (found, 'row')")
        self.db.executemany(
            "INSERT INTO found (rowid, terms, labels) VALUES (?, ?, ?)",
            [(p.n, p.terms, " ".join(terms(p.subject or ""))) for p in self.passages],
        )
        self.average = float(np.mean([len(p.terms.split()) for p in self.passages]))

    def lexical(self, query: Query) -> list[int]:
        match = " OR ".join(f'"{term}"' for term in query.terms)
        rows = self.db.execute(
            "SELECT rowid FROM found WHERE found MATCH ? ORDER BY rank LIMIT ?", (match, CANDIDATES)
        )
        return [n for (n,) in rows] if match else []

    def candidates(self, matched: Sequence[int]) -> list[Passage]:
        """Widen what was matched by its neighbours."""
        reached = set(matched)
        for _ in range(REACH):
            beside = [self.passages[n] for n in reached]
            reached |= {n for p in beside for n in (p.previous, p.next) if n is not None}
        return [self.passages[n] for n in sorted(reached)]

    def corpus(self, query: Query) -> Corpus:
        among = ", ".join("?" * len(query.terms))
        rows = self.db.execute(
            f"SELECT term, doc FROM vocabulary WHERE term IN ({among})",  # noqa: S608 - only marks
            query.terms,
        )
        return Corpus(dict(rows.fetchall()), len(self.passages), self.average)


def passages(conversation: Mapping[str, Any]) -> Iterator[Passage]:
    n = 0
    for session, turns in conversation.items():
        if f"{session}_date_time" not in conversation:
            continue
        said = conversation[f"{session}_date_time"]
        at = datetime.strptime(f"{said} +0000", "%I:%M %p on %d %B, %Y %z")
        for turn in turns:
            yield passage(n, session, at, turn)
            n += 1


def passage(n: int, session: str, at: datetime, turn: Mapping[str, str]) -> Passage:
    caption = turn.get("blip_caption")
    text = f"{turn['text']} [shares {caption}]" if caption else turn["text"]
    found, marks, dates = describe(text, at)
    return Passage(
        n=n,
        record="memory",
        record_id=turn["dia_id"],
        part=0,
        session_id=session,
        topic=None,
        subject=turn["speaker"],
        at=at,
        importance=0.5,
        terms=found,
        marks=marks,
        dates=dates,
        previous=None,
        next=None,
    )


def linked(found: list[Passage]) -> list[Passage]:
    """Name each passage's neighbours in its session."""

    def beside(n: int, session: str | None) -> int | None:
        inside = 0 <= n < len(found) and found[n].session_id == session
        return n if inside else None

    return [
        replace(p, previous=beside(p.n - 1, p.session_id), next=beside(p.n + 1, p.session_id))
        for p in found
    ]


def questions(fold: int, sample: Mapping[str, Any]) -> Iterator[Asked]:
    store = Store(sample["conversation"])
    for question in sample["qa"]:
        gold = frozenset(re.findall(r"D\d+:\d+", " ".join(question.get("evidence", []))))
        if gold and question["category"] != ADVERSARIAL:
            yield asked(fold, store, question["question"], gold)


def asked(fold: int, store: Store, question: str, gold: frozenset[str]) -> Asked:
    begun = time.perf_counter()
    query = parse(question, store.now)
    parsed = time.perf_counter() - begun
    matched = store.lexical(query)
    among = store.candidates(matched)
    corpus = store.corpus(query)
    begun = time.perf_counter()
    columns = features(query, among, corpus)
    seconds = parsed + time.perf_counter() - begun
    return Asked(
        fold=fold,
        gold=gold,
        ids=[p.record_id for p in among],
        values=np.array([columns[name] for name in WEIGHTS]).T,
        lexical=[store.passages[n].record_id for n in matched],
        seconds=seconds,
    )


def fitted(sets: Sequence[Asked]) -> Array:
    """Fit the weights: one a feature."""
    rows = [(a.values, np.isin(a.ids, list(a.gold))) for a in sets if set(a.ids) & a.gold]
    longest = max(len(values) for values, _ in rows)
    x = np.zeros((len(rows), longest, rows[0][0].shape[1]))
    off = np.full((len(rows), longest), -np.inf)
    y = np.zeros((len(rows), longest))
    for i, (values, gold) in enumerate(rows):
        x[i, : len(values)] = values
        off[i, : len(values)] = 0
        y[i, : len(values)] = gold / gold.sum()
    return newton(lambda w: loss(w, x, off, y), np.zeros(x.shape[2]))


def loss(w: Array, x: Array, off: Array, y: Array) -> tuple[float, Array, Array]:
    """Compute the listwise loss at `w`, with its gradient and its Hessian."""
    z = x @ w + off
    z -= z.max(axis=1, keepdims=True)
    p = np.exp(z)
    p /= p.sum(axis=1, keepdims=True)
    value = -np.log(p * (y > 0) + (y == 0)).ravel() @ y.ravel() / len(x) + L2 * w @ w
    gradient = np.einsum("qn,qnd->d", p - y, x) / len(x) + 2 * L2 * w
    mean = np.einsum("qn,qnd->qd", p, x)
    flat = x.reshape(-1, len(w))
    second = (flat * p.reshape(-1, 1)).T @ flat - mean.T @ mean
    return float(value), gradient, second / len(x) + 2 * L2 * np.eye(len(w))


def newton(at: Callable[[Array], tuple[float, Array, Array]], w: Array) -> Array:
    for _ in range(20):
        value, gradient, second = at(w)
        step = np.linalg.solve(second, gradient)
        share = 1.0
        while at(w - share * step)[0] > value and share > 1e-6:  # noqa: PLR2004
            share /= 2
        w = w - share * step
    return w


def measured(ids: Sequence[str], gold: frozenset[str]) -> tuple[float, float, float]:
    """Compute recall@5, recall@10 and binary nDCG@10."""
    gains = [(i in gold) / log2(rank + 2) for rank, i in enumerate(ids[:TOP])]
    ideal = sum(1 / log2(rank + 2) for rank in range(min(TOP, len(gold))))
    five, ten = (len(gold.intersection(ids[:k])) / len(gold) for k in (5, TOP))
    return five, ten, sum(gains) / ideal


def ranked(question: Asked, w: Array) -> list[str]:
    scores: list[float] = (question.values @ w).tolist() if question.ids else []
    return [i for _, i in sorted(zip(scores, question.ids, strict=True), key=lambda x: -x[0])]


def left_out(sets: Sequence[Asked], used: Sequence[int]) -> list[Array]:
    """Measure each conversation with what was fitted on the others: one row a question."""
    kept = [replace(a, values=a.values[:, used] if a.ids else a.values) for a in sets]
    found: list[Array] = []
    for fold in sorted({a.fold for a in kept}):
        w = fitted([a for a in kept if a.fold != fold])
        tested = [a for a in kept if a.fold == fold]
        found.append(np.array([measured(ranked(a, w), a.gold) for a in tested]))
    return found


def line(label: str, figures: Array, plain: Array | None = None) -> None:
    before = "" if plain is None else "   FTS5 " + cells(plain)
    print(f"{label:<24}{cells(figures)}{before}")


def cells(figures: Array) -> str:
    return " ".join(f"{100 * figure:6.1f}" for figure in figures.mean(axis=0))


def main(path: str) -> None:
    samples = json.loads(Path(path).read_text())
    sets = [a for fold, sample in enumerate(samples) for a in questions(fold, sample)]
    plain = [
        np.array([measured(a.lexical, a.gold) for a in sets if a.fold == fold])
        for fold in range(len(samples))
    ]
    every = list(range(len(WEIGHTS)))
    folds = left_out(sets, every)
    print(f"{len(sets)} questions, {np.mean([len(a.ids) for a in sets]):.0f} candidates each")
    print(f"{'left out':<24}{'R@5':>6} {'R@10':>6} {'nDCG':>6}")
    for sample, figures, before in zip(samples, folds, plain, strict=True):
        line(sample["sample_id"], figures, before)
    line("all", np.concatenate(folds), np.concatenate(plain))
    times = sorted(1000 * a.seconds for a in sets)
    print(
        f"parse and rank: {times[len(times) // 2]:.2f} ms p50, {times[-len(times) // 20]:.2f} p95"
    )
    print("\nfitted on all, and what is left without each feature")
    for i, (name, weight) in enumerate(zip(WEIGHTS, fitted(sets), strict=True)):
        without = np.concatenate(left_out(sets, [j for j in every if j != i]))
        line(f"{name:<14}{weight:8.2f}", without)


if __name__ == "__main__":
    main(sys.argv[1])
