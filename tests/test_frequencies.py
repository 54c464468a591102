"""How common words are: counted by full text, and remembered as long as that is about right."""

from math import log

import pytest

from agent_mem.app import App
from agent_mem.recall.frequencies import K1, KEPT, B, Corpus, Frequencies
from agent_mem.records.memory import Memory

pytestmark = pytest.mark.anyio


async def counted(app: App, frequencies: Frequencies, *words: str) -> Corpus:
    return await app.store.engine.read(frequencies.corpus(app.store, words))


async def add(app: App, *contents: str) -> None:
    await app.store.put(*(Memory(agent_name="a", content=content) for content in contents))


async def test_words_are_counted_by_the_passages_that_have_them(app: App) -> None:
    await add(app, "red kite red kite", "red zeppelin", "blue")

    corpus = await counted(app, Frequencies(), "red", "kite", "green")

    assert corpus == Corpus({"red": 2, "kite": 1}, 3, 7 / 3)


async def test_nothing_is_counted_in_an_empty_memory(app: App) -> None:
    corpus = await counted(app, Frequencies(), "red")

    assert corpus == Corpus({}, 0, 0)
    assert corpus.weight("red") == pytest.approx(log(2))
    assert corpus.bm25(["red"]) == 0


async def test_counts_stay_until_a_tenth_has_changed(app: App) -> None:
    frequencies = Frequencies()
    await add(app, *(f"kite {n}" for n in range(20)))
    before = await counted(app, frequencies, "kite")
    await add(app, "kite 20", "kite 21")
    same = await counted(app, frequencies, "kite")
    await add(app, "kite 22")
    anew = await counted(app, frequencies, "kite")

    assert [c.frequencies["kite"] for c in (before, same, anew)] == [20, 20, 23]
    assert [c.total for c in (before, same, anew)] == [20, 22, 23]


async def test_a_word_that_is_new_is_counted_at_once(app: App) -> None:
    frequencies = Frequencies()
    await add(app, *(f"kite {n}" for n in range(20)))
    before = await counted(app, frequencies, "zeppelin")
    await add(app, "zeppelin")

    assert before.frequencies == {}
    assert (await counted(app, frequencies, "zeppelin")).frequencies == {"zeppelin": 1}


async def test_no_more_than_some_counts_are_remembered(app: App) -> None:
    frequencies = Frequencies()
    many = [f"w{n}" for n in range(KEPT + 1)]
    await add(app, *(f"kite {n}" for n in range(20)), " ".join(many))
    await counted(app, frequencies, "kite")
    await add(app, "kite 20")

    corpora = [await counted(app, frequencies, *words) for words in (["kite"], many, ["kite"])]

    assert [c.frequencies.get("kite") for c in corpora] == [20, None, 21]


def test_a_rare_word_weighs_more_and_none_weighs_less_than_nothing() -> None:
    corpus = Corpus({"rare": 1, "common": 9, "stale": 50}, 10, 5)

    assert corpus.weight("rare") == pytest.approx(log(1 + 9.5 / 1.5))
    assert corpus.weight("unknown") > corpus.weight("rare") > corpus.weight("common")
    assert corpus.weight("stale") == pytest.approx(log(1 + 0.5 / 10.5))
    assert corpus.weight("stale") > 0


def test_bm25_grows_with_the_words_and_fades_with_the_length() -> None:
    corpus = Corpus({"red": 2, "kite": 1}, 10, 4)
    once = corpus.bm25(["red", "a", "b", "c"])

    assert once == pytest.approx(corpus.weight("red"))  # a passage of mean length, one word
    assert corpus.bm25(["red", "red", "b", "c"]) == pytest.approx(
        corpus.weight("red") * 2 * (K1 + 1) / (2 + K1)
    )
    assert corpus.bm25(["red", "a"]) > once > corpus.bm25(["red", *"abcdefgh"]) > 0
    assert corpus.gain("red", 1, 8) == pytest.approx(
        corpus.weight("red") * (K1 + 1) / (1 + K1 * (1 + B))
    )
    assert corpus.bm25(["red", "kite"]) > corpus.bm25(["red", "x"])
    assert corpus.bm25(["other"]) == 0
