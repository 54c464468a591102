"""Programs of two versions on one server: the older one goes on with what it knows."""

import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
from helpers_postgres import Cluster, fetch
from helpers_sync import aside, machine, run, sync, waiting

import agent_mem
from agent_mem.app import App
from agent_mem.errors import SchemaDrift, ServerRefused
from agent_mem.records.memory import Memory
from agent_mem.storage.migrations import Step, pending
from agent_mem.storage.postgres import Postgres
from agent_mem.storage.store import decode

pytestmark = pytest.mark.anyio

FERRY = Memory(agent_name="a", content="The ferry leaves at six.")
NEWER_TABLE = """
-- migrate 1 --
-- How somebody feels.
CREATE TABLE moods (
    owner text NOT NULL,
    id uuid NOT NULL,
    PRIMARY KEY (owner, id)
);
"""
NEWER_COLUMN = """
-- migrate 99 --
-- How somebody felt who remembered it.
ALTER TABLE memories ADD COLUMN mood text NOT NULL DEFAULT 'calm';
"""
STEP = Step("memories", 1, "text")
DONE = {"line": "memories", "version": 1, "sha256": STEP.sha256}
NEWER = {"line": "memories", "version": 2, "sha256": "…"}
Run = Callable[..., str]


@pytest.fixture
async def old(tmp_path: Path, server_url: str) -> AsyncGenerator[App]:
    async with machine(tmp_path / "old", server_url) as app:
        yield app


@pytest.fixture
def name(server_url: str) -> str:
    return server_url.rpartition("/")[2]


@pytest.fixture
def newer(tmp_path: Path, env: dict[str, str], server_url: str) -> Run:
    """Make a newer program, with a column and a table more, and run commands of it."""
    folder = tmp_path / "newer"
    package = folder / "agent_mem"
    shutil.copytree(
        Path(agent_mem.__file__).parent,
        package,
        ignore=shutil.ignore_patterns("__pycache__", "*.onnx"),
    )
    (package / "storage" / "sql" / "moods.sql").write_text(NEWER_TABLE.lstrip())
    memories = package / "storage" / "sql" / "memories.sql"
    memories.write_text(memories.read_text().rstrip() + "\n" + NEWER_COLUMN)
    model = package / "records" / "memory.py"
    field = '    kind: MemoryKind = "fact"\n'
    assert field in model.read_text()
    model.write_text(model.read_text().replace(field, field + '    mood: str = "glad"\n'))
    more = {"AGENT_MEM_DB": str(folder / "memory.db"), "AGENT_MEM_SERVER": server_url}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "agent_mem", *arguments],
            env={**env, **more, "AGENT_MEM_EMBEDDER": "none", "PYTHONPATH": str(folder)},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


async def test_an_older_program_syncs_both_ways_beside_a_newer_one(
    old: App, newer: Run, cluster: Cluster, tmp_path: Path, server_url: str
) -> None:
    await old.store.put(FERRY)
    await sync(old)
    newer("remember", "The crane is painted.")
    assert newer("sync") == "sent: 1; received: 1.\n"

    assert await sync(old) == [(0, 1)]
    for row in await run(old.store, "SELECT * FROM memories"):
        memory = decode(Memory, row)
        await old.store.put(memory.model_copy(update={"content": f"{memory.content} Or not."}))
    assert await sync(old) == [(2, 0)]
    assert newer("sync") == "sent: 0; received: 2.\n"

    assert "The ferry leaves at six. Or not." in newer("recall", "ferry")
    async with machine(tmp_path / "another", server_url) as another:
        assert await sync(another) == [(0, 2)]
        assert await aside(another) == await waiting(another) == []
    sql = "SELECT content, mood FROM agent_mem.memories ORDER BY content"
    rows = await fetch(cluster.server.url(server_url.rpartition("/")[2]), sql)
    assert [(row["content"], row["mood"]) for row in rows] == [
        ("The crane is painted. Or not.", "glad"),  # as the newer one wrote it
        ("The ferry leaves at six. Or not.", "calm"),
    ]


async def test_what_a_newer_program_made_is_left_as_it_is(
    newer: Run, cluster: Cluster, name: str, server_url: str
) -> None:
    newer("sync")
    before = await shape(cluster, name)
    assert ("moods", "id", "uuid") in before["columns"]
    assert ("moods", "owner_only") in before["policies"]

    async with Postgres.open(server_url, "me"):
        pass
    assert await shape(cluster, name) == before


async def shape(cluster: Cluster, name: str) -> dict[str, list[tuple[str, ...]]]:
    """Read what tables, indexes, policies and steps there are."""
    of = {
        "columns": "SELECT table_name, column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = 'agent_mem'",
        "indexes": "SELECT indexname FROM pg_indexes WHERE schemaname = 'agent_mem'",
        "policies": "SELECT tablename, policyname FROM pg_policies",
        "steps": "SELECT line, version::text, sha256 FROM agent_mem.schema_ledger",
    }
    url = cluster.server.url(name)
    return {kind: sorted(map(tuple, await fetch(url, sql))) for kind, sql in of.items()}


async def test_a_newer_program_that_breaks_older_ones_says_so_to_each_owner(
    old: App, newer: Run, cluster: Cluster, name: str
) -> None:
    await old.store.put(FERRY)
    await sync(old)
    newer("remember", "The crane is painted.")
    newer("sync")
    cluster.sql("UPDATE agent_mem.feed SET min_writer = 2 WHERE owner = 'me'", name)
    await old.store.put(Memory(agent_name="a", content="Kept here."))

    with pytest.raises(ServerRefused, match=r"asks for a newer agent-mem: .* update this one"):
        await sync(old)
    assert len(await waiting(old)) == 1
    assert await run(old.store, "SELECT id FROM memories WHERE content LIKE '%crane%'")


async def test_an_older_program_that_cannot_read_a_table_any_more_keeps_all_that_it_has(
    old: App, cluster: Cluster, name: str
) -> None:
    await sync(old)
    cluster.sql("INSERT INTO agent_mem.schema_ledger VALUES ('memories', 99, 'x')", name)
    cluster.sql("ALTER TABLE agent_mem.memories DROP COLUMN topic", name)
    await old.store.put(FERRY)

    with pytest.raises(ServerRefused) as raised:
        await sync(old)
    assert str(raised.value).endswith(
        " does not exist. These are not the tables that this agent-mem knows: update it, if a newer"
        " one has changed them. Nothing is lost."
    )
    assert len(await waiting(old)) == 1


def test_nothing_is_to_do_where_a_newer_program_was() -> None:
    missing = Step("tasks", 1, "text")

    assert pending([STEP, missing], [DONE], shared=True) == [missing]
    assert pending([STEP, missing], [DONE, NEWER], shared=True) == []
    assert pending([STEP], [DONE, {**NEWER, "line": "moods"}], shared=True) == []


def test_an_edited_step_is_refused_where_a_newer_program_was() -> None:
    with pytest.raises(SchemaDrift, match="Step 1 of memories was applied"):
        pending([STEP], [{**DONE, "sha256": "…"}, NEWER], shared=True)
