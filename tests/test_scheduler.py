"""Behaviors that run by themselves, in this process: times, events, workflows, servers away."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import anyio.lowlevel
import pytest
from conftest import Call
from helpers_sync import line, machine, settle

from agent_mem.app import App
from agent_mem.behaviors import BEHAVIORS, desk
from agent_mem.behaviors.action import Found, Outcome, Task
from agent_mem.behaviors.scheduler import SWEEP, Scheduler
from agent_mem.behaviors.slots import LOST
from agent_mem.records.behavior import Behavior, behavior_id
from agent_mem.records.record import now
from agent_mem.records.run import Run

pytestmark = pytest.mark.anyio

PATIENCE = 30


@asynccontextmanager
async def scheduled(*apps: App) -> AsyncGenerator[None]:
    """Have what is due run, on some machines."""
    async with anyio.create_task_group() as tasks:
        for app in apps:
            tasks.start_soon(Scheduler(app).run)
        yield
        tasks.cancel_scope.cancel()


def behavior(app: App, name: str, **more: Any) -> Behavior:  # noqa: ANN401 - fields
    fields: dict[str, Any] = {
        "agent_name": "a",
        "name": name,
        "action": "analyze",
        "scheduled_at": now() - timedelta(days=3),
        **more,
    }
    return Behavior(id=behavior_id(app.store.owner, "a", name), **fields)


async def runs(app: App, name: str = "b") -> list[Run]:
    key = behavior_id(app.store.owner, "a", name)
    return await app.store.find(Run, "behavior_runs.of_behavior", behavior_id=key, limit=999)


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(PATIENCE):
        while not await look():  # noqa: ASYNC110 - others write
            await anyio.sleep(0.02)


async def ended(app: App, count: int = 1, name: str = "b") -> list[Run]:
    """Wait until a behavior has had so many runs, and none is under way or to be tried again."""

    async def look() -> bool:
        found = await runs(app, name)
        return len(found) >= count and all(r.ended() and not r.retry_at for r in found)

    await until(look)
    return await runs(app, name)


async def test_a_machine_that_slept_for_days_does_what_is_daily_once(app: App) -> None:
    await app.store.put(behavior(app, "b", trigger_type="daily", schedule=f"{now():%H:%M}"))

    async with scheduled(app):
        (run,) = await ended(app)
    async with scheduled(app):  # another server, later
        await app.store.put(behavior(app, "c", trigger_type="daily", schedule=f"{now():%H:%M}"))
        await ended(app, name="c")

    assert (run.status, run.trigger) == ("complete", "daily")
    assert run.due_at
    assert run.due_at <= now()
    assert len(await runs(app)) == 1


async def test_what_is_registered_while_a_server_runs_is_heard_of_before_the_next_sweep(
    app: App, call: Call
) -> None:
    heard = behavior(app, "heard", trigger_type="event", event_filter={"type": "event"})
    await app.store.put(heard)
    async with scheduled(app), scheduled(app):  # the second one waits for its turn
        await call("log_event", content="It looks, and nothing is due at any time.", type="error")
        await ended(app, name="heard")
        often = behavior(app, "b", trigger_type="schedule", schedule="* * * * * *")
        await app.store.put(often.model_copy(update={"scheduled_at": now(), "overlap": "queue"}))
        with anyio.fail_after(2 * SWEEP / 3):
            found = await ended(app, 3)

    times = sorted(run.due_at for run in found if run.due_at)
    assert times[1] - times[0] == times[2] - times[1] == timedelta(seconds=1)
    assert {run.status for run in found} == {"complete"}


async def test_a_behavior_that_is_switched_off_or_manual_is_left_alone(app: App) -> None:
    every = {"trigger_type": "schedule", "schedule": "* * * * * *"}
    await app.store.put(
        behavior(app, "off", enabled=False, **every),
        behavior(app, "manual"),
        behavior(app, "b", trigger_type="daily", schedule=f"{now():%H:%M}"),
    )

    async with scheduled(app):
        await ended(app)

    assert await runs(app, "off") == await runs(app, "manual") == []


async def test_a_new_record_that_fits_runs_a_behavior_once(app: App, call: Call) -> None:
    heard = {"type": "event", "kind": "error", "importance": 0.7, "tag": "db", "project": "shop"}
    await app.store.put(behavior(app, "b", trigger_type="event", event_filter=heard))
    fits: dict[str, Any] = {"type": "error", "importance": 0.9, "tags": ["db"], "project": "shop"}
    async with scheduled(app):
        for other in ({"type": "note"}, {"importance": 0.5}, {"tags": ["x"]}, {"project": "bank"}):
            await call("log_event", content="Another.", **fits | other)
        logged = await call("log_event", content="The disk is full.", **fits)
        (run,) = await ended(app)
        await call("log_event", content="Again.", **fits)
        await ended(app, 2)
    async with scheduled(app):  # another server hears of the same once more
        await call("log_event", content="A third.", **fits)
        found = await ended(app, 3)

    assert run.input["record"] == logged["id"]
    assert run.input["text"] == "The disk is full."
    assert (run.trigger, run.status) == ("event", "complete")
    assert len(found) == 3


async def test_what_was_there_before_a_behavior_listens_is_no_news(app: App, call: Call) -> None:
    await call("remember", content="Tea is at four.", topic="tea")
    listening = behavior(app, "b", trigger_type="event", event_filter={"type": "memory"})
    await app.store.put(listening.model_copy(update={"scheduled_at": now()}))
    async with scheduled(app):
        new = await call("remember", content="Tea is at five.", topic="tea")
        (run,) = await ended(app)

    assert run.input["record"] == new["id"]


async def test_a_behavior_does_not_hear_itself(app: App, call: Call) -> None:
    await call("log_event", type="error", content="It leaks.")
    await app.store.put(
        behavior(app, "b", trigger_type="event", event_filter={"type": "insight"}),
        behavior(app, "c", trigger_type="daily", schedule=f"{now():%H:%M}"),
    )
    async with scheduled(app):
        await ended(app, name="c")
        (run,) = await ended(app)
        await call("log_event", type="note", content="Anything.")

    assert run.output["errors"] == 1
    insights = await app.store.rows(
        "insights.promotable", least=0, since=now() - timedelta(1), project=None, limit=9
    )
    # Both found the same; the insight of `b` itself was no news to it.
    assert len(insights) == 2
    assert len(await runs(app)) == 1


async def test_behaviors_that_listen_to_each_other_do_not_go_round_for_ever(
    app: App, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = count()

    async def talk(_: App, __: Task) -> Outcome:
        await anyio.lowlevel.checkpoint()
        return Outcome({}, [Found("talk", f"This is new: {next(numbers)}.", 0.9)])

    monkeypatch.setitem(BEHAVIORS, "talk", talk)
    heard = {"trigger_type": "event", "event_filter": {"type": "insight"}, "action": "talk"}
    await app.store.put(
        behavior(app, "b", **heard),
        behavior(app, "other", **heard),
        behavior(app, "c", trigger_type="daily", schedule=f"{now():%H:%M}", action="talk"),
    )
    async with scheduled(app):
        await ended(app, 2)
        await ended(app, 2, name="other")
        await app.store.put(
            behavior(app, "last", trigger_type="event", event_filter={"type": "event"})
        )
        await call("log_event", type="note", content="What is heard after all that.")
        await ended(app, name="last")

    # Each heard what `c` found, and what the other found because of it: no more.
    assert len(await runs(app)) == len(await runs(app, "other")) == 2


async def test_a_run_that_was_broken_off_has_failed_with_the_reason_and_is_done_again(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = anyio.Event()

    async def endless(_: App, __: Task) -> Outcome:
        if begun.is_set():
            return Outcome({}, [])
        begun.set()
        await anyio.sleep_forever()
        raise AssertionError

    monkeypatch.setitem(BEHAVIORS, "endless", endless)
    daily = behavior(app, "b", trigger_type="daily", schedule=f"{now():%H:%M}", action="endless")
    await app.store.put(daily.model_copy(update={"backoff_s": 0}))
    async with scheduled(app):
        await begun.wait()
    (broken,) = await runs(app)

    async with scheduled(app):
        found = await ended(app, 2)

    assert broken.status == "running"
    assert [(r.attempt, r.status, r.error) for r in found] == [
        (2, "complete", None),
        (1, "failed", LOST),
    ]
    assert found[0].id == broken.id == found[1].attempt_of


async def test_an_action_with_a_bug_fails_and_takes_nothing_with_it(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_: App, __: Task) -> Outcome:
        await anyio.lowlevel.checkpoint()
        raise ZeroDivisionError

    monkeypatch.setitem(BEHAVIORS, "broken", broken)
    time = {"trigger_type": "daily", "schedule": f"{now():%H:%M}"}
    await app.store.put(behavior(app, "b", action="broken", retries=0, **time))
    async with scheduled(app):
        (run,) = await ended(app)
        await app.store.put(behavior(app, "c", **time))
        (other,) = await ended(app, name="c")

    assert (run.status, run.error) == ("failed", "It has a bug: ZeroDivisionError.")
    assert other.status == "complete"
    assert "The behavior `b` has a bug." in caplog.text


async def test_of_two_machines_with_a_server_one_runs_what_is_due(one: App, two: App) -> None:
    for app in (one, two):
        await settle(app)
    await one.store.put(behavior(one, "b", trigger_type="daily", schedule=f"{now():%H:%M}"))
    await settle(one, two)

    async def either() -> bool:
        found = [run for app in (one, two) for run in await runs(app)]
        return any(run.ended() for run in found)

    async with scheduled(one, two):
        await until(either)
        await settle(one, two)
        (mine,), (theirs,) = await ended(one), await ended(two)

    assert mine.model_dump(exclude={"ver"}) == theirs.model_dump(exclude={"ver"})
    assert mine.status == "complete"


async def test_without_the_server_what_is_safe_to_run_twice_runs_and_the_rest_waits_for_it(
    tmp_path: Path, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "PAUSE", 0.2)
    done: list[UUID] = []

    async def call_out(_: App, task: Task) -> Outcome:
        await anyio.lowlevel.checkpoint()
        done.append(task.behavior.id)
        return Outcome({}, [Found("t", "It was called.", 0.5)])

    monkeypatch.setitem(BEHAVIORS, "webhook", call_out)
    monkeypatch.setattr("agent_mem.behaviors.catalog.PARAMS", {})
    async with line(server_url) as way, machine(tmp_path / "one", way.url) as app:
        await settle(app)
        way.close()
        time = {"trigger_type": "daily", "schedule": f"{now():%H:%M}"}
        await app.store.put(
            behavior(app, "b", **time), behavior(app, "out", action="webhook", **time)
        )
        async with scheduled(app):
            (run,) = await ended(app)
            assert await runs(app, "out") == []
            assert done == []
            way.open()
            (late,) = await ended(app, name="out")

    assert (run.status, late.status) == ("complete", "complete")
    assert run.ver is None
    assert late.ver
    assert len(done) == 1


async def test_what_ends_while_the_server_is_away_is_kept_and_told_later(
    tmp_path: Path, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = anyio.Event(), anyio.Event()

    async def slow(_: App, __: Task) -> Outcome:
        begun.set()
        await go_on.wait()
        return Outcome({"done": True}, [Found("t", "It is done.", 0.5)])

    monkeypatch.setitem(BEHAVIORS, "slow", slow)
    async with (
        line(server_url) as way,
        machine(tmp_path / "one", way.url) as app,
        machine(tmp_path / "two", server_url) as other,
    ):
        await settle(app)
        time = {"trigger_type": "daily", "schedule": f"{now():%H:%M}"}
        await app.store.put(behavior(app, "b", action="slow", **time))
        async with scheduled(app):
            await begun.wait()
            way.close()
            go_on.set()
            await ended(app)
        way.open()
        await settle(app, other)
        (told,) = await runs(other)

        assert (told.status, told.output) == ("complete", {"done": True})
        rows = await other.store.rows("insights.promotable", **EVERYTHING)
        assert [row["content"] for row in rows] == ["It is done."]


EVERYTHING: dict[str, Any] = {
    "least": 0,
    "since": now() - timedelta(days=1),
    "project": None,
    "limit": 9,
}
