"""What seldom happens to behaviors: leases that are taken, rules that others wrote, slots twice."""

from datetime import timedelta
from typing import Any

import anyio
import pytest
from conftest import Call
from test_scheduler import behavior, ended, runs, scheduled, until

from agent_mem.app import App
from agent_mem.behaviors import BEHAVIORS, runner
from agent_mem.behaviors.action import Outcome, Task
from agent_mem.behaviors.event_filter import EventFilter, told
from agent_mem.behaviors.guarded import resolved
from agent_mem.behaviors.listening import filters
from agent_mem.errors import ActionFailed, InvalidInput
from agent_mem.records.record import now, uuid7
from agent_mem.records.run import Run, run_id
from agent_mem.records.work import Work

pytestmark = pytest.mark.anyio

OFTEN: dict[str, Any] = {"trigger_type": "schedule", "schedule": "* * * * * *"}


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> tuple[anyio.Event, anyio.Event]:
    """Make an action known that says when it has begun, and goes on when it is told to."""
    begun, go_on = anyio.Event(), anyio.Event()

    async def wait(_: App, __: Task) -> Outcome:
        begun.set()
        await go_on.wait()
        return Outcome({}, [])

    monkeypatch.setitem(BEHAVIORS, "wait", wait)
    return begun, go_on


async def test_a_lease_is_prolonged_while_it_is_worked_on_and_the_work_ends_where_it_is_taken(
    app: App,
    call: Call,
    gate: tuple[anyio.Event, anyio.Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "BEAT", 0.02)
    await call("register_behavior", name="b", action="wait", agent="a")
    errors: list[str] = []

    async def run() -> None:
        with pytest.raises(InvalidInput) as refused:
            await call("run_behavior", name="b", agent="a")
        errors.append(str(refused.value))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await gate[0].wait()
            (first,) = await runs(app)

            async def longer() -> bool:
                (now_so,) = await runs(app)
                assert now_so.lease_until
                assert first.lease_until
                return now_so.lease_until > first.lease_until

            await until(longer)
            await app.store.put(first.model_copy(update={"run_by": "another:1"}))

    assert errors == ["The run of `b` was taken over: see list_behaviors."]


async def test_what_is_due_while_a_run_goes_on_is_skipped_beside_it(
    app: App, gate: tuple[anyio.Event, anyio.Event]
) -> None:
    often = behavior(app, "b", action="wait", **OFTEN)
    await app.store.put(often.model_copy(update={"scheduled_at": now()}))

    async with scheduled(app):
        await gate[0].wait()

        async def skipped() -> bool:
            return any(run.status == "skipped" for run in await runs(app))

        await until(skipped)
        gate[1].set()

        async def complete() -> bool:
            return any(run.status == "complete" for run in await runs(app))

        await until(complete)


async def test_a_run_that_failed_waits_for_its_retry_or_for_its_behavior_to_be_switched_on(
    app: App,
) -> None:
    daily = behavior(app, "b", trigger_type="daily", schedule=f"{now():%H:%M}")
    off = behavior(app, "off", enabled=False)
    for of, retry in ((daily, now() + timedelta(seconds=1)), (off, now())):
        record = str(uuid7())
        await app.store.put(
            of,
            Run(
                id=run_id(app.settings.owner, of.id, record),
                behavior_id=of.id,
                trigger="event",
                input={"record": record},
                status="failed",
                error="It broke.",
                retry_at=retry,
            ),
        )

    async with scheduled(app):
        found = await ended(app, 3)

    assert sorted((r.status, r.attempt) for r in found) == [
        ("complete", 1),  # what is daily
        ("complete", 2),
        ("failed", 1),
    ]
    (left,) = await runs(app, "off")
    assert left.retry_at


async def test_a_filter_that_this_program_does_not_understand_is_left_alone(app: App) -> None:
    strange = behavior(app, "b", trigger_type="event", event_filter={"type": "smell"})

    assert filters([strange, behavior(app, "c")]) == []


def test_what_recall_does_not_find_is_no_news() -> None:
    change = Work(agent_name="a", action="changed")

    assert not EventFilter(type="work").fits(change)
    assert told(change) == {"record": str(change.id), "type": "work"}


async def test_a_name_that_nobody_knows_is_told() -> None:
    with pytest.raises(ActionFailed, match=r"nobody\.invalid is not known"):
        await resolved("nobody.invalid", 443, private=False)
