"""What cannot be taken from the server is set aside, shown, and taken once it can be."""

import pytest
from helpers_postgres import Cluster
from helpers_sync import (
    aside,
    clock,
    losers,
    restore,
    row,
    run,
    stored,
    sync,
    syncer,
    waiting,
)

from agent_mem.app import App
from agent_mem.records.behavior import Behavior
from agent_mem.records.memory import Memory
from agent_mem.records.record import uuid7
from agent_mem.storage.sync.standing import place, standing

pytestmark = pytest.mark.anyio

FERRY = Memory(agent_name="a", content="The ferry leaves at six.")
FUTURE = "is from the future: its clock is a day ahead of the server's, or more"


def others(count: int) -> list[Memory]:
    return [FERRY.model_copy(update={"id": uuid7()}) for _ in range(count)]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("kind = 'odd'", "has a wrong 'kind': "),
        ("content = ' '", "has a wrong 'content': is blank: say something"),
        ("created_at = '20000-01-01'", "has a wrong 'created_at': is not a date"),
        ("created_at = '0044-03-15 BC'", "has a wrong 'created_at': is not a date"),
        ("occurred_at = 'infinity'", "has a wrong 'occurred_at': is not a date"),
        ("extra = (repeat('[', 3000) || repeat(']', 3000))::jsonb", "has a wrong ''"),
    ],
)
async def test_a_row_that_cannot_be_read_is_set_aside_and_the_others_are_taken(
    one: App, two: App, cluster: Cluster, name: str, *, change: str, why: str
) -> None:
    rows = others(5)
    await one.store.put(*rows)
    await sync(one)
    cluster.sql(f"UPDATE agent_mem.memories SET {change} WHERE id = '{rows[2].id}'", name)  # noqa: S608 - ours

    assert await sync(two) == [(0, 4)]

    (error,) = await aside(two)
    assert error.startswith(why)
    told = await two.store.engine.read(standing(two.store))
    assert (told["aside"], told["refused"]) == (1, 0)
    assert told["set_aside"] == [f"memories {rows[2].id}: {error}"]
    assert await sync(two) == [(0, 0)]

    # Whoever wrote it writes it again, and it is taken without being asked for.
    await one.store.put(await stored(one, rows[2]))
    assert await sync(one, two) == [(1, 0), (0, 1)]
    assert await aside(two) == []


async def test_a_row_from_the_future_is_set_aside_until_it_is_one_no_more(
    one: App, two: App, cluster: Cluster, name: str
) -> None:
    soon, late = others(2)
    with clock(23 * 3600):
        await one.store.put(soon)
    with clock(25 * 3600):
        await one.store.put(late)
    await sync(one)

    assert await sync(two) == [(0, 1)]
    assert await row(two, soon)
    assert await row(two, late) is None
    assert await aside(two) == [FUTURE]
    await two.store.put(await stored(two, soon))
    assert (await stored(two, soon)).hlc < (await stored(one, late)).hlc  # not infected

    assert await syncer(two).retry() == 1
    assert await aside(two) == []
    await sync(two)
    assert await aside(two) == [FUTURE]

    # As it is a day later.
    cluster.sql("UPDATE agent_mem.memories SET hlc = hlc - (7200000::bigint << 16)", name)
    assert await syncer(two).retry() == 1
    await sync(two)
    assert await row(two, late)
    assert await aside(two) == []


async def test_a_row_that_the_file_refuses_is_set_aside_on_both_sides(one: App, two: App) -> None:
    mine, theirs = [Behavior(agent_name="a", name="same", action="reflect") for _ in range(2)]
    more = [Behavior(agent_name="a", name=str(n), action="reflect") for n in range(6)]
    await one.store.put(*more[:3], mine, *more[3:])
    await two.store.put(theirs)

    assert await sync(one, two) == [(7, 0), (0, 6)]
    (error,) = await aside(two)
    assert "UNIQUE constraint failed" in error
    (refused,) = await two.store.rows("sync.refused", limit=9)
    assert refused["id"] == str(theirs.id)
    assert [await row(two, record) is None for record in more] == [False] * 6
    assert await sync(two) == [(0, 0)]

    await run(two.store, "DELETE FROM behaviors WHERE id = :id", id=theirs.id)
    assert await syncer(two).retry() == 2
    assert await sync(two) == [(0, 1)]
    assert await row(two, mine)


async def test_the_only_new_row_is_set_aside_once_if_the_file_refuses_it(
    one: App, two: App
) -> None:
    mine, theirs = [Behavior(agent_name="a", name="same", action="reflect") for _ in range(2)]
    await one.store.put(mine)
    await two.store.put(theirs)

    assert await sync(one, two) == [(1, 0), (0, 0)]
    assert len(await aside(two)) == 1
    assert await sync(two) == [(0, 0)]


async def test_a_row_here_that_cannot_be_read_gives_way_to_a_later_one(one: App, two: App) -> None:
    await one.store.put(FERRY)
    await sync(one, two)
    await run(two.store, "UPDATE memories SET kind = 'odd'")
    await one.store.put(await stored(one, FERRY))

    assert await sync(one, two) == [(1, 0), (0, 1)]
    assert (await stored(two, FERRY)).model_dump()["kind"] == "fact"


async def test_a_server_row_that_cannot_be_read_does_not_have_ours_sent_for_ever(
    one: App, two: App, cluster: Cluster, name: str
) -> None:
    await one.store.put(FERRY)
    await sync(one, two)
    cluster.sql("UPDATE agent_mem.memories SET kind = 'odd', hlc = hlc + (1::bigint << 40)", name)
    await two.store.put(await stored(two, FERRY))

    assert await sync(two) == [(0, 0)]

    assert len(await aside(two)) == 1
    (entry,) = await waiting(two)
    assert entry["next_at"] is not None


async def test_beginning_anew_forgets_what_was_set_aside(
    one: App, two: App, cluster: Cluster, name: str
) -> None:
    await one.store.put(FERRY)
    await sync(one)
    cluster.sql("UPDATE agent_mem.memories SET kind = 'odd'", name)
    await sync(two)
    assert len(await aside(two)) == 1
    cluster.sql("DELETE FROM agent_mem.memories; DELETE FROM agent_mem.feed", name)

    await sync(two)

    assert await aside(two) == []
    assert await syncer(two).retry() == 0


async def test_an_import_of_what_others_have_too_is_no_conflict(one: App, two: App) -> None:
    await one.store.put(FERRY)
    archived = await stored(one, FERRY)
    await one.store.put(archived.model_copy(update={"content": "It leaves at seven."}))
    await sync(one)
    assert await restore(two, archived)

    assert await sync(two) == [(0, 1)]

    assert (await stored(two, FERRY)).model_dump()["content"] == "It leaves at seven."
    assert await losers(two) == []
    assert await waiting(two) == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@db.example:5432/team", "db.example/team"),
        ("postgresql://me@db.example/team?password=secret", "db.example/team"),
        ("postgresql:///team", "localhost/team"),
        ("postgresql://me:se/cret@db.example/team", "an address that makes no sense"),
        ("postgresql://me:se?cret@db.example/team", "an address that makes no sense"),
        ("postgresql://me:se#cret@db.example/team", "an address that makes no sense"),
        ("postgresql://me:se[cret@db.example/team", "an address that makes no sense"),
    ],
)
def test_a_server_is_named_without_its_password(url: str, shown: str) -> None:
    assert place(url) == shown
