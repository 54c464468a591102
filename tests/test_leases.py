"""Who runs what is due: one claim wins, on a file and on a server alike."""

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from typing import Any

import pytest
from helpers_engines import stored

from agent_mem.behaviors.action import Found, Outcome
from agent_mem.behaviors.slots import (
    LOST,
    Ended,
    Slot,
    claiming,
    ending,
    losing,
    mirroring,
    renewing,
    retry,
    slot_key,
)
from agent_mem.config import Settings
from agent_mem.errors import BehaviorBusy, ServerRefused
from agent_mem.records.behavior import Behavior
from agent_mem.records.insight import Insight
from agent_mem.records.record import now, uuid7
from agent_mem.records.run import Run
from agent_mem.storage.postgres import Postgres
from agent_mem.storage.sqlite import SQLite
from agent_mem.storage.statements import Statement, Transaction
from agent_mem.storage.store import Store

pytestmark = pytest.mark.anyio

DUE = datetime.fromisoformat("2026-05-01T09:00:00+00:00")
FINE = Ended(Outcome({"n": 1}, []), None, [])
BROKEN = Ended(Outcome({}, []), "It broke.", [])


@pytest.fixture(params=["file", "server"])
async def store(request: pytest.FixtureRequest, settings: Settings) -> AsyncGenerator[Store]:
    if request.param == "file":
        async with SQLite.open(settings.db) as here:
            yield stored(here)
    else:
        url: str = request.getfixturevalue("server_url")
        async with Postgres.open(url, "me") as there:
            yield stored(there)


def behavior(**more: Any) -> Behavior:  # noqa: ANN401 - fields
    fields: dict[str, Any] = {"agent_name": "a", "name": "b", "action": "analyze", **more}
    return Behavior(**fields)


def slot(of: Behavior, due_at: datetime = DUE) -> Slot:
    return Slot(of, slot_key(due_at), "schedule", due_at)


async def claim(store: Store, wanted: Slot, by: str = "me:1") -> Run | None:
    written = await store.engine.write(claiming(store, wanted, by))
    found = written[0] if written else None
    assert found is None or isinstance(found, Run)
    return found


async def begun(store: Store, wanted: Slot, by: str = "me:1") -> Run:
    found = await claim(store, wanted, by)
    assert found
    return found


async def end(store: Store, run: Run, ended: Ended, of: Behavior) -> Run | None:
    written = await store.engine.write(ending(store, of, run, ended))
    return written[0] if written else None  # pyright: ignore[reportReturnType] - the first is a run


async def outdated(store: Store, run: Run) -> None:
    """Have the lease of a run be over."""
    await store.put(run.model_copy(update={"lease_until": now() - timedelta(seconds=1)}))


async def kept(store: Store, of: Behavior) -> list[Run]:
    return await store.find(Run, "behavior_runs.of_behavior", behavior_id=of.id, limit=99)


async def test_what_is_due_is_claimed_once(store: Store) -> None:
    daily = behavior()

    first, second = await claim(store, slot(daily)), await claim(store, slot(daily), "other:2")

    assert first
    assert second is None
    assert (first.status, first.due_at, first.attempt) == ("running", DUE, 1)
    done = await end(store, first, FINE, daily)
    assert done
    assert (done.status, done.output, done.lease_until) == ("complete", {"n": 1}, None)
    assert done.duration_ms is not None
    assert await claim(store, slot(daily)) is None
    assert [run.id for run in await kept(store, daily)] == [first.id]


async def test_two_due_times_are_two_runs(store: Store) -> None:
    daily = behavior()
    first = await begun(store, slot(daily))
    await end(store, first, FINE, daily)

    second = await begun(store, slot(daily, DUE + timedelta(days=1)))

    assert first.id != second.id


async def test_what_is_due_while_the_run_before_goes_on_is_skipped_for_good(store: Store) -> None:
    daily = behavior()
    first, later = await begun(store, slot(daily)), slot(daily, DUE + timedelta(seconds=1))

    assert await claim(store, later) is None
    await end(store, first, FINE, daily)

    assert await claim(store, later) is None
    assert {run.status for run in await kept(store, daily)} == {"complete", "skipped"}


async def test_or_it_waits_where_that_is_the_rule(store: Store) -> None:
    daily = behavior(overlap="queue")
    first, later = await begun(store, slot(daily)), slot(daily, DUE + timedelta(seconds=1))

    with pytest.raises(BehaviorBusy):
        await claim(store, later)
    await end(store, first, FINE, daily)

    assert await claim(store, later)


async def test_a_run_that_failed_is_tried_again_after_its_pause_and_each_attempt_is_kept(
    store: Store,
) -> None:
    daily = behavior(backoff_s=0, retries=1)
    await end(store, await begun(store, slot(daily)), BROKEN, daily)

    again = await begun(store, slot(daily))
    failed = await end(store, again, BROKEN, daily)

    assert again.attempt == 2
    assert failed
    assert failed.retry_at is None
    assert await claim(store, slot(daily)) is None
    runs = await kept(store, daily)
    assert [(r.attempt, r.status, r.error, r.attempt_of) for r in runs] == [
        (2, "failed", "It broke.", None),
        (1, "failed", "It broke.", again.id),
    ]


