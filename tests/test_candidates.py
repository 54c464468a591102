"""The first stage, where the words of a query are so common that ranking all would take long."""

from collections import Counter

import pytest

from agent_mem.app import App
from agent_mem.recall.candidates import (
    CANDIDATES,
    CHEAP,
    MOST_OF_A_RECORD,
    joined,
    near,
    spread,
    steps,
)
from agent_mem.recall.frequencies import Corpus
from agent_mem.recall.matching import rungs
from agent_mem.recall.query import MOST_TERMS
from agent_mem.recall.search import Request
from agent_mem.records.memory import Memory

pytestmark = pytest.mark.anyio

COMMON = [f"word{n}" for n in range(MOST_TERMS - 1)]
MANY = CHEAP // len(COMMON) + 10


async def found(app: App, query: str) -> list[str]:
    results = await app.finder.search(Request(query, limit=5))
    return [hit.about.text for hit in results.hits]


@pytest.fixture
async def full(app: App) -> App:
    """Know so much that the words of a long query come too often."""
    text = " ".join(COMMON)
    await app.store.put(
        Memory(agent_name="a", content=f"zeppelin {text}"),
        Memory(agent_name="a", content="zeppelin word0"),
        *(Memory(agent_name="a", content=f"{text} number{n}") for n in range(MANY)),
        Memory(agent_name="a", content="zeppelin alone"),
    )
    return app


async def test_what_has_the_rarest_word_comes_first(full: App) -> None:
    for query in (f"zeppelin {' '.join(COMMON)}", f"{' '.join(COMMON)} zeppelin"):
        hits = (await full.finder.search(Request(query, limit=50))).hits

        texts = [hit.about.text for hit in hits]
        assert all(text.startswith("zeppelin") for text in texts[:3])
        assert len(texts) == 50


async def test_filters_and_exclusions_hold_among_many(full: App) -> None:
    await full.store.put(Memory(agent_name="b", content=f"kite {' '.join(COMMON)}", topic="toys"))
    words = " ".join(COMMON)

    assert await found(full, f"{words} topic:toys") == [f"kite {words}"]
    assert not any("zeppelin" in text for text in await found(full, f"{words} -zeppelin"))
    assert await found(full, f'{words} "zeppelin alone"') == ["zeppelin alone"]


def test_rungs_climb_from_all_words_to_any_the_rarest_first() -> None:
    climbed = rungs(["red", "kite", "sky"], Corpus({"red": 9, "sky": 5}, 10, 1))

    assert [match.fts5() for match, _ in climbed] == [
        '(("kite" AND "sky" AND "red"))',
        '((("kite") AND ("sky" OR "red")))',
        '(("sky" AND "red"))',
        '(("kite"))',
        '(("sky"))',
        '(("red"))',
    ]


def test_where_it_is_too_much_what_most_have_finds_nothing_before_the_rungs() -> None:
    dear = Corpus({"status": CHEAP, "kite": 2}, CHEAP + 9, 1)
    cheap = Corpus({"status": 5, "kite": 2}, 9, 1)

    asked = [[match.fts5() for match, _ in steps(["status", "kite"], c)] for c in (dear, cheap)]

    assert asked[0][0] == '(("kite"))'
    assert asked[0][1:] == [match.fts5() for match, _ in rungs(["status", "kite"], dear)]
    assert asked[1] == ['(("status" OR "kite"))']


def test_few_of_one_record_are_candidates() -> None:
    rows = [{"n": n, "record_id": "long" if n < 50 else f"r{n}"} for n in range(200)]

    kept = spread(rows, CANDIDATES)  # pyright: ignore[reportArgumentType] - rows by name are enough

    assert [row["n"] for row in kept][:5] == [0, 1, 2, 50, 51]
    assert len(kept) == CANDIDATES
    assert MOST_OF_A_RECORD == 3


@pytest.mark.parametrize(
    ("query", "meant", "kept"),
    [("red kite", 0, 60), ("red kite", 20, 50), ("red kite", 60, 30), ("last week", 60, 60)],
)
def test_what_is_found_by_meaning_takes_the_place_of_what_words_found_last(
    query: str, meant: int, kept: int
) -> None:
    asked = Request(query).asked()
    by_words, by_meaning = list(range(CANDIDATES)), list(range(1_000, 1_000 + meant))

    found = joined(asked, by_words, by_meaning)

    assert found == [*by_words[:kept], *by_meaning]


async def test_a_long_memory_leaves_room_for_others_among_the_nearest(app: App) -> None:
    sentence = "Pear trees near the gate of the orchard, " * 7
    long = " ".join(f"{sentence}{n}." for n in range(120))
    short = [f"Tractor {n} was parked by the barn." for n in range(CANDIDATES)]
    await app.store.put(*(Memory(agent_name="a", content=text) for text in (long, *short)))
    await app.finder.meaning.load()
    await app.finder.meaning.embed()
    request = Request("Pear trees near the gate of the orchard")
    meant = await app.finder.meant(request)

    keys = await app.store.engine.read(near(app.store, request.asked(), meant))

    rows = await app.store.rows("passages.records", among=keys)
    records = Counter(row["record_id"] for row in rows)
    assert len(keys) == CANDIDATES
    assert max(records.values()) == MOST_OF_A_RECORD
    assert len(records) == CANDIDATES - MOST_OF_A_RECORD + 1


async def test_a_memory_is_found_by_its_own_words_before_it_is_embedded(app: App) -> None:
    said = [f"Beacon {n} and its lamp were looked at by Ana." for n in range(80)]
    await app.store.put(*(Memory(agent_name="a", content=text) for text in said))
    await app.finder.meaning.load()
    await app.finder.meaning.embed()
    await app.store.put(Memory(agent_name="a", content="The valve is called beacon0lamp7607."))

    (first, *_) = (await app.finder.search(Request("What is beacon0lamp7607?"))).hits

    assert first.about.text == "The valve is called beacon0lamp7607."


async def test_words_rank_alone_until_something_is_embedded(app: App) -> None:
    await app.finder.meaning.load()
    await app.store.put(Memory(agent_name="a", content="The kite is red."))

    (hit,) = (await app.finder.search(Request("kite"))).hits

    assert "meaning" not in hit.features
