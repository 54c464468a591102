"""The PostgreSQL engine: how its tables are made, and whose rows it shows."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from helpers_engines import stored
from helpers_postgres import Cluster, connected, fetch

from agent_mem.errors import (
    RowRefused,
    SchemaDrift,
    ServerRefused,
    ServerUnreachable,
    StorageError,
    StorageFull,
)
from agent_mem.records import RECORDS
from agent_mem.records.event import Event
from agent_mem.records.task import Task
from agent_mem.storage.blocks import queries
from agent_mem.storage.canonical import split
from agent_mem.storage.migrations import steps
from agent_mem.storage.postgres import Postgres, asyncpg, execute, numbered
from agent_mem.storage.postgres_errors import cause, wrapped
from agent_mem.storage.statements import Statement, Transaction, upsert
from agent_mem.storage.store import Store

pytestmark = pytest.mark.anyio

MACHINES = 6
EMPTY = "template0"
OWNED = """
    SELECT c.relname AS name, c.relrowsecurity AND c.relforcerowsecurity AS forced
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'owner'
    WHERE n.nspname = 'agent_mem' AND c.relkind IN ('r', 'p')
"""
KEYS = """
    SELECT c.relname AS name, i.indisunique AS is_unique, am.amname AS method,
        pg_get_indexdef(c.oid, 1, true) AS first
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am am ON am.oid = c.relam
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'agent_mem'
"""
TEXTS = """
    SELECT table_name, column_name, collation_name FROM information_schema.columns
    JOIN information_schema.tables USING (table_schema, table_name)
    WHERE table_schema = 'agent_mem' AND data_type = 'text' AND table_type = 'BASE TABLE'
