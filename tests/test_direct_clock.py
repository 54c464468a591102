"""What is written on the server itself is later than what machines have sent there."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest
from helpers_engines import stored as store_of
from helpers_sync import aside, clock, losers, machine, restore, stored, sync

from agent_mem.app import App
from agent_mem.records.memory import Memory
from agent_mem.records.record import now, uuid7
from agent_mem.storage.postgres import Postgres

pytestmark = pytest.mark.anyio

FERRY = Memory(agent_name="a", content="The ferry leaves at six.")
AN_HOUR, TWO_DAYS = 3600.0, 2 * 86_400.0


@pytest.fixture
async def one(tmp_path: Path, server_url: str) -> AsyncGenerator[App]:
    async with machine(tmp_path / "one", server_url) as app:
        yield app


@pytest.fixture
async def two(tmp_path: Path, server_url: str) -> AsyncGenerator[App]:
    async with machine(tmp_path / "two", server_url) as app:
        yield app


async def rewrite(server: Postgres, content: str) -> Memory:
    """Change the memory on the server itself, as it is there."""
    store = store_of(server)
    theirs = await store.get(Memory, FERRY.id)
    assert theirs
    await store.put(theirs.model_copy(update={"content": content}))
    found = await store.get(Memory, FERRY.id)
    assert found
    return found


async def content(app: App) -> str:
    found = await app.store.get(Memory, FERRY.id)
    return found.content if found else ""


async def test_a_change_on_the_server_wins_over_a_machine_whose_clock_is_ahead(
    one: App, two: App, canonical: Postgres
) -> None:
    with clock(AN_HOUR):
        await one.store.put(FERRY)
        await sync(one)

    assert (await rewrite(canonical, "It leaves at seven.")).content == "It leaves at seven."

    await sync(two)
    with clock(AN_HOUR):
        await sync(one)
    for app in (one, two):
        assert await content(app) == "It leaves at seven."
        assert await losers(app) == []


async def test_every_further_change_there_is_later_than_the_one_before(
    one: App, canonical: Postgres
) -> None:
    with clock(AN_HOUR):
        await one.store.put(FERRY)
        await sync(one)

    clocks = [(await rewrite(canonical, f"At {n}.")).hlc for n in range(5)]

    assert clocks == sorted(set(clocks))
    assert clocks[0] > (await stored(one, FERRY)).hlc


async def test_a_row_from_the_future_does_not_take_the_clock_of_the_server_there(
    one: App, two: App, canonical: Postgres
) -> None:
    await sync(one)
    far = now() + timedelta(seconds=TWO_DAYS)
    future = FERRY.model_copy(
        update={
            "owner": "me",
            "id": uuid7(),
            "hlc": int(far.timestamp() * 1000) << 16,
            "origin": uuid7(),
        }
    )
    assert await restore(one, future)
    await sync(one)
    await store_of(canonical).put(FERRY)

    await sync(two)
    assert await content(two) == FERRY.content
    assert len(await aside(two)) == 1
