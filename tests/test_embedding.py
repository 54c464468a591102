"""The queue of what is to be embedded: nothing is lost, made twice, or kept for what is gone."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from helpers_meaning import MEMORIES, queued, remember

from agent_mem.app import App
from agent_mem.config import Settings
from agent_mem.recall.embedding import (
    Embedded,
    Share,
    embed_some,
    forgetting,
    models,
    registering,
    renewing,
)
from agent_mem.records.memory import Memory
from agent_mem.records.record import now

pytestmark = pytest.mark.anyio

DIM = 4


def made(texts: Sequence[str]) -> list[Embedded]:
    """Make a vector of a text's length, and token vectors of its letters."""
    return [Embedded(np.full(DIM, len(t), np.float32), t.encode()[:8]) for t in texts]


class Taker:
    """Embeds, and keeps what it was given."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def __call__(self, texts: Sequence[str]) -> Sequence[Embedded]:
        self.texts += texts
        return made(texts)


@pytest.fixture
def taker() -> Taker:
    return Taker()


async def known(app: App, model: str = "m") -> None:
    await app.store.engine.write(registering(app.store, model, DIM))


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        return db.execute(sql).fetchall()


VECTORS = "SELECT count(*) FROM memory_index WHERE model = 'm' AND vector IS NOT NULL"


async def test_a_new_model_is_asked_for_all_that_is_there(app: App, taker: Taker) -> None:
    await remember(app, *MEMORIES)
    await known(app)
    await known(app)

    assert await queued(app, "m") == 3
    assert await embed_some(app.store, "m", taker, 10) == 3
    assert sorted(taker.texts) == sorted(MEMORIES)
    assert await embed_some(app.store, "m", taker, 10) == 0


async def test_the_latest_is_embedded_first_with_who_said_it(app: App, taker: Taker) -> None:
    await known(app)
    await remember(app, *MEMORIES)
    await app.store.put(Memory(agent_name="a", content="I moved.", subject="Ben"))

    await embed_some(app.store, "m", taker, 2)

    assert taker.texts == ["Ben: I moved.", MEMORIES[2]]


async def test_each_worker_takes_its_own(app: App, taker: Taker) -> None:
    await known(app)
    await remember(app, *(f"Memory number {n}." for n in range(9)))

    shares = [await embed_some(app.store, "m", taker, 10, Share(n, 2)) for n in (0, 1)]

    assert sorted(shares) == [4, 5]
    assert len(set(taker.texts)) == 9


async def test_a_model_is_complete_when_nothing_waits_any_more(app: App, taker: Taker) -> None:
    await remember(app, *MEMORIES)
    await known(app)
    seen: list[bool] = []
    for _ in MEMORIES:
        await embed_some(app.store, "m", taker, 1)
        seen.append((await app.store.engine.read(models(app.store)))["m"].complete)

    assert seen == [False, False, True]


async def test_what_is_forgotten_while_it_is_embedded_leaves_no_vector(
    app: App, settings: Settings
) -> None:
    await known(app)
    memory = Memory(agent_name="a", content="Soon gone.")
    await app.store.put(memory)

    async def meanwhile(texts: Sequence[str]) -> Sequence[Embedded]:
        await app.store.put(memory.model_copy(update={"deleted_at": now()}))
        return made(texts)

    assert await embed_some(app.store, "m", meanwhile, 10) == 1

    assert await queued(app, "m") == 0
    assert rows(settings.db, VECTORS) == [(0,)]


async def test_what_is_changed_while_it_is_embedded_waits_again(
    app: App, settings: Settings, taker: Taker
) -> None:
    await known(app)
    memory = Memory(agent_name="a", content="The first text.")
    await app.store.put(memory)

    async def meanwhile(texts: Sequence[str]) -> Sequence[Embedded]:
        await app.store.put(memory.model_copy(update={"content": "The second text."}))
        return made(texts)

    await embed_some(app.store, "m", meanwhile, 10)
    before = rows(settings.db, VECTORS)
    await embed_some(app.store, "m", taker, 10)

    assert before == [(0,)]
    assert taker.texts == ["The second text."]
    assert rows(settings.db, VECTORS) == [(1,)]


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM memories",
        "UPDATE memories SET content = ''",
        "UPDATE passages SET part = 7",
        "UPDATE passages SET n = 99",
    ],
)
async def test_what_cannot_be_read_any_more_does_not_hold_up_the_others(
    app: App, settings: Settings, taker: Taker, damage: str
) -> None:
    await known(app)
    await remember(app, "This one is damaged.")
    rows(settings.db, damage)
    await remember(app, "This one is sound.")

    assert await embed_some(app.store, "m", taker, 10) == 2

    assert taker.texts == ["This one is sound."]
    assert await queued(app, "m") == 0


async def test_two_models_stand_side_by_side_and_one_can_be_forgotten(
    app: App, settings: Settings, taker: Taker
) -> None:
    await known(app)
    await known(app, "other")
    await remember(app, *MEMORIES)
    await embed_some(app.store, "m", taker, 10)
    await embed_some(app.store, "other", taker, 2)

    await app.store.engine.write(forgetting(app.store, "other"))

    assert rows(settings.db, "SELECT model, count(*) FROM memory_index GROUP BY 1") == [("m", 3)]
    assert list(await app.store.engine.read(models(app.store))) == ["m"]
    assert await queued(app, "other") == 0


async def test_asked_anew_a_model_keeps_its_vectors_until_they_are_made(
    app: App, settings: Settings, taker: Taker
) -> None:
    await known(app)
    await remember(app, *MEMORIES)
    await embed_some(app.store, "m", taker, 10)

    await app.store.engine.write(renewing(app.store, "m", DIM))

    assert rows(settings.db, VECTORS) == [(3,)]
    assert await embed_some(app.store, "m", taker, 10) == 3


async def test_a_model_with_vectors_of_another_length_begins_anew(
    app: App, settings: Settings, taker: Taker
) -> None:
    await known(app)
    await remember(app, *MEMORIES)
    await embed_some(app.store, "m", taker, 10)

    await app.store.engine.write(renewing(app.store, "m", DIM + 1))

    assert rows(settings.db, VECTORS) == [(0,)]
    assert (await app.store.engine.read(models(app.store)))["m"][:2] == (DIM + 1, False)
    assert await queued(app, "m") == 3
