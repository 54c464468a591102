"""What one machine writes, the others have: whole, once, and with what lost a conflict kept."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import anyio
import pytest
from conftest import calling
from helpers_drawn import records
from helpers_sync import (
    aside,
    clock,
    losers,
    machine,
    restore,
    row,
    run,
    settle,
    stored,
    sync,
    waiting,
)
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as how
from hypothesis import strategies as st

from agent_mem.app import App
from agent_mem.records import RECORDS
from agent_mem.records.decision import Decision
from agent_mem.records.event import Event
from agent_mem.records.loser import Loser
from agent_mem.records.memory import Memory
from agent_mem.records.record import Record, now, uuid7
from agent_mem.records.task import Task
from agent_mem.storage.postgres import Postgres
from agent_mem.storage.store import Store
from agent_mem.storage.sync.outgoing import matters, pushing
from agent_mem.storage.sync.syncer import unindexed

pytestmark = pytest.mark.anyio

FERRY = Memory(agent_name="a", content="The ferry leaves at six.", topic="harbour")
HIGHEST, LOWEST = UUID(int=2**128 - 1), UUID(int=1)
TODAY = 117_000_000_000_000_000
"""A clock value of not long ago."""


@pytest.fixture
async def three(tmp_path: Path, server_url: str) -> AsyncGenerator[App]:
    async with machine(tmp_path / "three", server_url) as app:
        yield app


async def said(app: App, record: Record) -> dict[str, object]:
    """Read a row, but for the version that the server gave it."""
    return (await stored(app, record)).model_dump(exclude={"ver"})


async def rewrite(app: App, record: Memory, content: str) -> None:
    """Write a memory again with another text."""
    mine = await stored(app, record)
    await app.store.put(mine.model_copy(update={"content": content}))


async def content(app: App, record: Memory) -> str:
    return (await said(app, record))["content"]  # pyright: ignore[reportReturnType] - a memory's


@how(
    max_examples=40,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(drawn=st.lists(st.sampled_from(RECORDS).flatmap(records), min_size=1, max_size=30))
async def test_a_record_of_any_kind_travels_with_all_its_fields(
    one: App, two: App, drawn: list[Record]
) -> None:
    mine = [record.model_copy(update=alone(record)) for record in drawn]
    await one.store.put(*mine)
    await sync(one, two)

    for record in mine:
        if matters(record):
            assert await said(two, record) == await said(one, record)


def alone(record: Record) -> dict[str, object]:
    """Make a drawn record one that no other drawn one is in the way of."""
    key = uuid7()
    names: dict[str, object] = {"name": str(key), "problem_signature": str(key), "skill_id": key}
    names |= dict.fromkeys(("latency_ms", "duration_ms", "success_rate"), 0.5)  # not infinite
    return {"id": key, **{n: names[n] for n in names if n in type(record).model_fields}}


async def test_the_ends_of_what_can_be_written_travel(one: App, two: App) -> None:
    for number in (5e-324, 1.7976931348623157e308, -0.1, 1 / 3):
        record = Decision(agent_name="a", question="?", selected=["x"], latency_ms=number)
        await one.store.put(record)
        await sync(one, two)
        assert await said(two, record) == await said(one, record)
    assert await aside(two) == []


async def test_what_was_remembered_here_is_found_there_and_its_listeners_hear_of_it(
    one: App, two: App
) -> None:
    done = await calling(one)("remember", content="The ferry leaves at six.", topic="harbour")
    (before,) = await two.store.rows("local.last_change")
    await sync(one, two)

    found = await calling(two)("recall", query="When does the ferry leave?")
    assert [hit["id"] for hit in found["hits"]] == [done["id"]]
    changed = await two.store.rows("local.changed_since", n=before["n"])
    told = {change["uri"] for change in changed}
    assert {f"memory://item/{done['id']}", "memory://topics/harbour"} <= told


async def test_what_is_forgotten_here_is_not_found_there(one: App, two: App) -> None:
    done = await calling(one)("remember", content="The ferry leaves at six.")
    await sync(one, two)
    assert "hits" in await calling(two)("recall", query="ferry")

    await calling(two)("forget", id=done["id"])
    await sync(two, one)

    assert "hits" not in await calling(one)("recall", query="ferry")
    mine, theirs = [
        await row(app, FERRY.model_copy(update={"id": UUID(done["id"])})) for app in (one, two)
    ]
    assert mine
    assert theirs
    assert mine.deleted_at == theirs.deleted_at
    assert mine.deleted_at is not None


async def test_a_pass_after_which_nothing_was_written_moves_nothing(one: App, two: App) -> None:
    await one.store.put(FERRY)
    assert await sync(one, two) == [(1, 0), (0, 1)]
    logs = await one.store.rows("memory_sync_log.latest", limit=9)

    assert await sync(one, two, one, two) == [(0, 0)] * 4
    assert await waiting(one) == await waiting(two) == []
    assert len(await one.store.rows("memory_sync_log.latest", limit=9)) == len(logs) + 1  # theirs


async def test_a_row_whose_acknowledgement_was_lost_is_sent_once_in_effect(
    one: App, two: App, canonical: Postgres
) -> None:
    server = Store(canonical, "me", unindexed)
    await one.store.put(FERRY)
    await canonical.write(pushing(server, [await stored(one, FERRY)]))
    assert len(await waiting(one)) == 1

    assert await sync(one) == [(0, 0)]
    assert await waiting(one) == []
    assert (await stored(one, FERRY)).ver == 1
    assert await sync(two) == [(0, 1)]
    assert await losers(one) == await losers(two) == []


async def test_a_row_that_was_changed_before_its_acknowledgement_was_read_travels_as_it_is_now(
    one: App, two: App, canonical: Postgres
) -> None:
    server = Store(canonical, "me", unindexed)
    await one.store.put(FERRY)
    await canonical.write(pushing(server, [await stored(one, FERRY)]))
    await rewrite(one, FERRY, "The ferry leaves at seven.")

    assert await sync(one, two) == [(1, 0), (0, 1)]
    assert await said(two, FERRY) == await said(one, FERRY)
    assert await content(two, FERRY) == "The ferry leaves at seven."
    assert await losers(one) == await losers(two) == []  # nobody else had written it


async def test_what_is_written_on_the_server_itself_reaches_the_machines(
    one: App, two: App, canonical: Postgres
) -> None:
    await Store(canonical, "me", unindexed).put(FERRY)

    assert await sync(one, two) == [(0, 1), (0, 1)]
    assert await said(one, FERRY) == await said(two, FERRY)


async def test_of_two_changes_the_later_wins_everywhere_and_the_other_is_kept(
    one: App, two: App, three: App, canonical: Postgres
) -> None:
    await one.store.put(FERRY)
    await sync(one, two, three)
    await rewrite(one, FERRY, "It leaves at seven.")
    await rewrite(two, FERRY, "It leaves at eight.")
    lost, won = await stored(one, FERRY), await stored(two, FERRY)
    assert lost.hlc < won.hlc

    await settle(one, two, three)

    server = Store(canonical, "me", unindexed)
    for store in (one.store, two.store, three.store, server):
        kept = await store.get(Memory, FERRY.id)
        assert kept
        assert kept.content == "It leaves at eight."
        assert (kept.hlc, kept.origin) == (won.hlc, won.origin)
        (loser,) = await store.find(
            Loser, "record_history.of_record", record="memories", record_id=FERRY.id, limit=9
        )
        assert loser.body["content"] == "It leaves at seven."
        assert loser.body["hlc"] == lost.hlc
        assert loser.reason == f"A later change of {won.updated_at:%Y-%m-%d %H:%M:%S} UTC won."


@pytest.mark.parametrize("first", [0, 1])
async def test_a_conflict_is_decided_alike_whoever_syncs_first(
    one: App, two: App, first: int
) -> None:
    await one.store.put(FERRY)
    await sync(one, two)
    await rewrite(one, FERRY, "It leaves at seven.")
    await rewrite(two, FERRY, "It leaves at eight.")

    await settle(*((one, two) if first == 0 else (two, one)))

    assert await content(one, FERRY) == await content(two, FERRY) == "It leaves at eight."
    for app in (one, two):
        assert [loser.body["content"] for loser in await losers(app)] == ["It leaves at seven."]
        assert await waiting(app) == []


async def test_two_that_write_at_the_same_moment_agree_on_one(one: App, two: App) -> None:
    for app, origin, text in ((one, LOWEST, "low"), (two, HIGHEST, "high")):
        stamp = {"owner": "me", "hlc": TODAY, "origin": origin, "content": text}
        assert await restore(app, FERRY.model_copy(update=stamp))

    await settle(one, two)

    assert await said(one, FERRY) == await said(two, FERRY)
    assert await content(one, FERRY) == "high"
    assert [await waiting(app) for app in (one, two)] == [[], []]


async def test_two_that_write_the_same_have_lost_nothing(one: App, two: App) -> None:
    await one.store.put(FERRY)
    await sync(one, two)
    for app in (one, two):
        await rewrite(app, FERRY, "It leaves at seven.")

    await settle(one, two)

    assert await said(one, FERRY) == await said(two, FERRY)
    assert await losers(one) == await losers(two) == []


async def test_a_row_that_the_server_has_later_already_is_taken_from_there_at_once(
    one: App, two: App
) -> None:
    await one.store.put(FERRY)
    await sync(one, two)
    old = await stored(one, FERRY)
    await two.store.put((await stored(two, FERRY)).model_copy(update={"deleted_at": now()}))
    await settle(two, one)
    # As when what was forgotten has been erased here, and an older archive is imported.
    await run(one.store, "DELETE FROM memories WHERE owner = :owner")
    assert await restore(one, old)

    await sync(one)

    assert await said(one, FERRY) == await said(two, FERRY)
    assert (await stored(one, FERRY)).deleted_at is not None
    assert await waiting(one) == []


async def test_what_both_changed_between_pull_and_push_is_a_conflict_too(
    one: App, two: App, canonical: Postgres
) -> None:
    await one.store.put(FERRY)
    await settle(one, two)
    await rewrite(one, FERRY, "It leaves at seven.")
    # The server has the later row, and the cursor of the other machine is beyond it.
    await rewrite(two, FERRY, "It leaves at eight.")
    server = Store(canonical, "me", unindexed)
    await canonical.write(pushing(server, [await stored(two, FERRY)]))
    (head,) = await server.rows("sync.head")
    await one.store.engine.write(
        one.store.asking("sync.note_cursors", cursors={"memories": head["ver"]})
    )

    assert await sync(one) == [(1, 1)]  # what was lost, and what won
    assert await content(one, FERRY) == "It leaves at eight."
    assert [loser.body["content"] for loser in await losers(one)] == ["It leaves at seven."]
    assert await waiting(one) == []


async def test_clocks_two_minutes_apart_do_not_keep_machines_apart(one: App, two: App) -> None:
    with clock(+120):
        await one.store.put(FERRY)
    await sync(one, two)
    await rewrite(two, FERRY, "Changed by who has the slower clock, and has seen the other.")
    await settle(two, one)
    assert await content(one, FERRY) == await content(two, FERRY)
    assert (await content(one, FERRY)).startswith("Changed by")

    with clock(-120):
        await rewrite(one, FERRY, "Once more.")
    await settle(one, two)
    assert await content(one, FERRY) == await content(two, FERRY) == "Once more."
    assert await aside(one) == await aside(two) == await losers(one) == []


async def test_events_that_matter_little_stay_on_their_machine(one: App, two: App) -> None:
    little, enough = (
        Event(agent_name="a", event_type="x", content="Went by.", importance=share)
        for share in (0.29, 0.3)
    )
    await one.store.put(little, enough)

    assert await sync(one, two) == [(1, 0), (0, 1)]
    assert await row(two, little) is None
    assert await row(two, enough)
    assert await row(one, little)
    assert await waiting(one) == []


@pytest.mark.parametrize("count", [499, 500, 501, 1000, 1201])
async def test_more_rows_than_fit_in_a_page_or_a_batch_travel_in_their_order(
    one: App, two: App, canonical: Postgres, count: int
) -> None:
    tasks = [Task(agent_name="a", title=f"Number {n}") for n in range(count)]
    await one.store.put(*tasks)

    assert await sync(one, two) == [(count, 0), (0, count)]

    sql = "SELECT id, ver FROM tasks WHERE owner = :owner ORDER BY ver"
    there = await run(Store(canonical, "me", unindexed), sql)
    assert [there_row["id"] for there_row in there] == sorted(task.id for task in tasks)
    assert [there_row["ver"] for there_row in there] == list(range(1, count + 1))
    for app in (one, two):
        here = await run(app.store, sql)
        assert [(UUID(r["id"]), r["ver"]) for r in here] == [(r["id"], r["ver"]) for r in there]


async def test_two_owners_on_one_server_and_in_one_file_never_mix(
    tmp_path: Path, server_url: str
) -> None:
    async with (
        machine(tmp_path / "one", server_url, owner="ada") as ada,
        machine(tmp_path / "one", server_url, owner="bob") as bob,
        machine(tmp_path / "two", server_url, owner="bob") as far,
    ):
        theirs = Memory(agent_name="a", content="A secret of Ada's.")
        his = Memory(agent_name="a", content="A secret of Bob's.")
        await ada.store.put(theirs)
        await bob.store.put(his)

        assert await sync(ada, bob, far) == [(1, 0), (1, 0), (0, 1)]
        assert await row(far, theirs) is None
        assert (await stored(far, his)).owner == "bob"
        assert await run(far.store, "SELECT 1 FROM memories WHERE owner <> :owner") == []
        assert [len(await waiting(app)) for app in (ada, bob, far)] == [0, 0, 0]


async def test_machines_that_sync_at_the_same_time_all_have_all_in_the_end(
    one: App, two: App, three: App
) -> None:
    apps = (one, two, three)
    for round_ in range(4):
        for n, app in enumerate(apps):
            await app.store.put(Task(agent_name="a", title=f"{n} {round_}"), FERRY)
        async with anyio.create_task_group() as tasks:
            for app in apps:
                tasks.start_soon(sync, app)
    await settle(*apps)

    rows = [await run(app.store, "SELECT id, hlc, title FROM tasks ORDER BY id") for app in apps]
    assert [len(found) for found in rows] == [12, 12, 12]
    assert [tuple(r) for r in rows[0]] == [tuple(r) for r in rows[1]] == [tuple(r) for r in rows[2]]
    assert await said(one, FERRY) == await said(two, FERRY) == await said(three, FERRY)


async def test_what_was_lost_tells_when_it_was_written(one: App, two: App) -> None:
    for app, text in ((one, "early"), (two, "late")):
        await app.store.put(FERRY.model_copy(update={"content": text}))
    early = await stored(one, FERRY)

    await settle(one, two)

    (loser,) = await losers(two)
    assert (loser.record, loser.record_id) == ("memories", FERRY.id)
    assert loser.created_at == early.updated_at
    assert now() - loser.created_at < timedelta(minutes=5)
