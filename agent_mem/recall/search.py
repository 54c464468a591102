"""Finding: candidates by words, their neighbours, one ranking, and the records themselves."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from agent_mem.recall.passages import Passage, split
from agent_mem.recall.query import Query, literally, parse
from agent_mem.recall.ranking import Corpus, Ranked, excluded, rank
from agent_mem.recall.words import terms
from agent_mem.records import RECORDS
from agent_mem.records.memory import Memory
from agent_mem.records.record import Findable, Record, now
from agent_mem.storage.statements import Row, Transaction
from agent_mem.storage.store import Store

CANDIDATES = 60
WIDER = 3
"""How many times as many are fetched, since of one record only some are taken."""
MOST_OF_A_RECORD = 3
COMMON = 300
"""The number of passages above which a term costs more time than it finds candidates."""
ENOUGH = 2
"""How many rarer terms make the common ones dispensable."""
FAR = 2_000
"""How many of the latest are looked at where only what is left out is told."""
CLOSE_LOOK = 3
"""How many times as many passages as are asked for are looked at for being the same."""
SIMILAR = 0.6
"""The share of common words (Jaccard) from which a new memory is said to be like an older one."""
MOST_SIMILAR = 5
LONGEST = 8
"""How many of its longest words find what is like a memory."""
FOREVER = datetime.max.replace(tzinfo=UTC)
MODELS = {model.KIND: model for model in RECORDS if model.KIND}


@dataclass(frozen=True, slots=True)
class Request:
    """What to find, and among what."""

    query: str
    kinds: tuple[str, ...] = ()
    topic: str | None = None
    agent: str | None = None
    project: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    as_of: datetime | None = None
    limit: int = 10
    literal: bool = False
    """The query is a text, in which no sign has a meaning."""

    def filters(self, query: Query) -> dict[str, Any]:
        """Give the parameters of the SQL part `passages.allowed`."""
        kinds = list(self.kinds) or ([query.kind] if query.kind else None)
        return {
            "kinds": kinds,
            "topic": self.topic or query.topic,
            "agent": self.agent,
            "project": self.project,
            "since": self.since or datetime.min.replace(tzinfo=UTC),
            "until": self.until or FOREVER,
            "valid_at": self.as_of or now(),
            "begun_by": self.as_of or FOREVER,
        }


@dataclass(frozen=True, slots=True)
class Found:
    """One record that was found, and why."""

    record: Record
    about: Findable
    passage: str
    """The part of its text that was found."""
    score: float
    why: tuple[str, ...]
    features: dict[str, float]
    coverage: float
    """The share of the query's words that it has."""
    alike: int
    """How many more say nearly the same, and are not shown."""


@dataclass(frozen=True, slots=True)
class Results:
    hits: list[Found]


async def search(store: Store, request: Request) -> Results:
    """Find what fits a request best."""
    return await store.engine.read(searching(store, request))


def searching(store: Store, request: Request) -> Transaction[Results]:
    """Find what fits a request best, as part of a transaction."""
    query = parse(literally(request.query) if request.literal else request.query, now())
    filters = request.filters(query)
    if query.terms:
        ranked = yield from ranking(store, query, filters, CLOSE_LOOK * request.limit)
    else:
        most = FAR if query.excluded else CANDIDATES
        rows = yield store.query("passages.newest", limit=most, **filters)
        latest = [passage(row) for row in rows]
        ranked = [Ranked(0.0, p, ("latest",), {}) for p in latest if not excluded(query, p)]
    return Results((yield from distinct(store, query, ranked, request.limit)))


def ranking(
    store: Store, query: Query, filters: dict[str, Any], limit: int
) -> Transaction[list[Ranked]]:
    """Rank the candidates and what stands beside them in their sessions; give the best."""
    corpus = yield from corpus_of(store, query.terms)
    match = matching(query, telling(query, corpus))
    best = yield store.query("passages.matching", match=match, limit=WIDER * CANDIDATES, **filters)
    matched = spread(best)
    if not matched:
        return []
    rows = yield store.query("passages.beside", among=[row["n"] for row in matched], **filters)
    allowed = {row["n"] for row in (matched if query.phrases else rows) if row["allowed"]}
    # What is not allowed may stand beside what is; so many more are ranked.
    most = limit + len(rows) - len(allowed)
    ranked = rank(query, [passage(row) for row in rows], corpus, most)
    return [item for item in ranked if item.passage.n in allowed]


