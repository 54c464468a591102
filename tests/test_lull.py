"""What is done in the background waits for a lull, so that whoever asks does not wait for it."""

from dataclasses import replace
from typing import Any, cast

import anyio
import pytest
from anyio.lowlevel import checkpoint
from helpers_sync import syncer
from mcp.types import CallToolRequestParams

from agent_mem.app import App
from agent_mem.config import Settings
from agent_mem.records.memory import Memory
from agent_mem.server.calls import Calls
from agent_mem.server.opening import Opening
from agent_mem.storage import lull
from agent_mem.storage.lull import Lull, Patient
from agent_mem.storage.store import Store
from agent_mem.tools.tool import Result, Tool

pytestmark = pytest.mark.anyio

FERRY = Memory(agent_name="a", content="The ferry leaves at six.")
EVER = 3600.0
"""Longer than any test takes."""


@pytest.fixture
def later(app: App) -> Store:
    """Give the records as what is done in the background has them."""
    return replace(app.store, engine=Patient(app.store.engine, app.lull))


async def test_in_a_lull_a_transaction_runs_at_once(later: Store) -> None:
    await later.put(FERRY)

    assert (await later.get(Memory, FERRY.id)) is not None
    assert later.engine.dialect == "sqlite"


async def test_a_transaction_begins_when_the_last_answer_is_given(
    app: App, later: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lull, "PATIENCE", EVER)
    async with anyio.create_task_group() as tasks:
        with app.lull.broken():
            with app.lull.broken():
                tasks.start_soon(later.put, FERRY)
                await anyio.wait_all_tasks_blocked()
            await anyio.wait_all_tasks_blocked()
            assert await app.store.get(Memory, FERRY.id) is None

    assert await app.store.get(Memory, FERRY.id) is not None


async def test_an_answer_that_takes_long_holds_up_nothing(app: App, later: Store) -> None:
    with app.lull.broken():
        await later.put(FERRY)
        assert await app.store.get(Memory, FERRY.id) is not None


async def test_whoever_asks_without_end_holds_up_nothing() -> None:
    asked, came = Lull(), anyio.Event()

    async def come() -> None:
        await asked.come()
        came.set()

    async with anyio.create_task_group() as tasks:
        with asked.broken():
            tasks.start_soon(come)
            await checkpoint()
            while not came.is_set():
                with asked.broken():
                    await checkpoint()


async def test_a_failed_answer_is_one_too() -> None:
    asked = Lull()
    with pytest.raises(ZeroDivisionError), asked.broken():
        _ = 1 / 0

    with anyio.fail_after(0):
        await asked.come()


async def test_a_call_of_a_tool_breaks_the_lull(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lull, "PATIENCE", EVER)
    came: list[bool] = []

    async def look(app: App) -> Result:
        """Look whether there is a lull."""
        with anyio.move_on_after(0) as waited:
            await app.lull.come()
        came.append(not waited.cancelled_caught)
        return Result()

    async with Opening(settings) as opening:
        app = await opening()
        asked = CallToolRequestParams(name="look")
        await Calls(opening, [Tool(look)]).call(cast("Any", None), asked)
        await app.lull.come()

    assert came == [False]


async def test_a_pass_of_the_sync_waits_for_the_answer(
    one: App, two: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lull, "PATIENCE", EVER)
    await one.store.put(FERRY)
    async with anyio.create_task_group() as tasks:
        with one.lull.broken():
            tasks.start_soon(syncer(one).once)
            for _ in range(3):
                await syncer(two).once()
            assert await two.store.get(Memory, FERRY.id) is None

    await syncer(two).once()
    assert await two.store.get(Memory, FERRY.id) is not None
