"""Finding: candidates by words, their neighbours, one ranking, and the records themselves."""

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from anyio import create_task_group

from agent_mem.recall.anchors import Anchor, Relation
from agent_mem.recall.candidates import (
    CANDIDATES,
    Asked,
    Pool,
    joined,
    near,
    passage,
    pooled,
    worded,
)
from agent_mem.recall.days import Span
from agent_mem.recall.frequencies import Corpus, Frequencies
from agent_mem.recall.meaning import Meaning, Meant
from agent_mem.recall.passages import Passage, split
from agent_mem.recall.query import Query, literally, parse, said
from agent_mem.recall.ranking import Ranked, excluded, rank, why
from agent_mem.records import FINDABLE
from agent_mem.records.record import Findable, Record, now
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Store

A = TypeVar("A")
B = TypeVar("B")

FAR = 2_000
"""How many of the latest are looked at where only what is left out is told."""
CLOSE_LOOK = 3
"""How many times as many passages as are asked for are looked at for being the same."""
TOLD = 0.6
"""The share of an event's words that a passage must have to tell when it was."""
OPENING = "\"'("
MARKS = ".,;:!\"'()"
ARTICLES = frozenset({"a", "an", "the"})
FIRST = datetime.min.replace(tzinfo=UTC)
FOREVER = datetime.max.replace(tzinfo=UTC)


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
    wide: int = CANDIDATES
    """How many candidates are ranked, those by words and those by meaning each."""
    at: datetime | None = None
    """When it is asked, if that is not now: relative times count from then."""

    def parsed(self) -> Query:
        """Understand the query. What is taken literally tells neither times nor events."""
        text = literally(self.query) if self.literal else self.query
        query = parse(text, self.at or now())
        if self.literal:
            return replace(query, as_of=None, anchor=None, earlier=False)
        return query

    def asked(self) -> Asked:
        """Say what is asked of the index."""
        query = self.parsed()
        return Asked(query, self.filters(query), self.wide)

    def filters(self, query: Query) -> dict[str, Any]:
        """Give the parameters of the SQL part `passages.allowed`."""
        as_of = self.as_of or query.as_of
        kinds = list(self.kinds) or ([query.kind] if query.kind else None)
        return {
            "kinds": kinds,
            "topic": self.topic or query.topic,
            "agent": self.agent,
            "project": self.project,
            "since": self.since or FIRST,
            "until": self.until or FOREVER,
            "valid_at": as_of or self.at or now(),
            "begun_by": as_of or FOREVER,
            "ended": query.earlier and not as_of,
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
    cosine: float
    """How near its meaning is to the query's; 0 where that is not known."""
    alike: int
    """How many more say nearly the same, and are not shown."""


@dataclass(frozen=True, slots=True)
class Results:
    hits: list[Found]
    trouble: str | None = None
    """Why not everything was searched by meaning."""


@dataclass(frozen=True, slots=True)
class Finder:
    """What finds: the records, and what this process knows of their words and vectors."""

    store: Store
    meaning: Meaning
    frequencies: Frequencies

    async def search(self, request: Request) -> Results:
        """Find what fits a request best, by words and, if the encoder is ready, by meaning.

        Both are looked for at the same time.
        """
        read, asked = self.store.engine.read, request.asked()
        (around, found), (meant, close) = await both(
            lambda: read(self.worded(asked)), lambda: self.felt(request, asked)
        )
        results = await read(self.best(request, around, meant, joined(around, found, close)))
        return replace(results, trouble=self.meaning.trouble)

    async def felt(self, request: Request, asked: Asked) -> tuple[Meant | None, list[int]]:
        """Ask the encoder, and find candidates by what it says."""
        meant = await self.meant(request)
        if meant is None:
            return None, []
        return meant, await self.store.engine.read(near(self.store, asked, meant))

    async def meant(self, request: Request) -> Meant | None:
        """Ask the encoder, which has to be done before a transaction."""
        text = request.query if request.literal else said(request.query)
        return await self.meaning.ask(text) if text.strip() else None

    def searching(self, request: Request, meant: Meant | None = None) -> Transaction[Results]:
        """Find what fits a request best, as part of a transaction; `meant` is asked before."""
        asked, found = yield from self.worded(request.asked())
        close = yield from near(self.store, asked, meant)
        return (yield from self.best(request, asked, meant, joined(asked, found, close)))

    def worded(self, asked: Asked) -> Transaction[tuple[Asked, list[int]]]:
        """Find candidates by words, around the event that a query names if it does."""
        if asked.query.anchor:
            asked = asked._replace(query=(yield from self.placed(asked, asked.query.anchor)))
        corpus = yield from self.frequencies.corpus(self.store, asked.query.terms)
        return asked, (yield from worded(self.store, asked, corpus))

    def placed(self, asked: Asked, anchor: Anchor) -> Transaction[Query]:
        """Find when the event was around which a query asks, and have it ask around that day."""
        query = replace(asked.query, anchor=None)
        event = replace(parse(literally(anchor.phrase), now()), anchor=None, spans=())
        about, found = yield from self.worded(Asked(event, asked.filters, CANDIDATES))
        pool, corpus = yield from self.pooled(about, None, found)
        for best in rank(event, pool, corpus, 1):
            if covered(event, best.passage) >= TOLD:
                day = datetime.fromisoformat(best.passage.at)
                return replace(query, spans=(*query.spans, around(day, anchor.relation)))
        return query

    def pooled(
        self, asked: Asked, meant: Meant | None, found: Collection[int]
    ) -> Transaction[tuple[Pool, Corpus]]:
        """Fetch what is ranked, and how common the words are."""
        words = [*asked.query.terms, *(meant.terms if meant else ())]
        corpus = yield from self.frequencies.corpus(self.store, words)
        return (yield from pooled(self.store, asked, corpus, meant, found)), corpus

    def best(
        self, request: Request, asked: Asked, meant: Meant | None, found: Collection[int]
    ) -> Transaction[Results]:
        """Rank the candidates, and fetch the best records; the latest if nothing is asked."""
        query = asked.query
        if query.terms or query.spans or (meant and meant.words):
            pool, corpus = yield from self.pooled(asked, meant, found)
            ranked = rank(query, pool, corpus, CLOSE_LOOK * request.limit)
        else:
            most = FAR if query.excluded else CANDIDATES
            rows = yield self.store.query("passages.newest", limit=most, **asked.filters)
            latest = [passage(row) for row in rows]
            ranked = [Ranked(0.0, p, 0.0, {}) for p in latest if not excluded(query, p)]
        return Results((yield from distinct(self.store, query, ranked, request.limit)))


async def both(one: Callable[[], Awaitable[A]], other: Callable[[], Awaitable[B]]) -> tuple[A, B]:
    """Do two things at the same time. Where one fails, the other is ended before that is raised."""
    first: list[A] = []
    second: list[B] = []

    async def begin() -> None:
        second.append(await other())

    try:
        async with create_task_group() as tasks:
            tasks.start_soon(begin)
            first.append(await one())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return first[0], second[0]


def distinct(
    store: Store, query: Query, ranked: Iterable[Ranked], limit: int
) -> Transaction[list[Found]]:
    """Fetch the best records, each once; of those that say the same, one with a count.

    The same is the same words in the same order, but for case, articles and marks at their ends.
    What is merely similar may differ in the one word that matters.
    """
    kept: dict[str, Found] = {}
    seen: set[str] = set()
    for item in ranked:
        if item.passage.record_id in seen or len(kept) == limit:
            continue
        seen.add(item.passage.record_id)
        for found in (yield from hydrated(store, query, item)):
            text = bare(found.about.text)
            twin = kept.get(text)
            kept[text] = replace(twin, alike=twin.alike + 1) if twin else found
    return list(kept.values())


def hydrated(store: Store, query: Query, item: Ranked) -> Transaction[list[Found]]:
    """Fetch the record of a passage."""
    found = item.passage
    record = yield from store.getting(FINDABLE[found.record], UUID(found.record_id))
    about = record.findable() if record else None
    if record is None or about is None:
        return []
    start, end = dict(enumerate(split(about.text))).get(found.part, (0, 0))
    return [
        Found(
            record=record,
            about=about,
            passage=about.text[start:end],
            score=item.score,
            why=why(query, item),
            features=dict(item.features),
            coverage=covered(query, found),
            cosine=item.cosine,
            alike=0,
        )
    ]


def covered(query: Query, passage: Passage) -> float:
    """Give the share of the query's words that a passage has."""
    words = set(passage.terms.split())
    return sum(term in words for term in query.terms) / (len(query.terms) or 1)


def bare(text: str) -> str:
    """Write a text without what makes no difference to what it says."""
    words = (word.lstrip(OPENING).rstrip(MARKS) or word for word in text.casefold().split())
    return " ".join(word for word in words if word not in ARTICLES)


def around(day: datetime, relation: Relation) -> Span:
    """Give the time before, after or at an event that was on some day."""
    start = day.replace(hour=0, minute=0, second=0, microsecond=0)
    end = start + timedelta(days=1) if start.date() < FOREVER.date() else FOREVER
    spans: dict[Relation, Span] = {
        "before": (FIRST, start),
        "until": (FIRST, end),
        "after": (start, FOREVER),
        "since": (start, FOREVER),
        "during": (start, end),
    }
    return spans[relation]
