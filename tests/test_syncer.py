"""The syncer beside the servers: elected, patient, and never in the way of the tools."""

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from conftest import Server, calling
from helpers_postgres import fetch
from helpers_sync import line, losers, machine, row, run, stored, sync, syncer
from helpers_wire import Wire, wired
from mcp.server.subscriptions import ResourceUpdated

from agent_mem.app import App
from agent_mem.config import Settings
from agent_mem.errors import ServerUnreachable, StorageFull
from agent_mem.records.memory import Memory
from agent_mem.records.record import now
from agent_mem.records.sync_pass import SyncPass
from agent_mem.storage.lock import FileLock
from agent_mem.storage.postgres import PATIENCE, Postgres
from agent_mem.storage.store import Store
from agent_mem.storage.sync import syncer as module
from agent_mem.storage.sync.syncer import unindexed

pytestmark = pytest.mark.anyio

FERRY = Memory(agent_name="a", content="The ferry leaves at six.")
Condition = Callable[[], Any]


@pytest.fixture
def shared(env: dict[str, str], server_url: str) -> dict[str, str]:
    return {**env, "AGENT_MEM_SERVER": server_url, "AGENT_MEM_EMBEDDER": "none"}


async def until(condition: Condition, seconds: float = 20) -> None:
    with anyio.fail_after(seconds):
        while not await condition():  # noqa: ASYNC110 - what is waited for is in other processes
            await anyio.sleep(0.05)


def on_server(url: str, text: str) -> Condition:
    """Look whether the server has a memory, as its owner sees it."""

    async def look() -> bool:
        sql = (
            "WITH mine AS MATERIALIZED (SELECT set_config('agent_mem.owner', 'me', false))"  # noqa: S608 - ours
            f" SELECT 1 FROM mine, agent_mem.memories WHERE content = '{text}'"
        )
        return bool(await fetch(url, sql))

    return look


def found_by(wire: Wire, text: str) -> Condition:
    async def look() -> bool:
        result = await wire.use("recall", query=text)
        return text in str(result["structuredContent"])

    return look


async def test_what_is_written_on_one_running_machine_is_soon_read_on_another(
    shared: dict[str, str], tmp_path: Path
) -> None:
    far = {**shared, "AGENT_MEM_DB": str(tmp_path / "far" / "memory.db")}
    async with wired(shared, tmp_path) as here, wired(far, tmp_path) as there:
        for wire in (here, there):
            await wire.hello()
        for writer, reader, text in (
            (here, there, "The ferry leaves at six."),
            (there, here, "The crane is being painted."),
        ):
            await writer.use("remember", content=text)
            await until(found_by(reader, text))


async def test_a_subscriber_hears_of_what_another_machine_writes(
    server: Server, server_url: str, tmp_path: Path
) -> None:
    more = {"AGENT_MEM_SERVER": server_url, "AGENT_MEM_EMBEDDER": "none"}
    uri = "memory://topics/harbour"
    async with (
        server(**more) as client,
        machine(tmp_path / "far", server_url) as far,
        client.listen(resource_subscriptions=[uri]) as events,
    ):
        await far.store.put(FERRY.model_copy(update={"topic": "harbour"}))
        await sync(far)
        with anyio.fail_after(20):
            assert await anext(aiter(events)) == ResourceUpdated(uri=uri)


async def test_another_process_takes_over_when_the_one_that_syncs_is_killed(
    shared: dict[str, str], settings: Settings, server_url: str, tmp_path: Path
) -> None:
    async with wired(shared, tmp_path) as first:
        await first.hello()
        await first.use("remember", content="By the first.")
        await until(on_server(server_url, "By the first."))
        async with wired(shared, tmp_path) as second:
            await second.hello()
            await second.use("remember", content="By the second.")
            await until(on_server(server_url, "By the second."))
            assert elected(settings)
            first.process.kill()
            await first.process.wait()
            assert not elected(settings)

            await second.use("remember", content="After the kill.")
            await until(on_server(server_url, "After the kill."))
            assert elected(settings)