async def test_it_is_not_tried_again_before(store: Store) -> None:
    daily = behavior(backoff_s=60)

    failed = await end(store, await begun(store, slot(daily)), BROKEN, daily)

    assert failed
    assert failed.retry_at
    assert failed.ended_at
    assert failed.retry_at - failed.ended_at == timedelta(seconds=60)
    assert await claim(store, slot(daily)) is None


@pytest.mark.parametrize(
    ("attempt", "backoff", "seconds"), [(1, 10, 10), (2, 10, 20), (4, 10, 80), (9, 3600, 3600)]
)
def test_each_attempt_waits_twice_as_long_but_no_more_than_an_hour(
    attempt: int, backoff: int, seconds: int
) -> None:
    run = Run(behavior_id=uuid7(), trigger="daily", attempt=attempt)

    again = retry(behavior(backoff_s=backoff, retries=10), run, DUE)

    assert again == DUE + timedelta(seconds=seconds)


def test_nobody_tries_again_what_an_agent_ran() -> None:
    assert retry(behavior(), Run(behavior_id=uuid7(), trigger="manual"), DUE) is None


async def test_a_run_whose_lease_is_over_has_failed_with_the_reason_and_is_tried_again(
    store: Store,
) -> None:
    daily = behavior(backoff_s=0)
    first = await begun(store, slot(daily))
    assert await store.engine.write(losing(store, daily, first, None)) == []
    await outdated(store, first)

    (lost,) = await store.engine.write(losing(store, daily, first, None))
    again = await begun(store, slot(daily), "other:2")

    assert isinstance(lost, Run)
    assert (lost.status, lost.error) == ("failed", LOST)
    assert again.attempt == 2
    assert await end(store, first, FINE, daily) is None  # it was only slow: too late
    assert await end(store, again, FINE, daily)
    assert [r.status for r in await kept(store, daily)] == ["complete", "failed"]


async def test_the_runs_of_a_runner_that_is_known_to_be_gone_are_lost_at_once(store: Store) -> None:
    daily = behavior()
    first = await begun(store, slot(daily), "file:1")
    (listed,) = await store.find(Run, "behavior_runs.lost", now=now(), gone="file:")

    assert await store.engine.write(losing(store, daily, first, "another:")) == []
    (lost,) = await store.engine.write(losing(store, daily, listed, "file:"))

    assert isinstance(lost, Run)
    assert lost.retry_at
    assert await store.engine.write(losing(store, daily, first, "file:")) == []


async def test_the_run_of_a_behavior_that_is_gone_is_not_tried_again(store: Store) -> None:
    first = await begun(store, slot(behavior()))
    await outdated(store, first)

    (lost,) = await store.engine.write(losing(store, None, first, None))

    assert isinstance(lost, Run)
    assert lost.retry_at is None


async def test_a_lease_is_prolonged_by_its_holder_only(store: Store) -> None:
    first = await begun(store, slot(behavior()))
    await outdated(store, first)

    (longer,) = await store.engine.write(renewing(store, first))
    other = first.model_copy(update={"run_by": "other:2"})

    assert isinstance(longer, Run)
    assert longer.lease_until
    assert longer.lease_until > now()
    assert await store.engine.write(renewing(store, other)) == []


async def test_what_was_found_is_written_with_the_end_and_once(store: Store) -> None:
    daily = behavior()
    found = Insight(
        agent_name="a", behavior_id=daily.id, run_id=uuid7(), topic="t", content="It leaks."
    )
    for number in range(2):
        run = await begun(store, slot(daily, DUE + timedelta(hours=number)))
        written = await store.engine.write(
            ending(store, daily, run, Ended(Outcome({}, [Found("t", "c", 1)]), None, [found]))
        )
        assert len(written) == 2 - number

    assert await store.get(Insight, found.id)


async def test_a_behavior_shows_how_its_last_run_went(store: Store) -> None:
    daily = behavior()
    await store.put(daily)
    run = await begun(store, slot(daily))
    running = await store.get(Behavior, daily.id)
    await end(store, run, Ended(Outcome({}, [], "needs_agent"), None, []), daily)
    idle = await store.get(Behavior, daily.id)

    assert running
    assert idle
    assert (running.status, idle.status) == ("running", "idle")
    assert idle.last_run
    assert idle.hlc == running.hlc  # no change of the record: none is lost by it


async def test_what_the_server_decided_is_in_the_file_at_once(
    settings: Settings, canonical: Postgres
) -> None:
    there, daily = stored(canonical), behavior()
    async with SQLite.open(settings.db) as engine:
        here = stored(engine)
        await here.put(daily)
        written = await there.engine.write(claiming(there, slot(daily), "me:1"))

        await engine.write(mirroring(here, written))

        (run,) = await kept(here, daily)
        assert run == written[0]
        (waiting,) = await here.rows("local.waiting")
        assert waiting["n"] == 1  # the behavior: what came from the server is not sent back


async def test_a_server_that_asks_for_newer_writers_is_not_written(canonical: Postgres) -> None:
    store = stored(canonical)

    def newer() -> Transaction[None]:
        yield Statement("UPDATE feed SET min_writer = 99 WHERE owner = :owner", {"owner": "me"})

    await store.engine.write(newer())
    with pytest.raises(ServerRefused):
        await claim(store, slot(behavior()))