def telling(query: Query, corpus: Corpus) -> Sequence[str]:
    """Choose the terms that find candidates: without the common ones, where enough are rarer.

    A term of many passages costs the most to look up, and tells the least of any of them.
    """
    rarer = [term for term in query.terms if corpus.frequencies.get(term, 0) <= COMMON]
    known = [term for term in rarer if term in corpus.frequencies]
    return rarer if len(known) >= ENOUGH else query.terms


def matching(query: Query, words: Iterable[str]) -> str:
    """Write the full-text query: every phrase, any of the words, none of what is excluded."""
    any_word = " OR ".join(f'"{term}"' for term in words)
    wanted = " AND ".join([*map(quoted, query.phrases), f"({any_word})"])
    return " NOT ".join([f"({wanted})", *map(quoted, query.excluded)])


def quoted(words: Iterable[str]) -> str:
    return f'"{" ".join(words)}"'


def corpus_of(store: Store, words: Sequence[str]) -> Transaction[Corpus]:
    """Count what BM25 has to know."""
    rows = yield store.query("passages.frequencies", terms=list(words))
    (size,) = yield store.query("passages.totals")
    frequencies = {row["term"]: row["doc"] for row in rows}
    return Corpus(frequencies, size["passages"], size["terms"] / max(size["passages"], 1))


def passage(row: Row) -> Passage:
    """Read a row of the index: the columns `shape`, in their order."""
    # A row of a driver iterates over its values; by name would be much slower.
    *values, at, _ = cast("Iterable[Any]", row)
    return Passage(*values, at=datetime.fromisoformat(at))


def distinct(
    store: Store, query: Query, ranked: Iterable[Ranked], limit: int
) -> Transaction[list[Found]]:
    """Fetch the best records, each once; of those that say the same, one with a count.

    The same is the same text. What is merely similar may differ in the one word that matters.
    """
    kept: dict[str, Found] = {}
    seen: set[str] = set()
    for item in ranked:
        if item.passage.record_id in seen or len(kept) == limit:
            continue
        seen.add(item.passage.record_id)
        for found in (yield from hydrated(store, query, item)):
            text = " ".join(found.about.text.split())
            twin = kept.get(text)
            kept[text] = replace(twin, alike=twin.alike + 1) if twin else found
    return list(kept.values())


def spread(matched: Iterable[Row]) -> list[Row]:
    """Keep the best candidates, few of one record: a long one must not crowd out the rest."""
    taken: Counter[str] = Counter()
    kept: list[Row] = []
    for row in matched:
        taken[row["record_id"]] += 1
        if taken[row["record_id"]] <= MOST_OF_A_RECORD:
            kept.append(row)
    return kept[:CANDIDATES]


def overlap(one: set[str], other: set[str]) -> float:
    """Compare two sets of words (Jaccard 1901): what they share of what they have together."""
    return len(one & other) / (len(one | other) or 1)


def hydrated(store: Store, query: Query, item: Ranked) -> Transaction[list[Found]]:
    """Fetch the record of a passage."""
    found = item.passage
    record = yield from store.getting(MODELS[found.record], UUID(found.record_id))
    about = record.findable() if record else None
    if record is None or about is None:
        return []
    start, end = dict(enumerate(split(about.text))).get(found.part, (0, 0))
    words = set(found.terms.split())
    share = sum(term in words for term in query.terms) / (len(query.terms) or 1)
    return [
        Found(
            record=record,
            about=about,
            passage=about.text[start:end],
            score=item.score,
            why=item.why,
            features=dict(item.features),
            coverage=share,
            alike=0,
        )
    ]


def resembling(store: Store, memory: Memory) -> Transaction[list[Memory]]:
    """Find memories that say nearly the same as one that is about to be written."""
    words = set(terms(memory.content))
    if not words:
        return []
    # Long words are rare (Zipf 1935), so few passages have one of them.
    match = " OR ".join(f'"{term}"' for term in sorted(words, key=len)[-LONGEST:])
    request = Request("", kinds=("memory",), project=memory.project)
    filters = request.filters(parse("", now()))
    rows = yield store.query("passages.matching", match=match, limit=CANDIDATES, **filters)
    near = {row["record_id"]: None for row in rows if within(row["terms"], words) >= SIMILAR}
    found: list[Memory] = []
    for key in list(near)[:MOST_SIMILAR]:
        other = yield from store.getting(Memory, UUID(key))
        found += [other] if other and overlap(words, set(terms(other.content))) >= SIMILAR else []
    return found


def within(some: str, others: set[str]) -> float:
    """Compare a passage's words with a longer text's: the share of them that it has, too."""
    mine = some.split()
    return sum(word in others for word in mine) / (len(mine) or 1)
