"""What is erased for good: not before every other machine can know that it was forgotten."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import calling
from helpers_sync import machine, row, sync, waiting

from agent_mem.app import App, open_app
from agent_mem.config import Settings
from agent_mem.records.memory import Memory
from agent_mem.records.record import now

pytestmark = pytest.mark.anyio

FERRY = Memory(agent_name="a", content="The ferry leaves at six.")
LONG_AGO = timedelta(days=31)


@pytest.fixture
async def one(tmp_path: Path, server_url: str) -> AsyncGenerator[App]:
    async with machine(tmp_path / "one", server_url) as app:
        yield app


@pytest.fixture
async def two(tmp_path: Path, server_url: str) -> AsyncGenerator[App]:
    async with machine(tmp_path / "two", server_url) as app:
        yield app


async def forget(app: App, memory: Memory) -> None:
    """Forget a memory, as if that had been a month ago."""
    await app.store.put(memory.model_copy(update={"deleted_at": now() - LONG_AGO}))


async def erased(app: App) -> int:
    return (await calling(app)("run_behavior", name="prune"))["output"]["erased"]


async def waits(app: App) -> bool:
    return str(FERRY.id) in {due["id"] for due in await waiting(app)}


async def test_what_was_forgotten_offline_is_gone_everywhere_however_late_that_is_told(
    one: App, two: App
) -> None:
    await one.store.put(FERRY)
    await sync(one, two)
    await forget(one, FERRY)
    assert await erased(one) == 0

    await sync(one, two)

    for app in (one, two):
        assert await app.store.get(Memory, FERRY.id) is None
        assert "hits" not in await calling(app)("recall", query="ferry")
        assert await erased(app) == 1
        assert await row(app, FERRY) is None
    await sync(two, one)
    assert await row(one, FERRY) is await row(two, FERRY) is None


async def test_it_waits_on_a_file_that_has_met_a_server_and_has_none_set_now(
    one: App, tmp_path: Path
) -> None:
    await one.store.put(FERRY)
    await sync(one)
    await forget(one, FERRY)

    async with open_app(Settings(db=tmp_path / "one" / "memory.db", embedder="none")) as alone:
        assert await erased(alone) == 0
    assert await waits(one)


async def test_it_waits_for_a_server_that_was_never_met_too(one: App) -> None:
    """It may have the row from the machine whose archive was imported here."""
    await forget(one, FERRY)

    assert await erased(one) == 0
    await sync(one)
    assert await erased(one) == 1


async def test_without_a_server_nothing_has_to_wait(app: App) -> None:
    await forget(app, FERRY)

    assert await erased(app) == 1
    assert await row(app, FERRY) is None
    assert not await waits(app)
