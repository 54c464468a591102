"""Vectors by bits and bytes: the same as a search through all of them, within the same filters."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import numpy as np
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from helpers_vectors import DIM, LONG_AGO, MODEL, filling, filters, vector_of
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st
from numpy.typing import NDArray

from agent_mem.app import App, open_app
from agent_mem.config import Settings
from agent_mem.recall.held import MARGIN, ROOM, Held
from agent_mem.recall.local_index import LocalIndex
from agent_mem.recall.vectors import (
    ANY_TIME,
    CHUNK,
    NEVER,
    RESCORED,
    Block,
    Names,
    Near,
    Part,
    Vector,
    Wanted,
    block,
    nearest,
    quantised,
    signs,
)

Floats = NDArray[np.floating[Any] | np.int8]

SECOND = timedelta(seconds=1)
FACTS = {"owner": "me", "record": "memory", "kind": "fact"} | dict.fromkeys(
    ("topic", "agent_name", "project")
)
TIMES = {"at": 0, "begins": 0, "ends": NEVER, "expires": NEVER}
ALL = filters(owner="me")


def changes(vectors: Floats, first: int = 1, **more: object) -> list[dict[str, Any]]:
    """Make rows as the database gives them, numbered in the order of their changes."""
    rows = enumerate(quantised(vectors.astype(np.float32)), first)
    return [{**FACTS, **TIMES, "n": n, "seq": n, "vector": v.tobytes(), **more} for n, v in rows]


def normal(rows: int, dim: int, seed: int) -> Vector:
    return np.random.default_rng(seed).standard_normal((rows, dim), np.float32)


def exact(vectors: Floats, asked: Floats) -> Floats:
    """Compare in long floats, with no bits."""
    wide = vectors.astype(np.float64)
    return wide @ asked / (np.linalg.norm(wide, axis=1) * np.linalg.norm(asked))


@how(max_examples=60, deadline=None)
@given(
    st.sampled_from([1, 7, 8, 24, 63, 64, 65, 130]),
    st.lists(st.integers(0, RESCORED // 3), min_size=1, max_size=3),
    st.integers(0, 2**32),
    st.integers(1, 30),
)
def test_few_vectors_are_found_as_by_a_search_through_all(
    dim: int, sizes: list[int], seed: int, limit: int
) -> None:
    names, random = Names(), np.random.default_rng(seed)
    rows = [quantised(random.normal(size=(size, dim)).astype(np.float32)) for size in sizes]
    parts: list[Part] = []
    expected: dict[int, float] = {}
    asked = random.normal(size=dim).astype(np.float32)
    for part in rows:
        made = changes(part, 1 + 1_000 * len(parts))
        alive = random.random(len(part)) < 0.8
        cosines = exact(part.astype(np.float32), asked)
        expected |= {r["n"]: c for r, c, a in zip(made, cosines, alive, strict=True) if a}
        parts.append((block(made, names, dim), alive))

    found = nearest(parts, asked, Wanted(ALL, names), limit)

    best = sorted(expected.values(), reverse=True)[:limit]
    assert [near.cosine for near in found] == pytest.approx(best, abs=1e-5)
    assert [near.cosine for near in found] == pytest.approx(
        [expected[near.n] for near in found], abs=1e-5
    )
    assert len({near.n for near in found}) == len(found)


def test_of_many_vectors_the_ten_nearest_are_found_nearly_always() -> None:
    centres = normal(300, 384, 1)
    rows = centres[np.arange(20_000) % 300] + 0.8 * normal(20_000, 384, 2)
    held = held_of(rows)
    hits = 0
    for asked in centres[:30] + 0.8 * normal(30, 384, 3):
        cosines = rows @ asked / np.linalg.norm(rows, axis=1)
        best = set((np.argsort(-cosines)[:10] + 1).tolist())
        hits += len(best & {near.n for near in held.nearest(asked, ALL, 10)})

    assert hits >= 0.95 * 300


def test_of_more_vectors_than_are_compared_at_a_time_the_later_ones_are_found_too() -> None:
    dim, size = 64, CHUNK + 20_000
    centres = normal(20, dim, 1)
    around = centres[np.arange(size) % 20] + 0.5 * normal(size, dim, 2)
    rows = quantised(around.astype(np.float32))
    made = Block.of(size, dim)
    about = block(changes(rows[:1]), names := Names(), dim)
    made.labels[:], made.times[:] = about.labels, about.times
    made.keys[:], made.rows[:], made.bits[:] = np.arange(size), rows, signs(rows)
    later: list[bool] = []
    for asked in centres + 0.5 * normal(20, dim, 3):
        far = np.bitwise_count(made.bits ^ signs(asked[np.newaxis])).sum(axis=0)
        close = np.argpartition(far, RESCORED)[:RESCORED]
        best = close[np.argsort(-exact(rows[close], asked))[:10]]
        found = nearest([(made, np.ones(size, np.bool_))], asked, Wanted(ALL, names), 10)
        later += [n in {near.n for near in found} for n in best[best >= CHUNK].tolist()]

    assert len(later) > 30  # of those that are not compared first
    assert np.mean(later) > 0.95


def held_of(vectors: Floats) -> Held:
    held = Held.nothing(MODEL, vectors.shape[1], None)
    for start in range(0, len(vectors), 1_000):
        held.take(changes(vectors[start : start + 1_000], start + 1))
    return held


def test_of_many_that_are_the_same_the_newest_are_found() -> None:
    same = np.tile(normal(1, 8, 0), (3 * RESCORED, 1))

    found = held_of(same).nearest(same[0], ALL, 3)

    assert [near.n for near in found] == [3_000, 2_999, 2_998]
    assert found[0].cosine == pytest.approx(1, abs=1e-2)


def test_nothing_is_near_in_an_index_without_vectors() -> None:
    held = Held.nothing(MODEL, 8, None)

    assert held.nearest(normal(1, 8, 0)[0], ALL, 5) == []
    assert held.cosines(normal(1, 8, 0)[0], [1, 2]) == {}


def test_a_vector_of_zeros_is_near_to_nothing() -> None:
    held = held_of(np.zeros((1, 8), np.float32))

    assert held.nearest(normal(1, 8, 0)[0], ALL, 5) == [Near(1, 0.0)]


def test_signs_of_a_length_that_fills_no_word_are_padded() -> None:
    rows = np.ones((2, 65), np.int8)
    rows[1, 64] = -1

    assert np.bitwise_count(signs(rows)).sum(axis=0).tolist() == [65, 64]
    assert signs(rows).shape == (2, 2) == Block.of(2, 65).bits.shape


def test_int8_rows_fill_their_range() -> None:
    rows = quantised(np.array([[0.5, -0.25], [0, 0], [-3, 1e-9]], np.float32))

    assert rows.tolist() == [[127, -64], [0, 0], [-127, 0]]


def test_vectors_in_memory_are_found_beyond_one_block_of_them() -> None:
    vectors = normal(ROOM + 2_000, 8, 5)
    held = held_of(vectors)

    for n in (1, ROOM - 1_000, ROOM, ROOM + 1, ROOM + 2_000):
        (near,) = held.nearest(vectors[n - 1], ALL, 1)
        assert near.cosine > 0.99
        assert held.cosines(vectors[n - 1], [n])[n] > 0.99
    about, parts = held.view("name")
    assert about.size == sum(len(chosen) for _, chosen in parts) == ROOM + 2_000


def test_what_is_taken_in_twice_or_late_is_known_once() -> None:
    held = held_of(normal(5, 8, 0))
    held.take(changes(normal(3, 8, 1)))
    held.take(changes(normal(5, 8, 0)))

    assert sorted(near.n for near in held.nearest(normal(1, 8, 0)[0], ALL, 9)) == [1, 2, 3, 4, 5]
    assert (held.seq, held.changes) == (5, 5)


def test_a_vector_of_another_length_is_none() -> None:
    held = held_of(normal(4, 8, 0))
    rows = changes(normal(3, 16, 0), 2)
    for row in rows:
        row["seq"] += 10
    held.take(rows)

    assert [near.n for near in held.nearest(normal(1, 8, 0)[0], ALL, 9)] == [1]
    assert held.seq == 14


def test_passages_far_apart_in_number_are_found() -> None:
    held = held_of(normal(1, 8, 0))
    far = 5 * MARGIN
    held.take(changes(normal(1, 8, 1), far))

    assert {near.n for near in held.nearest(normal(1, 8, 0)[0], ALL, 9)} == {1, far}
    assert held.cosines(normal(1, 8, 1)[0], [far, far + 1, 10 * far]).keys() == {far}


def test_a_search_sees_all_while_another_thread_changes_facts() -> None:
    vectors = normal(900, 8, 0)
    held = held_of(vectors)
    counts: list[int] = []

    def search() -> None:
        while held.seq < 60_000:
            counts.append(len(held.nearest(vectors[0], ALL, 2_000)))

    thread = Thread(target=search)
    thread.start()
    for seq in range(1_000, 60_001, 500):
        rows = changes(vectors[:500])
        held.take([{**row, "seq": seq + i} for i, row in enumerate(rows)])
    thread.join(20)

    assert not thread.is_alive()
    assert set(counts) == {900}


MOMENTS = [
    datetime(2024, 5, 1, 12, tzinfo=UTC) + timedelta(seconds=s, microseconds=us)
    for s in (-1, 0, 1, 86_400)
    for us in (0, 1, 499_999, 999_600, 999_999)
] + [
    datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
    datetime(4000, 1, 1, tzinfo=UTC) - SECOND / 1e6,
]
EXTREMES = [ANY_TIME["since"], ANY_TIME["until"] - timedelta(microseconds=1)]
moments = st.sampled_from(MOMENTS)
words = st.sampled_from(["a", "b", "never written"])


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


class Filled:
    """A file of random passages, two owners', and the index of their vectors."""

    def __init__(self, portal: BlockingPortal, app: App) -> None:
        self.portal = portal
        self.app = app
        self.index = LocalIndex(MODEL, DIM, app.settings.db)
        self.keys = portal.call(app.store.engine.write, filling(app.store, passages()))

    def allowed(self, asked: Mapping[str, Any]) -> set[int]:
        """Ask SQL."""
        query = self.app.store.asking("passages.fetch", among=self.keys, **asked)
        rows = self.portal.call(self.app.store.engine.read, query)
        return {row["n"] for row in rows if row["allowed"]}

    def near(self, asked: Mapping[str, Any]) -> set[int]:
        search = self.index.nearest(self.app.store, vector_of("x"), asked, 1_000)
        return {near.n for near in self.portal.call(self.app.store.engine.read, search)}