def elected(settings: Settings) -> bool:
    """Look whether a process has been elected."""
    lock = FileLock(settings.db.with_name("memory.db.syncer.lock"))
    try:
        with lock.if_free() as free:
            return not free
    finally:
        lock.close()


@asynccontextmanager
async def following(app: App) -> AsyncGenerator[None]:
    """Have a machine sync by itself; it must end when it is told to, whatever it waits for."""
    scope, ended = anyio.CancelScope(), anyio.Event()

    async def follow() -> None:
        with scope:
            await syncer(app).run()
        ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow)
        yield
        scope.cancel()
        with anyio.fail_after(PATIENCE / 2):
            await ended.wait()


def synced(app: App) -> Condition:
    async def look() -> bool:
        (row,) = await app.store.rows("local.waiting")
        state = await app.store.rows("sync.state")
        return row["n"] == 0 and bool(state) and state[0]["synced_at"] is not None

    return look


def troubled(app: App, *, troubled: bool = True) -> Condition:
    async def look() -> bool:
        return bool(await app.store.rows("sync.trouble")) is troubled

    return look


async def failures(app: App) -> list[SyncPass]:
    logs = await app.store.find(SyncPass, "memory_sync_log.latest", limit=100)
    return [log for log in logs if log.status == "failed"]


