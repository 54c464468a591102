"""Through a pooler in transaction mode, where every transaction may be on another connection."""

import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import anyio
import pytest
from helpers_engines import stored
from helpers_postgres import Cluster, fetch

from agent_mem.cli.trial import free_port, give, whose
from agent_mem.records.task import Task
from agent_mem.storage.postgres import Postgres
from agent_mem.storage.store import Store

pytestmark = pytest.mark.anyio

PGBOUNCER = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin") or shutil.which("pgbouncer")
MACHINES = 6
CALLS = 200
CONFIG = """
[databases]
* = host=127.0.0.1 port={behind}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 3
log_connections = 0
log_disconnections = 0
"""


@contextmanager
def pooler(behind: int) -> Generator[int]:
    """Run PgBouncer before a server; it has fewer connections than the machines together."""
    if PGBOUNCER is None:
        pytest.skip("PgBouncer is not installed")
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = folder / "pgbouncer.ini"
        config.write_text(CONFIG.format(behind=behind, port=port, folder=folder))
        (folder / "users").write_text('"plain" "plain"\n')
        give(folder)
        with subprocess.Popen([PGBOUNCER, config], stderr=subprocess.PIPE, **whose()) as process:
            try:
                assert process.stderr
                assert any(b"process up" in line for line in process.stderr)
                yield port
            finally:
                process.kill()


async def test_everything_succeeds_through_a_pooler(server_url: str, cluster: Cluster) -> None:
    tasks = [Task(agent_name="a", title=str(i)) for i in range(CALLS)]
    got: list[Task | None] = []

    async def remember(store: Store, task: Task) -> None:
        await store.put(task)
        got.append(await store.get(Task, task.id))

    with pooler(cluster.server.port) as port:
        through = server_url.replace(f":{cluster.server.port}/", f":{port}/")
        async with AsyncExitStack() as opened:
            machines = [
                stored(await opened.enter_async_context(Postgres.open(through, "me")))
                for _ in range(MACHINES)
            ]
            async with anyio.create_task_group() as calls:
                for number, task in enumerate(tasks):
                    calls.start_soon(remember, machines[number % MACHINES], task)

    name = server_url.rpartition("/")[2]
    rows = await fetch(cluster.server.url(name), "SELECT ver FROM agent_mem.tasks ORDER BY ver")
    assert sorted(one.title for one in got if one) == sorted(task.title for task in tasks)
    assert [row["ver"] for row in rows] == list(range(1, CALLS + 1))


async def test_owners_stay_apart_on_the_connections_that_they_share(
    server_url: str, cluster: Cluster
) -> None:
    seen: dict[str, list[str]] = {}

    async def work(url: str, owner: str) -> None:
        async with Postgres.open(url, owner) as engine:
            store = Store(engine, owner, stored(engine).index)
            for number in range(10):
                await store.put(Task(agent_name=owner, title=str(number)))
            found = await store.find(
                Task, "tasks.listed", project=None, agent=None, status="open", limit=99
            )
            seen[owner] = [task.agent_name for task in found]

    with pooler(cluster.server.port) as port:
        through = server_url.replace(f":{cluster.server.port}/", f":{port}/")
        async with anyio.create_task_group() as owners:
            for number in range(MACHINES):
                owners.start_soon(work, through, f"owner {number}")

    assert seen == {owner: [owner] * 10 for owner in (f"owner {i}" for i in range(MACHINES))}
