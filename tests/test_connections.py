"""Connections to PostgreSQL: that break, are listened on, and are left while something is asked."""

import subprocess
import sys
from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread
import pytest
from helpers_engines import stored
from helpers_postgres import Cluster
from helpers_sync import line

from agent_mem.errors import ServerUnreachable
from agent_mem.records.task import Task
from agent_mem.storage.postgres import CHANNEL, Postgres
from agent_mem.storage.statements import Statement, Transaction
from agent_mem.storage.store import Store

pytestmark = pytest.mark.anyio

PROGRAM = """
import sys
import anyio
from agent_mem.storage.postgres import Postgres
from agent_mem.storage.statements import Statement

def asking():
    yield Statement("SELECT pg_sleep(0.01)", {})

async def ask(engine):
    while True:
        await engine.read(asking())
        print("asked", flush=True)

async def main():
    async with anyio.create_task_group() as group:
        group.start_soon(cancelled, group.cancel_scope)
        async with Postgres.open(sys.argv[1], "me") as engine, engine.listening(print):
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(ask, engine)

async def cancelled(scope):
    await anyio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
    scope.cancel()

anyio.run(main)
"""


@pytest.fixture
def store(canonical: Postgres) -> Store:
    return stored(canonical)


async def test_the_next_call_after_a_restart_of_the_server_works(
    store: Store, cluster: Cluster
) -> None:
    task = Task(agent_name="a", title="x")
    await store.put(task)
    await anyio.to_thread.run_sync(cluster.server.stop)
    try:
        with pytest.raises(ServerUnreachable, match=r"^PostgreSQL cannot be reached: .+\.$"):
            await store.get(Task, task.id)
    finally:
        await anyio.to_thread.run_sync(cluster.server.start)

    assert await store.get(Task, task.id) is not None


async def test_a_change_of_the_owner_is_heard_of_and_no_other(
    canonical: Postgres, cluster: Cluster, server_url: str
) -> None:
    name = server_url.rpartition("/")[2]
    heard: list[str] = []
    once = anyio.Event()

    def hear() -> None:
        heard.append("me")
        once.set()

    async with canonical.listening(hear):
        for owner in ("you", "me"):
            cluster.sql(f"SELECT pg_notify('{CHANNEL}', '{owner}')", name)
        with anyio.fail_after(10):
            await once.wait()

    assert heard == ["me"]


async def test_listening_ends_well_where_the_connection_broke_off(
    store: Store, canonical: Postgres, cluster: Cluster
) -> None:
    async with canonical.listening(lambda: None):
        await anyio.to_thread.run_sync(cluster.cut)

    await store.put(Task(agent_name="a", title="x"))


async def test_a_connection_that_breaks_within_a_transaction_is_told_to_be_lost(
    store: Store, cluster: Cluster
) -> None:
    """The driver would say which of its methods it cannot call."""
    task = Task(agent_name="a", title="x")

    def breaking() -> Transaction[None]:
        yield from store.saving(task)
        cluster.cut()
        yield from store.saving(task)

    said: set[str] = set()
    for _ in range(3):
        with pytest.raises(ServerUnreachable) as raised:
            await store.engine.write(breaking())
        said.add(str(raised.value))
    assert said <= {
        "PostgreSQL cannot be reached: the connection was lost.",
        "PostgreSQL: terminating connection due to administrator command.",
    }
    assert await store.get(Task, task.id) is None


async def test_listening_to_a_server_that_is_gone_says_so(
    canonical: Postgres, cluster: Cluster
) -> None:
    await anyio.to_thread.run_sync(cluster.server.stop)
    try:
        with pytest.raises(ServerUnreachable):
            async with canonical.listening(lambda: None):
                pass
    finally:
        await anyio.to_thread.run_sync(cluster.server.start)


def asking(sql: str) -> Transaction[object]:
    return (yield Statement(sql, {}))


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.01, 0.1])
async def test_after_a_call_that_was_cancelled_the_next_one_works(
    store: Store, seconds: float
) -> None:
    task = Task(agent_name="a", title="x")
    with anyio.move_on_after(seconds) as scope:
        await store.engine.read(asking("SELECT pg_sleep(30)"))
    assert scope.cancelled_caught

    with anyio.fail_after(10):
        await store.put(task)
        assert await store.get(Task, task.id) is not None


@pytest.mark.parametrize("stalls", [True, False])
async def test_a_process_that_ends_while_it_asks_says_nothing(
    server_url: str, *, stalls: bool
) -> None:
    async with line(server_url) as way:
        for _ in range(3):
            command = [sys.executable, "-c", PROGRAM, way.url]
            async with await anyio.open_process(command, stderr=subprocess.PIPE) as process:
                assert process.stdin
                assert process.stdout
                await process.stdout.receive()
                if stalls:
                    way.stall()
                    await until(way.held)
                await process.stdin.aclose()
                with anyio.fail_after(10):
                    assert process.stderr
                    said = b"".join([part async for part in process.stderr])
                    assert await process.wait() == 0
                assert said == b""
                way.flow()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(10):
        while not await condition():  # noqa: ASYNC110 - it is in another process
            await anyio.sleep(0.01)
