"""What was so when: validity, what was so before, and events that stand for dates."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from conftest import Call

from agent_mem.app import App
from agent_mem.recall.search import FIRST, FOREVER, Request, around
from agent_mem.records.memory import Memory
from agent_mem.records.record import now

pytestmark = pytest.mark.anyio

RELEASE = datetime(2026, 3, 10, 15, 30, tzinfo=UTC)
DAY = timedelta(days=1)
EARLY, SAME, LATE = (f"They deployed the {what} one." for what in ("early", "same", "late"))


async def found(app: App, query: str) -> list[str]:
    return [hit.about.text for hit in (await app.finder.search(Request(query))).hits]


async def dated(app: App, query: str) -> set[str]:
    """Give what was deployed in the time that a query asks for; one of it comes first."""
    hits = [
        hit
        for hit in (await app.finder.search(Request(query))).hits
        if hit.about.text in {EARLY, SAME, LATE}
    ]
    fitting = {hit.about.text for hit in hits if hit.features["dates"] == 1}
    assert len(hits) == 3
    assert not fitting or hits[0].about.text in fitting
    return fitting


async def tell(app: App, **at: datetime) -> None:
    told = {"early": EARLY, "same": SAME, "late": LATE, "release": "The release 2.0 is out."}
    await app.store.put(
        *(Memory(agent_name="a", content=told[n], occurred_at=day) for n, day in at.items())
    )


@pytest.fixture
async def deployed(app: App) -> App:
    await tell(
        app,
        early=RELEASE - 40 * DAY,
        same=RELEASE.replace(hour=1),
        late=RELEASE + 40 * DAY,
        release=RELEASE,
    )
    return app


@pytest.mark.parametrize(
    ("query", "fitting"),
    [
        ("What did we deploy before the release?", {EARLY}),
        ("What did we deploy until the release?", {EARLY, SAME}),
        ("What did we deploy during the release?", {SAME}),
        ("What did we deploy after the release?", {SAME, LATE}),
        ("What did we deploy since the release?", {SAME, LATE}),
        ("What did we deploy?", set[str]()),
    ],
)
async def test_a_remembered_event_stands_for_its_day(
    deployed: App, query: str, fitting: set[str]
) -> None:
    assert await dated(deployed, query) == fitting


@pytest.mark.parametrize("event", ["the audit", "the release of the printed catalogue"])
async def test_an_event_of_which_nothing_tells_is_words_like_others(
    deployed: App, event: str
) -> None:
    """One of three words is too little to tell of it."""
    assert await dated(deployed, f"What did we deploy before {event}?") == set()


async def test_an_event_is_told_by_most_of_its_words(deployed: App) -> None:
    asked = "What did we deploy before the release of 2.0 in Rome?"

    assert await dated(deployed, asked) == {EARLY}


async def test_an_event_of_somebody_elses_project_is_not_looked_at(app: App) -> None:
    await tell(app, early=RELEASE - 40 * DAY, same=RELEASE, late=RELEASE + 40 * DAY)
    other = Memory(agent_name="a", content="The release is out.", project="p", occurred_at=RELEASE)
    await app.store.put(other)
    request = Request("What did we deploy before the release?")

    here = await app.finder.search(replace(request, project="q"))
    there = await app.finder.search(replace(request, project="p"))

    assert {hit.features["dates"] for hit in here.hits} == {0}
    assert max(hit.features["dates"] for hit in there.hits) == 1


def test_an_event_gives_the_time_around_its_day() -> None:
    begins = datetime(2026, 3, 10, tzinfo=UTC)
    ends = begins + DAY

    assert around(RELEASE, "before") == (FIRST, begins)
    assert around(RELEASE, "until") == (FIRST, ends)
    assert around(RELEASE, "during") == (begins, ends)
    assert around(RELEASE, "after") == around(RELEASE, "since") == (begins, FOREVER)


async def test_an_event_may_be_on_the_last_day_of_all(app: App) -> None:
    last = FOREVER - timedelta(hours=1)
    await tell(app, early=RELEASE, same=last, late=last, release=last)

    for relation in ("before", "until", "during", "after", "since"):
        query = f"What did we deploy {relation} the release?"
        assert len(await found(app, query)) == 4


@pytest.fixture
async def ports(app: App, call: Call) -> App:
    """Know a port that was corrected, and one that is forgotten by now."""
    past = datetime(2026, 2, 1, tzinfo=UTC)
    old = await call("remember", content="The port is 5432.", occurred_at="2026-01-01")
    await call(
        "remember", content="The port is 6432.", occurred_at="2026-03-01", supersedes=old["id"]
    )
    brief = Memory(
        agent_name="a", content="The port is 9999 for now.", created_at=past, expires_at=past + DAY
    )
    await app.store.put(brief)
    return app


async def test_what_is_superseded_is_found_when_it_is_asked_what_was_before(ports: App) -> None:
    assert await found(ports, "which port?") == ["The port is 6432."]
    assert set(await found(ports, "what was the old port?")) == {
        "The port is 5432.",
        "The port is 6432.",
    }


async def test_a_date_as_of_which_it_is_asked_tells_what_was_valid_then(ports: App) -> None:
    assert await found(ports, "which port was it as of 20 February 2026?") == ["The port is 5432."]
    assert await found(ports, "which port was it as of 20 March 2026?") == ["The port is 6432."]
    assert await found(ports, "what was the old port as of 20 March 2026?") == ["The port is 6432."]


async def test_a_date_may_stand_before_what_is_asked(ports: App) -> None:
    assert await found(ports, "as of 20 February 2026 port") == ["The port is 5432."]
    assert await found(ports, "as of 2026-02-20 port") == ["The port is 5432."]


async def test_nothing_but_a_time_finds_the_latest_of_it(deployed: App) -> None:
    early, same = RELEASE - 40 * DAY, RELEASE
    for encoder in (False, True):
        if encoder:
            await deployed.finder.meaning.load()
        assert await found(deployed, f"before {same:%Y-%m-%d}") == [EARLY]
        assert await found(deployed, f"what happened on {early:%Y-%m-%d}?") == [EARLY]
        assert await found(deployed, f"kind:memory since {same:%Y-%m-%d} -release") == [LATE, SAME]
        assert await found(deployed, "in January 1999") == []


async def test_nothing_but_a_time_is_found_among_many_that_are_newer(app: App) -> None:
    at = datetime(2026, 3, 10, tzinfo=UTC)
    newer = [
        Memory(agent_name="a", content=f"Note {n}", occurred_at=at + 30 * DAY) for n in range(200)
    ]
    old = Memory(agent_name="a", content="A kite", occurred_at=at)
    await app.store.put(old, *newer)

    assert await found(app, "what happened on 10 March 2026?") == ["A kite"]
    within = Request("before 2026-04-01", since=at + DAY)
    assert (await app.finder.search(within)).hits == []


async def test_the_latest_as_of_a_date_is_what_was_valid_then(ports: App) -> None:
    assert await found(ports, "as of 20 February 2026") == ["The port is 5432."]


async def test_the_date_of_the_request_goes_before_that_of_the_text(ports: App) -> None:
    then = Request(
        "which port was it as of 20 March 2026?", as_of=datetime(2026, 2, 20, tzinfo=UTC)
    )

    assert [hit.about.text for hit in (await ports.finder.search(then)).hits] == [
        "The port is 5432."
    ]


async def test_what_is_asked_in_the_past_counts_from_then(ports: App) -> None:
    then = Request("which port?", at=datetime(2026, 2, 1, 12, tzinfo=UTC))

    assert sorted(hit.about.text for hit in (await ports.finder.search(then)).hits) == [
        "The port is 5432.",
        "The port is 6432.",
        "The port is 9999 for now.",
    ]


def test_a_text_that_is_taken_literally_asks_for_nothing_but_its_words() -> None:
    text = 'It was on the old port before the release topic:x -fno "a b" '
    more = "as of 3 May 2026"
    asked, literal = Request(text + more).parsed(), Request(text + more, literal=True).parsed()

    assert asked.as_of
    assert (asked.earlier, asked.topic) == (True, "x")
    assert asked.excluded
    assert (literal.as_of, literal.anchor, literal.earlier) == (None, None, False)
    assert (literal.topic, literal.phrases, literal.excluded) == (None, (), ())
    anchored = "What was the port before the release?"
    assert Request(anchored).parsed().anchor
    assert Request(anchored, literal=True).parsed().anchor is None


async def test_what_is_taken_literally_is_not_filtered_by_time(ports: App) -> None:
    asked = "The old port as of 20 February 2026 was refused"

    literal = await ports.finder.search(Request(asked, literal=True))

    assert [hit.about.text for hit in literal.hits] == ["The port is 6432."]
    assert await found(ports, asked) == ["The port is 5432."]


async def test_what_ends_soon_is_valid_until_then(app: App) -> None:
    soon = now() + DAY
    await app.store.put(Memory(agent_name="a", content="The port is 1.", valid_until=soon))

    assert await found(app, "port") == ["The port is 1."]
