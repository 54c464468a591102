"""The first stage: passages that may be meant, by words and by vectors, and what stands beside."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from agent_mem.recall.features import Sense
from agent_mem.recall.frequencies import Corpus
from agent_mem.recall.matching import Match, rungs
from agent_mem.recall.meaning import Meant
from agent_mem.recall.passages import Passage
from agent_mem.recall.query import Query
from agent_mem.recall.words import terms
from agent_mem.storage.statements import Row, Transaction
from agent_mem.storage.store import Store

CANDIDATES: Final = 60
WIDER: Final = 3
"""How many times as many are fetched, since of one record only some are taken."""
MOST_OF_A_RECORD: Final = 3
CHEAP: Final = 5_000
"""Passages that full text can rank in a few milliseconds: it looks up how long each of them is."""


class Asked(NamedTuple):
    """What is asked of the index."""

    query: Query
    filters: Mapping[str, Any]
    """The parameters of the SQL part `passages.allowed`."""
    wide: int
    """How many candidates are wanted, by words and by meaning each."""


@dataclass(frozen=True, slots=True)
class Pool:
    """What is ranked."""

    passages: list[Passage]
    allowed: frozenset[int]
    """Which of them may be shown; the others only stand beside."""
    sense: Sense | None
    """What the encoder says of it."""


def worded(store: Store, asked: Asked, corpus: Corpus) -> Transaction[list[int]]:
    """Find candidates by words; where only a time is asked for, the latest of it."""
    if asked.query.spans and not asked.query.terms:
        matched = yield from by_time(store, asked.query, asked.filters)
    else:
        matched = spread((yield from by_words(store, asked, corpus)), asked.wide)
    return [row["n"] for row in matched]


def near(store: Store, asked: Asked, meant: Meant | None) -> Transaction[list[int]]:
    """Find candidates by meaning, few of one record; a phrase is found by words alone."""
    if meant is None or asked.query.phrases:
        return []
    limit = WIDER * asked.wide
    found = yield from meant.index.nearest(store, meant.vector, asked.filters, limit)
    kept: list[Row] = []
    for start in range(0, len(found), asked.wide):
        keys = [n for n, _ in found[start : start + asked.wide]]
        rows = yield store.query("passages.records", among=keys)
        records = {row["n"]: row for row in rows}
        kept = spread([*kept, *(records[n] for n in keys if n in records)], asked.wide)
        if len(kept) == asked.wide:  # mostly at once
            break
    return [row["n"] for row in kept]


def joined(asked: Asked, by_words: Sequence[int], near: Sequence[int]) -> list[int]:
    """Choose what is ranked: the more was found by meaning, the fewer of what words found.

    The worse half of those only made a recall slower: what of it was meant is mostly found by
    meaning, too.
    """
    most = asked.wide - len(near) // 2 if asked.query.terms else None
    return [*by_words[:most], *near]


def pooled(
    store: Store, asked: Asked, corpus: Corpus, meant: Meant | None, found: Collection[int]
) -> Transaction[Pool]:
    """Fetch the candidates that are still there, and their neighbours."""
    links = yield from linked(store, found)
    rows = yield store.query("passages.fetch", among=list(links), **asked.filters)
    passages = [passage(row, links[row["n"]]) for row in rows]
    allowed = frozenset(row["n"] for row in rows if row["allowed"])
    if asked.query.phrases:
        allowed &= set(found)
    sense = (yield from sensed(store, passages, corpus, meant)) if meant else None
    # Where nothing is embedded yet, words tell more than what is not known.
    known = sense and (sense.tokens or not len(sense.asked))
    return Pool(passages, allowed, sense if known else None)


def sensed(
    store: Store, passages: Sequence[Passage], corpus: Corpus, meant: Meant
) -> Transaction[Sense]:
    """Fetch what the encoder says of some passages."""
    keys = [passage.n for passage in passages]
    cosines = yield from meant.index.cosines(store, meant.vector, keys)
    rows = yield store.query("memory_index.tokens", model=meant.model, among=keys)
    tokens = {row["n"]: row["tokens"] for row in rows}
    weights = telling(meant.words, passages, corpus)
    words = [frozenset(terms(word)) for word in meant.words]
    return Sense(meant.tokens, weights, tokens, cosines, words)


def telling(
    words: Sequence[str], passages: Iterable[Passage], corpus: Corpus
) -> NDArray[np.float64]:
    """Weigh the words of a query: a rare one tells more, and the name of who speaks nothing.

    Whom it is about is a feature of its own.
    """
    subjects = {passage.subject for passage in passages if passage.subject}
    names = {name for subject in subjects for name in subject.lower().split()}
    weights = np.array([max(map(corpus.weight, terms(word)), default=0.0) for word in words])
    others = np.array([word not in names for word in words], np.bool_)
    weights = weights * others if (weights * others).any() else weights
    return weights / weights.sum() if weights.any() else np.full(len(words), 1 / (len(words) or 1))


def by_words(store: Store, asked: Asked, corpus: Corpus) -> Transaction[list[Row]]:
    """Find passages by full text, the best first.

    Where many have one of the words, ranking all of them costs too much. Then it climbs from those
    that have all words to those that have any, and of each rung ranks what it can.
    """
    query, most = asked.query, WIDER * asked.wide
    if not query.terms:  # it says stop words only, which may yet mean something
        return []
    found: dict[int, Row] = {}
    ranked = False
    for match, fit in steps(query.terms, corpus):
        ranked = fit <= CHEAP and not found
        name = "passages.matching" if fit <= CHEAP else "passages.latest_matching"
        fully = replace(match, phrases=spoken(query.phrases), excluded=spoken(query.excluded))
        params = {**fully.params(corpus), "limit": most, **asked.filters}
        for row in (yield store.query(name, **params)):
            found.setdefault(row["n"], row)
        if len(found) >= most:
            break
    rows = list(found.values())
    return rows if ranked else sorted(rows, key=lambda row: -corpus.bm25(row["terms"].split()))


def steps(words: Sequence[str], corpus: Corpus) -> Iterator[tuple[Match, int]]:
    """Choose what is asked for, one after the other until enough is found; tell what may fit each.

    First what has any of the words, if that is cheap; else any of those that not most passages
    have, as they have those of a template.
    """
    rarer = [word for word in words if 2 * corpus.frequency(word) <= corpus.total]
    counted = [(some, sum(map(corpus.frequency, some))) for some in (words, rarer)]
    cheap = [(Match(some, some), fit) for some, fit in counted if fit <= CHEAP and some]
    yield from cheap[:1]
    if counted[0][1] > CHEAP:
        yield from rungs(words, corpus)


def spoken(phrases: Iterable[Sequence[str]]) -> list[str]:
    return [" ".join(phrase) for phrase in phrases]


def by_time(store: Store, query: Query, filters: Mapping[str, Any]) -> Transaction[list[Row]]:
    """Find the latest of the time that is asked about, where nothing else is."""
    since = min(start for start, _ in query.spans)
    until = max(end for _, end in query.spans)
    if not query.as_of:
        filters = {
            **filters,
            "since": max(since, filters["since"]),
            "until": min(until, filters["until"]),
        }
    return (yield store.query("passages.newest", limit=CANDIDATES, **filters))


def spread(matched: Iterable[Row], wide: int) -> list[Row]:
    """Keep the best candidates, few of one record: a long one must not crowd out the rest."""
    taken: Counter[str] = Counter()
    kept: list[Row] = []
    for row in matched:
        taken[row["record_id"]] += 1
        if taken[row["record_id"]] <= MOST_OF_A_RECORD:
            kept.append(row)
    return kept[:wide]


ENDS: Final = ("earlier", "later")
Links = dict[int | None, tuple[int | None, int | None]]


def linked(store: Store, found: Iterable[int]) -> Transaction[Links]:
    """Find what stands one and two places before and after in the same session."""
    rows = yield store.query("passages.links", among=list(found))
    links: Links = {row["n"]: (row["previous"], row["next"]) for row in rows}
    for row in rows:
        links.setdefault(row["previous"], (row["earlier"], row["n"]))
        links.setdefault(row["next"], (row["n"], row["later"]))
    # A link that one of two neighbours has is enough for the ranking.
    links |= {row[end]: (None, None) for row in rows for end in ENDS if row[end] not in links}
    links.pop(None, None)
    return links


def passage(row: Row, link: tuple[int | None, int | None] = (None, None)) -> Passage:
    """Read a row of the index: the columns `shape`, in their order."""
    # A row of a driver iterates over its values; by name would be much slower.
    *values, _ = cast("Iterable[Any]", row)
    return Passage._make([*values, *link])