def passages() -> Iterator[dict[str, Any]]:
    random = np.random.default_rng(1)
    names = [None, "a", "b"]
    maybe = [*[None] * len(MOMENTS), *MOMENTS, *EXTREMES]
    values: dict[str, list[Any]] = {
        "owner": ["me", "me", "another"],
        "record": ["memory", "decision"],
        "kind": ["fact", "plan", "decision"],
        **dict.fromkeys(("topic", "agent_name", "project"), names),
        "at": [*MOMENTS, *EXTREMES],
        **dict.fromkeys(("valid_from", "valid_until", "expires_at"), maybe),
    }
    for _ in range(500):
        yield {name: among[random.integers(len(among))] for name, among in values.items()}


@pytest.fixture(scope="module")
def filled(portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    file = tmp_path_factory.mktemp("filled") / "memory.db"
    with portal.wrap_async_context_manager(open_app(Settings(db=file))) as app:
        yield Filled(portal, app)


@how(max_examples=200, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "owner": st.sampled_from(["another", "nobody"]),
            "kinds": st.lists(st.sampled_from(["memory", "plan", "decision", "none"])),
            "topic": words,
            "agent": words,
            "project": words,
            "since": moments,
            "until": moments,
            "valid_at": moments,
            "begun_by": moments,
            "ended": st.just(True),
        },
    )
)
def test_what_is_near_is_what_sql_allows(filled: Filled, changed: dict[str, Any]) -> None:
    asked = filters(**{"valid_at": LONG_AGO, **changed})

    found = filled.near(asked)

    assert found >= filled.allowed(asked)
    assert found <= filled.allowed(widened(asked))


def widened(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Allow what a second's doubt may add."""
    first, last = ANY_TIME["since"] + SECOND, ANY_TIME["until"] - SECOND
    return {
        **asked,
        "since": max(asked["since"], first) - SECOND,
        "until": min(asked["until"], last) + SECOND,
        "begun_by": min(asked["begun_by"], last) + SECOND,
        "valid_at": asked["valid_at"] - SECOND,
    }


def test_another_owner_finds_nothing_of_mine(filled: Filled) -> None:
    mine, theirs = filled.near(filters()), filled.near(filters(owner="another"))

    assert len(mine) > 100
    assert len(theirs) > 50
    assert mine.isdisjoint(theirs)
