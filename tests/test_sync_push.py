"""What the server refuses, what it asks of its writers, and what happens when it has lost rows."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from anyio.to_thread import run_sync
from helpers_postgres import Cluster, analyzed, connected, fetch
from helpers_sync import aside, machine, row, run, settle, stored, sync, syncer, waiting
from helpers_torn import Busy, Torn

from agent_mem.app import App
from agent_mem.errors import ServerRefused, ServerUnreachable
from agent_mem.records.memory import Memory
from agent_mem.records.record import now, uuid7
from agent_mem.records.session import Session
from agent_mem.records.task import Task
from agent_mem.storage import shelf
from agent_mem.storage.postgres import Postgres
from agent_mem.storage.store import Store
from agent_mem.storage.sync import outgoing
from agent_mem.storage.sync.incoming import PAGE
from agent_mem.storage.sync.syncer import synced, unindexed
from agent_mem.storage.sync.tally import Choice, Pass

pytestmark = pytest.mark.anyio

FERRY = Memory(agent_name="a", content="The ferry leaves at six.")
ODD = Memory(agent_name="a", content="It holds what only SQLite keeps.", extra={"odd": "\x00"})


async def refused(app: App) -> dict[UUID, tuple[int, datetime | None, str]]:
    """Tell which rows were refused: how often, until when they wait, and why."""
    rows = await app.store.rows("sync.refused", limit=100)
    at = {r["id"]: r["next_at"] and datetime.fromisoformat(r["next_at"]) for r in rows}
    return {UUID(r["id"]): (r["tries"], at[r["id"]], r["error"]) for r in rows}


async def test_a_row_that_the_server_refuses_is_set_aside_and_the_others_go(
    one: App, two: App
) -> None:
    others = [FERRY.model_copy(update={"id": uuid7()}) for _ in range(300)]
    await one.store.put(*others[:77], ODD, *others[77:])
    before = now()

    assert await sync(one, two) == [(300, 0), (0, 300)]

    ((key, (tries, at, why)),) = (await refused(one)).items()
    assert (key, tries) == (ODD.id, 1)
    assert at
    assert timedelta(minutes=5) <= at - before < timedelta(minutes=6)
    assert why.startswith("PostgreSQL: ")
    assert "\\u0000" in why
    assert [r["id"] for r in await waiting(one)] == [str(ODD.id)]
    assert await sync(one) == [(0, 0)]
    assert (await refused(one))[ODD.id][0] == 1  # not before its time


async def test_of_many_rows_the_planner_learns_if_this_role_may_tell_it(
    one: App,
    cluster: Cluster,
    server_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outgoing, "BATCH", 2)
    monkeypatch.setattr(outgoing, "BATCHES", 1)
    name = server_url.rpartition("/")[2]
    role = f"worker_{name}"
    cluster.worker(role, name)
    many = [FERRY.model_copy(update={"id": uuid7()}) for _ in range(10)]
    async with machine(tmp_path / "worker", cluster.url(name, role)) as other:
        await other.store.put(*many[:5])
        assert await sync(other) == [(5, 0)]
    assert not await analyzed(server_url, "passages")

    await one.store.put(*many[5:])
    assert await sync(one) == [(5, 5)]

    for table in ("passages", "passage_terms"):
        assert await analyzed(server_url, table)


async def test_a_table_that_somebody_else_is_at_is_not_waited_for(
    one: App, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "BATCHES", 1)
    monkeypatch.setattr(outgoing, "BATCH", 2)
    monkeypatch.setattr(shelf, "PATIENCE", 0.1)
    await one.store.put(*(FERRY.model_copy(update={"id": uuid7()}) for _ in range(5)))
    async with connected(server_url) as other, other.transaction():
        await other.execute("LOCK TABLE agent_mem.passages IN SHARE UPDATE EXCLUSIVE MODE")
        assert await sync(one) == [(5, 0)]

    assert not await analyzed(server_url, "passages")


async def test_what_is_refused_again_waits_twice_as_long_and_at_most_a_day(one: App) -> None:
    await one.store.put(ODD)
    for tries in range(1, 12):
        before = now()
        await sync(one)
        found, at, _ = (await refused(one))[ODD.id]
        assert found == tries
        assert at
        minutes = 5 * 2 ** min(tries - 1, 8)
        assert timedelta(0) <= at - before - timedelta(minutes=minutes) < timedelta(seconds=30)
        assert minutes < 24 * 60
        await run(one.store, "UPDATE outbox SET next_at = :then", then=now())


async def test_what_is_refused_goes_once_the_server_takes_it_and_it_is_tried_again(
    one: App, two: App, cluster: Cluster, name: str
) -> None:
    cluster.sql("ALTER TABLE agent_mem.memories ADD CONSTRAINT odd CHECK (content <> 'x')", name)
    short = Memory(agent_name="a", content="x")
    await one.store.put(short, FERRY)
    assert await sync(one) == [(1, 0)]
    assert 'violates check constraint "odd"' in (await refused(one))[short.id][2]

    cluster.sql("ALTER TABLE agent_mem.memories DROP CONSTRAINT odd", name)
    assert await sync(one) == [(0, 0)]
    assert await syncer(one).retry() == 1
    assert await refused(one) == {}

    assert await sync(one, two) == [(1, 0), (0, 2)]
    assert await row(two, short)
    assert await waiting(one) == []


async def test_what_was_refused_and_is_then_mended_goes_at_once(one: App, two: App) -> None:
    await one.store.put(ODD)
    await sync(one)
    await one.store.put((await stored(one, ODD)).model_copy(update={"extra": {}}))

    assert await sync(one, two) == [(1, 0), (0, 1)]
    assert await refused(one) == {}


async def test_a_row_here_that_cannot_be_read_is_set_aside_and_the_others_go(
    one: App, two: App
) -> None:
    broken = FERRY.model_copy(update={"id": uuid7()})
    await one.store.put(FERRY, broken)
    await run(one.store, "UPDATE memories SET kind = 'odd' WHERE id = :id", id=broken.id)

    assert await sync(one, two) == [(1, 0), (0, 1)]

    assert list(await refused(one)) == [broken.id]
    assert (await refused(one))[broken.id][2].startswith("has a wrong 'kind': ")


async def test_a_row_that_was_erased_while_it_waited_waits_no_more(one: App) -> None:
    await one.store.put(FERRY)
    await run(one.store, "DELETE FROM memories WHERE owner = :owner")

    assert await sync(one) == [(0, 0)]
    assert await waiting(one) == []


async def test_a_server_that_asks_for_a_newer_program_is_read_but_not_written(
    one: App, two: App, cluster: Cluster, name: str
) -> None:
    await two.store.put(FERRY)
    await sync(two)
    cluster.sql("UPDATE agent_mem.feed SET min_writer = 2", name)
    mine = Task(agent_name="a", title="Mine")
    await one.store.put(mine)

    for _ in range(2):
        with pytest.raises(ServerRefused, match="asks for a newer agent-mem"):
            await sync(one)
    assert await stored(one, FERRY)
    assert [r["id"] for r in await waiting(one)] == [str(mine.id)]
    assert await fetch(cluster.server.url(name), "SELECT * FROM agent_mem.tasks") == []
    logs = await one.store.rows("memory_sync_log.latest", limit=9)
    assert [(log["status"], log["events_synced"]) for log in logs] == [("failed", 1)]

    cluster.sql("UPDATE agent_mem.feed SET min_writer = 1", name)
    await two.store.put(Memory(agent_name="a", content="More."))
    assert await sync(two) == [(1, 0)]
    cluster.sql("UPDATE agent_mem.feed SET min_writer = 2", name)
    with pytest.raises(ServerRefused):
        await sync(one)
    logs = await one.store.rows("memory_sync_log.latest", limit=9)
    assert [(log["status"], log["events_synced"]) for log in logs if log["status"] == "failed"] == [
        ("failed", 1)
    ] * 2

    cluster.sql("UPDATE agent_mem.feed SET min_writer = 1", name)
    assert await sync(one) == [(1, 0)]


async def test_a_column_of_a_newer_program_survives_our_change_of_its_row(
    one: App, two: App, cluster: Cluster, name: str
) -> None:
    await one.store.put(FERRY.model_copy(update={"extra": {"mood": "calm"}}))
    await sync(one, two)
    cluster.sql("ALTER TABLE agent_mem.memories ADD COLUMN weight integer DEFAULT 1", name)
    cluster.sql("UPDATE agent_mem.memories SET weight = 7", name)

    mine = await stored(two, FERRY)
    await two.store.put(mine.model_copy(update={"content": "It leaves at seven."}))
    new = Memory(agent_name="a", content="Another.")
    await two.store.put(new)
    assert await sync(two, one) == [(2, 0), (0, 2)]

    sql = "SELECT id, content, weight, extra FROM agent_mem.memories"
    rows = await fetch(cluster.server.url(name), sql)
    found = {r["id"]: (r["content"], r["weight"], r["extra"]) for r in rows}
    assert found == {
        FERRY.id: ("It leaves at seven.", 7, '{"mood": "calm"}'),
        new.id: ("Another.", 1, "{}"),
    }
    assert (await stored(one, FERRY)).extra == {"mood": "calm"}


async def contents(url: str) -> set[str]:
    """Read the memories that a server has, whoever may see them."""
    return {r["content"] for r in await fetch(url, "SELECT content FROM agent_mem.memories")}


@pytest.mark.parametrize(
    "loss",
    [
        "DELETE FROM agent_mem.feed",
        "UPDATE agent_mem.feed SET ver = 1000, epoch = gen_random_uuid()",  # another's, well used
    ],
)
async def test_a_server_that_was_made_anew_gets_everything_again(
    one: App, two: App, cluster: Cluster, name: str, loss: str
) -> None:
    await one.store.put(FERRY)
    await two.store.put(Memory(agent_name="a", content="Theirs."))
    await settle(one, two)
    cluster.sql(f"DELETE FROM agent_mem.memories; {loss}", name)  # noqa: S608 - ours

    await settle(one, two)

    assert await contents(cluster.server.url(name)) == {FERRY.content, "Theirs."}
    assert await waiting(one) == await waiting(two) == []


@pytest.mark.parametrize("busy", [False, True])
async def test_a_server_that_was_restored_from_a_backup_gets_what_it_has_lost(
    tmp_path: Path, cluster: Cluster, *, busy: bool
) -> None:
    with cluster.database() as before:
        async with (
            machine(tmp_path / "one", cluster.url(before)) as one,
            machine(tmp_path / "two", cluster.url(before)) as two,
        ):
            await one.store.put(Memory(agent_name="a", content="In the backup."))
            await settle(one, two)
            ended(cluster, before)
            with cluster.database(before) as backup:
                await one.store.put(Memory(agent_name="a", content="Of one, later."))
                await sync(one)
                await two.store.put(FERRY)
                await sync(two)
                await restored(tmp_path, cluster, backup, busy=busy)


async def restored(folder: Path, cluster: Cluster, backup: str, *, busy: bool) -> None:
    """Go on with the backup; a third machine may have written so much that it looks newer."""
    url = cluster.url(backup)
    lost = {"Of one, later.", FERRY.content}
    new = [Task(agent_name="a", title=f"{n}") for n in range(50)]
    async with (
        machine(folder / "one", url) as one,
        machine(folder / "two", url) as two,
        machine(folder / "new", url) as three,
    ):
        if busy:
            await three.store.put(*new)
            await sync(three)
        await settle(one, two, three)
        assert await contents(cluster.server.url(backup)) == {"In the backup.", *lost}
        for app in (one, two, three):
            texts = {r["content"] for r in await run(app.store, "SELECT content FROM memories")}
            assert texts == {"In the backup.", *lost}
            (count,) = await run(app.store, "SELECT count(*) AS n FROM tasks")
            assert count["n"] == (50 if busy else 0)
            assert await waiting(app) == await aside(app) == []


def ended(cluster: Cluster, name: str) -> None:
    """End the connections to a database, so that it can be copied."""
    cluster.sql(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"  # noqa: S608 - our own name
        f" WHERE datname = '{name}'"
    )


async def test_what_was_read_of_a_new_server_is_not_read_again_after_a_break(
    one: App, two: App, canonical: Postgres
) -> None:
    await two.store.put(*(Task(agent_name="a", title=f"{n}") for n in range(PAGE + 1)))
    await sync(two)
    server = Store(canonical, "me", unindexed)
    torn = replace(server, engine=Torn(canonical, 2, unheard=False))
    first, then = Pass(), Pass()
    with pytest.raises(ServerUnreachable):
        await synced(one.store, torn, first)

    await synced(one.store, server, then)

    assert (first.received, then.received) == (PAGE, 1)


async def test_a_server_that_is_restored_while_rows_are_sent_to_it_gets_them_again(
    one: App, canonical: Postgres, cluster: Cluster, name: str
) -> None:
    server = Store(canonical, "me", unindexed)
    await synced(one.store, server, Pass())
    await one.store.put(FERRY)

    async def restore() -> None:
        await run_sync(cluster.sql, "UPDATE agent_mem.replicas SET met = 0", name)

    busy = replace(server, engine=Busy(canonical, 1, restore))
    with pytest.raises(ServerRefused, match="was restored from a backup while"):
        await synced(one.store, busy, Pass())
    assert await contents(cluster.server.url(name)) == set()

    await synced(one.store, server, Pass())
    assert await contents(cluster.server.url(name)) == {FERRY.content}


async def test_a_server_that_has_lost_its_owners_says_so(
    one: App, cluster: Cluster, name: str
) -> None:
    cluster.sql("CREATE RULE forgetful AS ON INSERT TO agent_mem.feed DO INSTEAD NOTHING", name)
    with pytest.raises(ServerRefused, match="The server has lost its rows"):
        await sync(one)


async def test_only_what_was_chosen_is_sent(one: App, two: App) -> None:
    session = Session(agent_name="a")
    inside = Memory(agent_name="a", content="In it.", session_id=session.id)
    await one.store.put(FERRY, session, inside)
    since = (await stored(one, FERRY)).updated_at + timedelta(microseconds=1)
    late = Memory(agent_name="a", content="Late.")

    assert await sync(one, choice=Choice(session=session.id)) == [(2, 0)]
    assert {r["id"] for r in await waiting(one)} == {str(FERRY.id)}
    (log,) = await one.store.rows("memory_sync_log.latest", limit=9)
    assert log["session_id"] == str(session.id)
    await one.store.put(late)
    assert await sync(one, choice=Choice(since=since)) == [(1, 0)]
    assert {r["id"] for r in await waiting(one)} == {str(FERRY.id)}
    assert await sync(one, two) == [(1, 0), (0, 4)]
