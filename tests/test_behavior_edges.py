"""What seldom happens to behaviors: leases that are taken, rules that others wrote, slots twice."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from conftest import Call
from helpers_sync import run as execute
from test_scheduler import behavior, ended, runs, scheduled, until

from agent_mem.app import App
from agent_mem.behaviors import BEHAVIORS, on_error, runner, scheduler
from agent_mem.behaviors.action import Outcome, Params, Task
from agent_mem.behaviors.event_filter import EventFilter, told
from agent_mem.behaviors.guarded import resolved
from agent_mem.behaviors.listening import Listener, filters
from agent_mem.behaviors.slots import LOST
from agent_mem.behaviors.solving import known_as
from agent_mem.config import Settings
from agent_mem.errors import ActionFailed, InvalidInput
from agent_mem.records.record import now, uuid7
from agent_mem.records.run import Run, run_id
from agent_mem.records.solution import Solution
from agent_mem.records.work import Work
from agent_mem.server import opening

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


async def test_a_lease_that_runs_out_is_noticed_where_nothing_else_happens(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "SWEEP", 0.5)
    by_hand = behavior(app, "b")
    async with scheduled(app):
        await app.store.put(
            by_hand,
            Run(
                behavior_id=by_hand.id,
                trigger="manual",
                lease_until=now() + timedelta(seconds=2.5),
                run_by="another machine",
            ),
        )
        (run,) = await ended(app)

    assert (run.status, run.error) == ("failed", LOST)


async def test_a_listener_goes_on_where_the_one_before_it_was_done(app: App, call: Call) -> None:
    listening = behavior(app, "b", trigger_type="event", event_filter={"type": "event"})
    await call("log_event", type="note", content="What the first one hears.")
    first, second = Listener(app.store), Listener(app.store)
    await first.begin()
    assert len(await first.heard([listening])) == 1
    await first.settle()
    await call("log_event", type="note", content="What comes later.")

    await second.begin()
    (slot,) = await second.heard([listening])

    assert slot.input["text"] == "What comes later."


async def test_a_filter_that_this_program_does_not_understand_is_left_alone(app: App) -> None:
    strange = behavior(app, "b", trigger_type="event", event_filter={"type": "smell"})

    assert filters([strange, behavior(app, "c")]) == []


def test_what_recall_does_not_find_is_no_news() -> None:
    change = Work(agent_name="a", action="changed")

    assert not EventFilter(type="work").fits(change)
    assert told(change, []) == {"record": str(change.id), "type": "work", "because": []}


async def test_a_name_that_nobody_knows_is_told() -> None:
    with pytest.raises(ActionFailed, match=r"nobody\.invalid is not known"):
        await resolved("nobody.invalid", 443, private=False)


async def test_what_cannot_be_read_now_is_looked_for_again(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    await execute(app.store, "ALTER TABLE behaviors RENAME TO away")
    async with scheduled(app):
        await until(said(caplog, "no such table"))
        await execute(app.store, "ALTER TABLE away RENAME TO behaviors")
        await app.store.put(behavior(app, "b", trigger_type="daily", schedule=f"{now():%H:%M}"))
        (run,) = await ended(app)

    assert run.status == "complete"


def said(caplog: pytest.LogCaptureFixture, text: str) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        await anyio.lowlevel.checkpoint()
        return text in caplog.text

    return look


async def test_a_lease_that_cannot_be_prolonged_once_is_prolonged_later(
    app: App,
    call: Call,
    gate: tuple[anyio.Event, anyio.Event],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(runner, "BEAT", 0.02)
    await call("register_behavior", name="b", action="wait", agent="a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_b, call)
        await gate[0].wait()
        await execute(app.store, "ALTER TABLE behavior_runs RENAME TO away")
        await until(said(caplog, "a lease cannot be prolonged"))
        await execute(app.store, "ALTER TABLE away RENAME TO behavior_runs")
        gate[1].set()

    (run,) = await runs(app)
    assert run.status == "complete"


async def run_b(call: Call) -> None:
    await call("run_behavior", name="b", agent="a")


async def test_what_waits_for_its_turn_is_not_put_in_line_twice(
    app: App, gate: tuple[anyio.Event, anyio.Event]
) -> None:
    often = behavior(app, "b", action="wait", overlap="queue", **OFTEN)
    await app.store.put(often.model_copy(update={"scheduled_at": now()}))
    async with scheduled(app):
        await gate[0].wait()
        record = str(uuid7())
        failed = Run(
            id=run_id(app.settings.owner, often.id, record),
            behavior_id=often.id,
            trigger="event",
            input={"record": record},
            status="failed",
            error="It broke.",
            retry_at=now(),
        )
        await app.store.put(failed)
        later = now() + timedelta(seconds=2.5)

        async def looked() -> bool:
            """Give it time to look twice."""
            await anyio.lowlevel.checkpoint()
            return now() > later

        await until(looked)
        gate[1].set()

        async def retried() -> bool:
            return any(run.attempt == 2 and run.ended() for run in await runs(app))

        await until(retried)

    assert len([run for run in await runs(app) if run.attempt == 2]) == 1


async def test_an_attempt_is_documented_once_though_it_is_retried(app: App) -> None:
    of = behavior(app, "document", action="document")
    done = Run(
        id=uuid7(), behavior_id=of.id, trigger="manual", input={"problem": "The moon is gone."}
    )
    results = {"fix": {"fixed": True, "solution": "Wait."}}
    task = Task(of, Params(), done, results)

    first, again = [await on_error.document(app, task) for _ in range(2)]

    assert first == again
    solution = await app.store.get(Solution, await known_as(app, "The moon is gone."))
    assert solution
    assert (solution.success_count, solution.usage_count) == (1, 1)


async def test_what_has_to_wait_for_another_machine_is_made_up_for_once(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "GRACE", timedelta(seconds=0.5))
    monkeypatch.setattr(scheduler, "SWEEP", 1.0)
    often = behavior(app, "b", overlap="queue", **OFTEN)
    elsewhere = Run(
        id=uuid7(),
        behavior_id=often.id,
        trigger="schedule",
        status="running",
        started_at=now(),
        lease_until=now() + timedelta(seconds=4),
        run_by="another:1",
    )
    begun = now()
    await app.store.put(often.model_copy(update={"scheduled_at": begun}), elsewhere)

    async with scheduled(app):

        async def complete() -> bool:
            return any(run.status == "complete" for run in await runs(app))

        await until(complete)

    done = [run for run in await runs(app) if run.status == "complete" and run.due_at]
    assert elsewhere.lease_until
    assert all(run.started_at >= elsewhere.lease_until for run in done)
    missed = (elsewhere.lease_until - begun).total_seconds()
    assert len([run for run in done if run.due_at and run.due_at < elsewhere.lease_until]) < missed


@pytest.mark.parametrize("folder", ["there", "n" * 300], ids=["no database", "no name of a file"])
async def test_a_file_that_cannot_be_opened_is_told_of_though_nobody_calls(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    folder: str,
) -> None:
    monkeypatch.setattr(opening, "PATIENCE", 0.0)
    (settings.db.parent / "there").mkdir(parents=True)
    (settings.db.parent / "there" / "m.db").write_text("No database. " * 99, encoding="utf-8")
    strange = settings.model_copy(update={"db": settings.db.parent / folder / "m.db"})

    async with opening.Opening(strange) as opened, anyio.create_task_group() as tasks:
        tasks.start_soon(opened.work)
        await until(said(caplog, "Nothing is done in the background yet"))
        tasks.cancel_scope.cancel()