"""


def asking(sql: str, **params: object) -> Transaction[list[Any]]:
    return (yield Statement(sql, params))


@asynccontextmanager
async def opened(url: str, owner: str = "me") -> AsyncGenerator[Store]:
    async with Postgres.open(url, owner) as engine:
        yield Store(engine, owner, stored(engine).index)


@pytest.fixture
def store(canonical: Postgres) -> Store:
    return stored(canonical)


def test_a_name_is_one_parameter_however_often_it_occurs() -> None:
    sql, names = numbered("SELECT :a, :b_2, :a, CAST(x AS text), y::int, '12:30' WHERE z=:b_2")

    assert sql == "SELECT $1, $2, $1, CAST(x AS text), y::int, '12:30' WHERE z=$2"
    assert names == ("a", "b_2")


def test_text_is_ordered_by_code_points_on_every_server() -> None:
    script = "CREATE TABLE t (\n    a text NOT NULL,\n    b text ARRAY,\n    c integer\n);\n"

    assert list(split(script + "ALTER TABLE t ADD COLUMN d text;\n\n")) == [
        'CREATE TABLE t (\n    a text COLLATE "C" NOT NULL,\n    b text ARRAY,\n    c integer\n)',
        'ALTER TABLE t ADD COLUMN d text COLLATE "C"',
    ]


async def test_every_text_of_a_table_is_ordered_by_code_points(store: Store) -> None:
    ours = {model.TABLE for model in RECORDS}
    columns = [row for row in await store.engine.read(asking(TEXTS)) if row["table_name"] in ours]

    assert len(columns) > 50
    assert {row["collation_name"] for row in columns} == {"C"}


@pytest.mark.parametrize("round_", range(3))
async def test_machines_that_make_the_tables_at_once_all_succeed(
    cluster: Cluster, round_: int
) -> None:
    done: list[int] = []

    async def found(url: str, number: int) -> None:
        async with opened(url, f"owner {number % 2}") as store:
            await store.put(Task(agent_name="a", title=str(number)))
            done.append(number)

    with cluster.database(EMPTY) as name:
        async with anyio.create_task_group() as machines:
            for number in range(round_ * MACHINES, (round_ + 1) * MACHINES):
                machines.start_soon(found, cluster.url(name), number)
        (tasks,) = await fetch(cluster.server.url(name), "SELECT count(*) FROM agent_mem.tasks")
        feeds = await fetch(cluster.server.url(name), "SELECT ver FROM agent_mem.feed")

    assert len(done) == MACHINES
    assert tasks["count"] == MACHINES
    assert sorted(row["ver"] for row in feeds) == [MACHINES // 2] * 2


async def test_opening_again_keeps_the_epoch_and_the_rows(server_url: str) -> None:
    task = Task(agent_name="a", title="x")
    async with opened(server_url) as store:
        await store.put(task)
        before = await store.engine.read(asking("SELECT * FROM feed"))

    async with opened(server_url) as store:
        assert await store.engine.read(asking("SELECT * FROM feed")) == before
        assert await store.get(Task, task.id) is not None


async def test_a_role_that_may_not_make_tables_uses_those_that_are_there(
    cluster: Cluster, server_url: str
) -> None:
    name = server_url.rpartition("/")[2]
    role = f"worker_{name}"
    cluster.sql("REVOKE ALL ON SCHEMA public FROM PUBLIC", name)
    cluster.worker(role, name)
    task = Task(agent_name="a", title="x")

    async with opened(cluster.url(name, role)) as store:
        await store.put(task)
        assert await store.get(Task, task.id) is not None
        with pytest.raises(ServerRefused, match="permission denied"):
            await store.engine.write(asking("CREATE TABLE more (x integer)"))


async def test_a_role_that_may_not_make_the_tables_is_told_so(cluster: Cluster) -> None:
    with cluster.database(EMPTY) as name:
        cluster.sql(f"ALTER DATABASE {name} OWNER TO postgres")
        with pytest.raises(ServerRefused, match=f"^PostgreSQL: permission denied .* {name}\\. "):
            async with opened(cluster.url(name)):
                pass


async def test_what_others_have_made_under_our_names_is_left_alone(cluster: Cluster) -> None:
    with cluster.database(EMPTY) as name:
        cluster.sql("CREATE SCHEMA agent_mem AUTHORIZATION plain", name)
        cluster.sql("CREATE TABLE agent_mem.memories (x integer)", name)
        with pytest.raises(ServerRefused, match=r'relation "memories" already exists\.$'):
            async with opened(cluster.url(name)):
                pass


async def test_tables_are_made_in_a_schema_that_an_administrator_made(cluster: Cluster) -> None:
    with cluster.database(EMPTY) as name:
        cluster.sql(f"ALTER DATABASE {name} OWNER TO postgres")
        cluster.sql("CREATE SCHEMA agent_mem AUTHORIZATION plain", name)
        async with opened(cluster.url(name)) as store:
            await store.put(Task(agent_name="a", title="x"))


async def test_a_role_that_may_not_update_the_tables_is_told_who_has_to(
    cluster: Cluster, server_url: str
) -> None:
    name = server_url.rpartition("/")[2]
    role = f"worker_{name}"
    cluster.sql("REVOKE ALL ON SCHEMA public FROM PUBLIC", name)
    cluster.worker(role, name)
    cluster.sql("DELETE FROM agent_mem.schema_ledger WHERE line = 'record_history'", name)

    with pytest.raises(ServerRefused) as raised:
        async with opened(cluster.url(name, role)):
            pass
    assert str(raised.value) == (
        "PostgreSQL: permission denied for schema agent_mem. The tables there are missing, or older"
        " than this agent-mem, and this role may not change them: let the role that owns them run"
        " `agent-mem sync` once."
    )


async def test_what_a_role_may_not_write_is_not_taken_for_old_tables(
    cluster: Cluster, server_url: str
) -> None:
    name = server_url.rpartition("/")[2]
    role = f"reader_{name}"
    cluster.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{role}'")
    cluster.sql(
        f"GRANT USAGE ON SCHEMA agent_mem TO {role};"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA agent_mem TO {role}",
        name,
    )

    with pytest.raises(ServerRefused, match=r"^PostgreSQL: permission denied for table feed\.$"):
        async with opened(cluster.url(name, role)):
            pass


async def test_a_table_or_column_that_is_gone_is_told_to_be_of_a_newer_program(
    cluster: Cluster, server_url: str, store: Store
) -> None:
    name = server_url.rpartition("/")[2]
    said = r"does not exist\. These are not the tables that this agent-mem knows: update it"
    cluster.sql("ALTER TABLE agent_mem.tasks RENAME COLUMN title TO headline", name)
    with pytest.raises(ServerRefused, match=f'column "title" .*{said}'):
        await store.put(Task(agent_name="a", title="x"))

    cluster.sql("ALTER TABLE agent_mem.tasks RENAME TO duties", name)
    with pytest.raises(ServerRefused, match=f'relation "tasks" {said}'):
        await store.put(Task(agent_name="a", title="x"))


async def test_a_database_of_an_edited_program_is_refused(
    cluster: Cluster, server_url: str
) -> None:
    name = server_url.rpartition("/")[2]
    other = hashlib.sha256(b"other").hexdigest()
    cluster.sql(f"UPDATE agent_mem.schema_ledger SET sha256 = '{other}' WHERE line = 'tasks'", name)  # noqa: S608 - a test

    with pytest.raises(SchemaDrift, match=r"Step 1 of tasks was applied .* with another text"):
        async with opened(server_url):
            pass


async def test_a_step_that_is_missing_is_applied(cluster: Cluster, server_url: str) -> None:
    name = server_url.rpartition("/")[2]
    cluster.sql("DROP TABLE agent_mem.record_history", name)
    cluster.sql("DELETE FROM agent_mem.schema_ledger WHERE line = 'record_history'", name)

    async with opened(server_url) as store:
        await store.put(Task(agent_name="a", title="x"))
        (ledger,) = await store.engine.read(asking("SELECT count(*) AS n FROM schema_ledger"))
        forced = await store.engine.read(asking(OWNED))

    assert ledger["n"] == len(steps("postgres"))
    assert all(row["forced"] for row in forced)


async def test_an_extension_in_whatever_schema_does_no_harm(cluster: Cluster) -> None:
    for schema in ("extensions", "public"):
        with cluster.database(EMPTY) as name:
            cluster.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}", name)
            cluster.sql(f"CREATE EXTENSION vector SCHEMA {schema}", name)
            async with opened(cluster.url(name)) as store:
                task = Task(agent_name="a", title="x")
                await store.put(task)
                assert await store.get(Task, task.id) is not None


async def test_tables_of_the_same_names_elsewhere_are_left_alone(cluster: Cluster) -> None:
    with cluster.database(EMPTY) as name:
        cluster.sql("CREATE TABLE public.tasks (x integer); CREATE TABLE public.feed ()", name)
        async with opened(cluster.url(name)) as store:
            await store.put(Task(agent_name="a", title="x"))

        (theirs,) = await fetch(cluster.server.url(name), "SELECT count(*) FROM public.tasks")
        assert theirs["count"] == 0


async def test_every_table_with_an_owner_forces_row_security(store: Store) -> None:
    tables = await store.engine.read(asking(OWNED))

    assert {model.TABLE for model in RECORDS} < {row["name"] for row in tables}
    assert all(row["forced"] for row in tables), tables


async def test_every_key_and_index_begins_with_the_owner(store: Store) -> None:
    """So that the tables can be distributed by it; an inverted index has no order to begin."""
    keys = [row for row in await store.engine.read(asking(KEYS)) if row["method"] == "btree"]
    free = {row["name"] for row in keys if row["first"] != "owner"}

    assert len(keys) > 2 * len(RECORDS)
    assert free == {"schema_ledger_pkey"}


@pytest.fixture
async def hidden(store: Store, server_url: str) -> AsyncGenerator[tuple[Task, Store]]:
    """Give a task of mine, and the store of someone else."""
    task = Task(agent_name="a", title="mine")
    await store.put(task)
    async with opened(server_url, "you") as other:
        yield task, other


async def test_rows_are_hidden_from_other_owners_by_the_database(
    hidden: tuple[Task, Store],
) -> None:
    """No statement says whose rows it wants here."""
    task, other = hidden
    everything = await other.engine.read(asking("SELECT * FROM tasks"))
    changed = await other.engine.write(asking("UPDATE tasks SET title = 'x' RETURNING id"))
    deleted = await other.engine.write(asking("DELETE FROM tasks RETURNING id"))
    guessed = await other.engine.read(asking("SELECT * FROM tasks WHERE id = :id", id=task.id))
    as_me = await other.engine.read(asking("SELECT * FROM tasks WHERE owner = 'me'"))

    assert (everything, changed, deleted, guessed, as_me) == ([], [], [], [], [])


async def test_a_row_cannot_be_written_for_another_owner(hidden: tuple[Task, Store]) -> None:
    _, other = hidden
    forged = Task(owner="me", agent_name="a", title="forged", ver=1)

    with pytest.raises(ServerRefused, match="row-level security"):
        await other.engine.write(asking(upsert(Task), **forged.model_dump()))


async def test_a_row_cannot_be_given_to_another_owner(hidden: tuple[Task, Store]) -> None:
    _, other = hidden
    await other.put(Task(agent_name="a", title="yours"))

    with pytest.raises(ServerRefused, match="row-level security"):
        await other.engine.write(asking("UPDATE tasks SET owner = 'me'"))


async def test_whoever_says_no_owner_sees_nothing_not_even_the_owner_of_the_tables(
    hidden: tuple[Task, Store], server_url: str
) -> None:
    del hidden
    async with connected(server_url) as plain:
        tables = [row["name"] for row in await plain.fetch(OWNED)]
        assert len(tables) > len(RECORDS)
        for table in tables:
            assert await plain.fetch(f"SELECT * FROM agent_mem.{table}") == []  # noqa: S608 - our own names
        await plain.execute("SET agent_mem.owner = ''")
        assert await plain.fetch("SELECT * FROM agent_mem.tasks") == []


async def test_an_owner_is_named_for_one_transaction_only(server_url: str) -> None:
    """Behind a pooler, whoever comes next on the same connection must not inherit it."""
    settle = Statement(
        queries("postgres")["canonical.settle"], {"owner": "me", "path": "agent_mem"}
    )
    said = (
        "SELECT current_setting('agent_mem.owner', true) AS owner, current_schemas(false) AS path"
    )
    async with connected(server_url) as connection:
        async with connection.transaction():
            await execute(connection, settle)
            inside = await connection.fetchrow(said)
        outside = await connection.fetchrow(said)

    assert dict(inside) == {"owner": "me", "path": ["agent_mem"]}
    assert dict(outside) == {"owner": "", "path": ["public"]}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("53100", StorageFull),
        ("53300", ServerUnreachable),
        ("57P01", ServerUnreachable),
        ("08006", ServerUnreachable),
        ("22P05", RowRefused),
        ("23505", RowRefused),
        ("28P01", ServerRefused),
        ("3D000", ServerRefused),
        ("42501", ServerRefused),
        ("40P01", StorageError),
        ("XX000", StorageError),
    ],
)
def test_an_error_of_the_server_is_told_by_its_code(code: str, kind: type[StorageError]) -> None:
    assert cause(code) is kind


@pytest.mark.parametrize(
    "meta",
    [{"nul": "a\0b"}, {"half": "\ud800"}, {"none": float("nan")}],
    ids=lambda m: next(iter(m)),
)
async def test_a_row_that_cannot_be_kept_is_refused_by_itself(
    store: Store, meta: dict[str, Any]
) -> None:
    event = Event(agent_name="a", event_type="x", content="y", extra=meta)
    with pytest.raises(RowRefused, match=r"^PostgreSQL: [^\n]+[^.]\.$"):
        await store.put(event)

    await store.put(Task(agent_name="a", title="the next one"))


async def test_a_number_that_is_too_large_is_refused_by_itself(store: Store) -> None:
    event = Event(agent_name="a", event_type="x", content="y", schema_v=2**40)
    with pytest.raises(RowRefused, match="out of int32 range"):
        await store.put(event)


async def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    task = Task(agent_name="a", title="x")

    def failing() -> Transaction[None]:
        yield from store.saving(task)
        raise LookupError

    with pytest.raises(LookupError):
        await store.engine.write(failing())

    assert await store.get(Task, task.id) is None


async def test_a_cancelled_caller_leaves_all_or_nothing(store: Store) -> None:
    tasks = [Task(agent_name="a", title=str(i)) for i in range(50)]
    with anyio.move_on_after(0.02):
        await store.put(*tasks)

    rows = await store.engine.read(asking("SELECT id FROM tasks"))
    assert len(rows) in (0, 50)


async def test_writers_of_one_owner_get_each_version_once(store: Store) -> None:
    tasks = [Task(agent_name="a", title=str(i)) for i in range(40)]
    async with anyio.create_task_group() as group:
        for task in tasks:
            group.start_soon(store.put, task)

    rows = await store.engine.read(asking("SELECT ver, hlc FROM tasks ORDER BY ver"))
    assert [row["ver"] for row in rows] == list(range(1, 41))
    assert [row["hlc"] for row in rows] == sorted({row["hlc"] for row in rows})


def test_a_connection_that_ends_while_the_pool_takes_it_back_was_lost() -> None:
    said = "PoolConnectionHolder.release() called on a free connection holder"

    with (
        pytest.raises(ServerUnreachable, match=r"cannot be reached: the connection was lost\.$"),
        wrapped(),
    ):
        raise asyncpg.InternalClientError(said)