async def test_while_the_server_is_away_work_goes_on_and_the_trouble_is_told_once(
    server_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with line(server_url) as way, machine(tmp_path / "one", way.url) as app:
        call = calling(app)
        way.close()
        async with following(app):
            await call("remember", content="The ferry leaves at six.")
            await until(troubled(app))
            assert (await call("recall", query="ferry"))["hits"]
            (since,) = await app.store.rows("sync.trouble")
            await until(way.turned_away(4), 60)
            (still,) = await app.store.rows("sync.trouble")
            assert still["at"] == since["at"]
            assert len(await failures(app)) == 1

            way.open()
            await until(synced(app), 60)
            assert await app.store.rows("sync.trouble") == []
    told = [r for r in caplog.records if r.name.startswith("agent_mem")]
    assert [r.levelno for r in told] == [logging.WARNING]
    assert told[0].getMessage().startswith("Sync: PostgreSQL cannot be reached: ")
    assert "plain:plain" not in caplog.text


async def test_a_server_that_stalls_in_a_pass_delays_neither_tools_nor_the_end(
    server_url: str, tmp_path: Path
) -> None:
    async with (
        line(server_url) as way,
        machine(tmp_path / "one", way.url) as app,
        following(app),
    ):
        await until(synced(app))
        way.stall()
        with anyio.fail_after(10):
            await calling(app)("remember", content="The ferry leaves at six.")
            assert (await calling(app)("recall", query="ferry"))["hits"]
        await until(way.held)
        assert not await synced(app)()


async def test_a_server_that_never_answers_delays_neither_tools_nor_the_end(
    env: dict[str, str], tmp_path: Path
) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - of a socket
    url = f"postgresql://me:secret@127.0.0.1:{port}/none"
    async with listener:
        async with wired(
            {**env, "AGENT_MEM_SERVER": url, "AGENT_MEM_EMBEDDER": "none"}, tmp_path
        ) as wire:
            await wire.hello()
            with anyio.fail_after(10):
                await wire.use("remember", content="The ferry leaves at six.")
                await until(found_by(wire, "The ferry leaves at six."))
        assert wire.process.returncode == 0
        assert "secret" not in wire.stderr.read_text(encoding="utf-8")


async def test_what_is_no_postgresql_is_a_trouble_and_not_the_end(tmp_path: Path) -> None:
    async def chat(client: SocketStream) -> None:
        async with client:
            await client.receive()
            await client.send(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - of a socket
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, chat)
        async with machine(tmp_path, f"postgresql://me:secret@127.0.0.1:{port}/x") as app:
            async with following(app):
                await until(troubled(app))
            (trouble,) = await app.store.rows("sync.trouble")
            assert "secret" not in trouble["error"]
        tasks.cancel_scope.cancel()


async def test_a_full_disk_does_not_end_the_syncer(server_url: str, tmp_path: Path) -> None:
    async with line(server_url) as way, machine(tmp_path / "one", way.url) as app:
        way.close()
        (used,) = await run(app.store, "PRAGMA page_count")
        await run(app.store, f"PRAGMA max_page_count = {used['page_count']}")
        with pytest.raises(StorageFull):
            await fill(app)
        async with following(app):
            await until(way.turned_away(2))
            assert await failures(app) == []  # there was no room for it
            await run(app.store, "PRAGMA max_page_count = 1000000")
            way.open()
            await until(synced(app), 30)


async def fill(app: App) -> None:
    """Write logs until there is no room for one more."""
    while True:
        await app.store.put(SyncPass(sync_source="", sync_started_at=now()))


async def test_a_pass_that_moved_something_before_it_failed_is_logged_with_it(
    server_url: str, tmp_path: Path
) -> None:
    async with (
        line(server_url) as way,
        machine(tmp_path / "one", way.url) as one,
        machine(tmp_path / "two", server_url) as two,
    ):
        await two.store.put(FERRY)
        await sync(two)

        def seen(_: int, received: int) -> None:
            if received:
                way.close()

        with pytest.raises(ServerUnreachable):
            await syncer(one).once(seen=seen)
        (log,) = await failures(one)
        assert (log.events_synced, log.meta) == (1, {"sent": 0, "received": 1})
        assert log.error_message
        assert await losers(one) == []
        assert await stored(one, FERRY)


async def test_a_pass_waits_for_the_one_that_another_process_makes(
    server_url: str, tmp_path: Path
) -> None:
    async with machine(tmp_path / "one", server_url) as app:
        await app.store.put(FERRY)
        other = FileLock(app.settings.db.with_name("memory.db.sync.lock"))
        passed = anyio.Event()

        async def making() -> None:
            assert await sync(app) == [(1, 0)]
            passed.set()

        async with anyio.create_task_group() as tasks:
            with other.if_free() as mine:
                assert mine
                tasks.start_soon(making)
                with anyio.move_on_after(1):
                    await passed.wait()
                assert not passed.is_set()
            with anyio.fail_after(10):
                await passed.wait()
        other.close()


async def test_what_the_server_does_not_announce_is_found_too(
    server_url: str, canonical: Postgres, tmp_path: Path
) -> None:
    async with machine(tmp_path / "one", server_url) as app, following(app):
        await until(synced(app))
        await Store(canonical, "me", unindexed).put(FERRY)

        async def taken() -> bool:
            return await row(app, FERRY) is not None

        await until(taken)


async def test_a_pass_waits_for_a_pause_of_whoever_writes(
    server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE", 1.0)
    for name in ("AT_LAST", "LIVELY"):
        monkeypatch.setattr(module, name, 60.0)
    async with (
        machine(tmp_path, server_url) as app,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(syncer(app).run)
        await app.store.put(FERRY)
        for n in range(200):  # the server tells it of its own first push meanwhile
            await app.store.put(Memory(agent_name="a", content=f"Parcel {n}."))
            await anyio.sleep(0.01)
        await until(on_server(server_url, "Parcel 199."))
        tasks.cancel_scope.cancel()

    async with machine(tmp_path, server_url) as app:
        sent = [log.meta["sent"] for log in await logs(app)]
    assert len(sent) <= 10
    assert sum(sent) == 1 + 200


async def logs(app: App) -> list[SyncPass]:
    return await app.store.find(SyncPass, "memory_sync_log.latest", limit=50)


async def test_one_file_is_followed_by_one_at_a_time(server_url: str, tmp_path: Path) -> None:
    async with (
        machine(tmp_path / "one", server_url) as one,
        machine(tmp_path / "one", server_url) as again,
        following(one),
    ):
        await until(synced(one))
        async with following(again):
            await again.store.put(FERRY)
            await until(synced(again))
        assert elected(one.settings)
