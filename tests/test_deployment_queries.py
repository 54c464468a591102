"""The statements that the deployment guide of this schema prints run on it as they are printed.

But for two, which name columns that no PostgreSQL has (INDEXES and INDEX_USE below).
"""

from collections.abc import Generator
from typing import Any

import anyio
import pytest
from helpers_postgres import Cluster, connected, fetch
from helpers_sync import stored, sync
from helpers_views import ODOO, SESSIONS, USER, deploy, undone

from agent_mem.app import App
from agent_mem.records.event import Event
from agent_mem.storage.postgres import Postgres
from agent_mem.storage.store import Store
from agent_mem.storage.sync.syncer import unindexed

pytestmark = pytest.mark.anyio

TABLES = """
SELECT tablename, pg_size_pretty(pg_total_relation_size('agent_mem.'||tablename)) as size
FROM pg_tables
WHERE schemaname = 'agent_mem'
ORDER BY tablename;
"""
SKILLS = """
SELECT skill_name, category, version, array_length(dependencies, 1) as deps
FROM agent_mem.skills
ORDER BY category, skill_name;
"""
BINDINGS = """
SELECT agent_name, COUNT(*) as skill_count
FROM agent_mem.agent_skill_bindings
GROUP BY agent_name
ORDER BY agent_name;
"""
PERFORMANCE = """
SELECT * FROM agent_mem.agent_performance_summary LIMIT 5;
"""
USAGE = """
SELECT skill_name, category, bound_agents, active_bindings
FROM agent_mem.skill_usage_summary
ORDER BY bound_agents DESC
LIMIT 5;
"""
ACTIVITY = """
-- Agent activity over time
SELECT
    DATE_TRUNC('hour', s.started_at) as hour,
    s.agent_name,
    COUNT(*) as session_count,
    AVG(EXTRACT(EPOCH FROM (s.ended_at - s.started_at)) / 60) as avg_duration_minutes
FROM agent_mem.sessions s
WHERE s.started_at > NOW() - INTERVAL '7 days'
GROUP BY 1, 2
ORDER BY 1 DESC, 2;
"""
MOST_USED = """
-- Most used skills
SELECT
    sk.skill_name,
    sk.category,
    COUNT(DISTINCT b.agent_name) as agent_count,
    SUM(CASE WHEN b.enabled THEN 1 ELSE 0 END) as active_bindings
FROM agent_mem.skills sk
LEFT JOIN agent_mem.agent_skill_bindings b ON b.skill_id = sk.id
GROUP BY sk.skill_name, sk.category
ORDER BY agent_count DESC, active_bindings DESC;
"""
IMPORTANCE = """
-- Memory importance distribution
SELECT
    CASE
        WHEN importance >= 0.8 THEN 'Critical (0.8-1.0)'
        WHEN importance >= 0.6 THEN 'High (0.6-0.8)'
        WHEN importance >= 0.4 THEN 'Medium (0.4-0.6)'
        WHEN importance >= 0.2 THEN 'Low (0.2-0.4)'
        ELSE 'Minimal (0.0-0.2)'
    END as importance_level,
    COUNT(*) as event_count
FROM agent_mem.events
GROUP BY importance_level
ORDER BY MIN(importance) DESC;
"""
SYNC = """
-- Check sync health
SELECT
    sync_source,
    status,
    COUNT(*) as sync_count,
    SUM(events_synced) as total_events,
    MAX(sync_ended_at) as last_sync,
    AVG(EXTRACT(EPOCH FROM (sync_ended_at - sync_started_at))) as avg_duration_seconds
FROM agent_mem.memory_sync_log
WHERE sync_started_at > NOW() - INTERVAL '24 hours'
GROUP BY sync_source, status
ORDER BY last_sync DESC;
"""
SIZES = """
-- Check database size
SELECT
    pg_size_pretty(pg_database_size('postgres')) as total_db_size,
    pg_size_pretty(pg_total_relation_size('agent_mem.events')) as events_size,
    pg_size_pretty(pg_total_relation_size('agent_mem.sessions')) as sessions_size;
"""

EXTENSION = """
CREATE EXTENSION IF NOT EXISTS vector;

-- Create IVFFlat index for embedding search
CREATE INDEX IF NOT EXISTS idx_agent_mem_events_embedding
    ON agent_mem.events USING ivfflat (embedding vector_cosine_ops)
    WITH (lists = 100);
"""
REBUILD = """
-- Rebuild index if needed
REINDEX INDEX CONCURRENTLY idx_agent_mem_events_embedding;
"""
INDEXES = """
-- Check index health
SELECT
    schemaname,
    relname AS tablename,
    indexrelname AS indexname,
    pg_size_pretty(pg_relation_size(indexrelid)) as index_size
FROM pg_stat_user_indexes
WHERE schemaname = 'agent_mem'
ORDER BY pg_relation_size(indexrelid) DESC;
"""
"""Printed without the two renamed columns, which no PostgreSQL has in this view."""
INDEX_USE = """
-- Check index usage
SELECT schemaname, relname AS tablename, indexrelname AS indexname,
    idx_scan, idx_tup_read, idx_tup_fetch
FROM pg_stat_user_indexes
WHERE schemaname = 'agent_mem'
ORDER BY idx_scan DESC;
"""
"""As above."""
OLD_SESSIONS = """
-- Archive old sessions (older than 90 days)
DELETE FROM agent_mem.sessions
WHERE ended_at < NOW() - INTERVAL '90 days'
  AND status IN ('completed', 'failed', 'abandoned');
"""
OLD_EVENTS = """
-- Archive low-importance events (older than 30 days)
DELETE FROM agent_mem.events
WHERE ts < NOW() - INTERVAL '30 days'
  AND importance < 0.3;
"""
OLD_PASSES = """
-- Clean up failed sync logs (older than 7 days)
DELETE FROM agent_mem.memory_sync_log
WHERE status = 'failed'
  AND sync_started_at < NOW() - INTERVAL '7 days';
"""
POLICIES = """
-- Check existing policies
SELECT tablename, policyname, permissive, roles, qual, with_check
FROM pg_policies
WHERE schemaname = 'agent_mem';
"""
SECURITY = """
-- Enable RLS on tables
ALTER TABLE agent_mem.sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_mem.events ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_mem.skills ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_mem.agent_skill_bindings ENABLE ROW LEVEL SECURITY;

-- Example policy: allow service role full access
CREATE POLICY "Service role full access" ON agent_mem.sessions
    FOR ALL TO service_role USING (true);

-- Example policy: users can only see their own sessions
CREATE POLICY "Users see own sessions" ON agent_mem.sessions
    FOR SELECT USING (auth.uid()::text = user_id);
"""
BYPASS = """
-- Grant service role bypass
ALTER TABLE agent_mem.sessions FORCE ROW LEVEL SECURITY;
GRANT ALL ON agent_mem.sessions TO service_role;
"""
SUPABASE = """
CREATE ROLE service_role; CREATE ROLE authenticated; CREATE SCHEMA auth;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE
    AS $$ SELECT CAST(current_setting('request.jwt.claim.sub', true) AS uuid) $$;
GRANT USAGE ON SCHEMA agent_mem TO service_role, authenticated;
GRANT SELECT ON agent_mem.sessions TO authenticated;
"""
"""What Supabase has, and other servers do not."""


@pytest.fixture(scope="module")
def deployed(cluster: Cluster) -> Generator[str]:
    """Give a database with one owner's records and the skills of the pack, for a superuser."""
    with cluster.database() as name:
        anyio.run(deploy, cluster.url(name))
        yield cluster.server.url(name)


async def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    async with undone(url) as connection:
        return [tuple(row) for row in await connection.fetch(statement)]


async def test_the_tables_of_the_guide_are_there_and_have_a_size(deployed: str) -> None:
    sizes = dict(await rows(deployed, TABLES))

    assert sizes.keys() >= {
        "agent_skill_bindings",
        "events",
        "memory_sync_log",
        "sessions",
        "skills",
    }
    assert all(size.endswith(" kB") for size in sizes.values())


async def test_the_pack_has_eight_skills_of_four_categories(deployed: str) -> None:
    found = await rows(deployed, SKILLS)

    assert [row[0] for row in found] == [
        "scout_query",
        "bir_compliance",
        "docker_operations",
        "git_operations",
        "nginx_config",
        "odoo_module_operations",
        "mailgun_send",
        "odoo_mailgate",
    ]
    assert len({row[1] for row in found}) == 4
    assert found[0] == ("scout_query", "analysis", "1.0.0", 2)


async def test_three_agents_are_bound_to_skills(deployed: str) -> None:
    assert await rows(deployed, BINDINGS) == [
        ("devops_engineer", 4),
        ("finance_ssc_expert", 3),
        ("odoo_developer", 6),
    ]


async def test_the_performance_of_agents_is_summed_up(deployed: str) -> None:
    async with undone(deployed) as connection:
        found = await connection.fetch(PERFORMANCE)

    assert {row["agent_name"]: row["total_sessions"] for row in found} == {
        "archivist": 0,
        "devops_engineer": 1,
        "odoo_developer": 5,
    }


async def test_the_usage_of_skills_is_summed_up(deployed: str) -> None:
    first, *others = await rows(deployed, USAGE)

    assert first == ("odoo_module_operations", "deployment", 3, 3)
    assert [row[2:] for row in others] == [(2, 2)] * 4


async def test_the_activity_of_the_week_is_told_by_the_hour(deployed: str) -> None:
    """The table has what was forgotten, too: the session of five minutes."""
    found = await rows(deployed, ACTIVITY)

    assert [row[1:] for row in found] == [
        (ODOO, 1, None),
        (ODOO, 1, 60),
        (ODOO, 1, 20),
        (ODOO, 1, 10),
        (ODOO, 1, 30),
        (ODOO, 1, 5),
    ]
    assert all(row[0] == row[0].replace(minute=0, second=0, microsecond=0) for row in found)


async def test_the_most_used_skills_come_first(deployed: str) -> None:
    found = await rows(deployed, MOST_USED)

    assert found[0] == ("odoo_module_operations", "deployment", 3, 3)
    assert found[-1] == ("mailgun_send", "integration", 0, 0)
    assert [row[2] for row in found] == [3, 2, 2, 2, 2, 1, 1, 0]


async def test_events_are_counted_by_their_importance(deployed: str) -> None:
    assert await rows(deployed, IMPORTANCE) == [
        ("Critical (0.8-1.0)", 3),
        ("High (0.6-0.8)", 2),
        ("Medium (0.4-0.6)", 1),
        ("Low (0.2-0.4)", 1),
    ]


async def test_the_passes_of_a_day_are_counted_by_how_they_went(deployed: str) -> None:
    """The failed ones: one that the view has, one that was forgotten."""
    running, forgotten_last, completed = await rows(deployed, SYNC)

    assert running == ("laptop", "running", 1, 0, None, None)
    assert forgotten_last[:4] == ("laptop", "failed", 2, 0)
    assert forgotten_last[5] == 3.5
    assert completed[:4] == ("laptop", "completed", 2, 16)
    assert completed[5] == 3


async def test_the_database_and_its_indexes_have_a_size(deployed: str) -> None:
    (sizes,) = await rows(deployed, SIZES)
    indexes = await rows(deployed, INDEXES)
    used = await rows(deployed, INDEX_USE)

    assert len(sizes) == 3
    assert {row[2] for row in indexes} == {row[2] for row in used}
    assert {
        "bindings_priority",
        "bindings_skill",
        "events_importance",
        "events_tags",
        "sessions_source",
        "skills_category",
    } <= {row[2] for row in indexes}


@pytest.mark.parametrize("statement", [OLD_SESSIONS, OLD_EVENTS, OLD_PASSES])
async def test_a_cleanup_removes_the_one_row_that_is_old(deployed: str, statement: str) -> None:
    async with undone(deployed) as connection:
        assert await connection.execute(statement) == "DELETE 1"


async def test_every_table_with_an_owner_has_its_policy(deployed: str) -> None:
    policies = {row[0]: row[1:4] for row in await rows(deployed, POLICIES)}
    tables = {row[0] for row in await rows(deployed, TABLES)} - {"schema_ledger"}

    assert policies == dict.fromkeys(tables, ("owner_only", "PERMISSIVE", ["public"]))


async def test_the_vector_index_of_the_events_is_there_as_printed(deployed: str) -> None:
    """A transaction cannot rebuild it; the guide's statement names no schema."""
    named = "SELECT pg_get_indexdef('agent_mem.idx_agent_mem_events_embedding'::regclass)"
    async with undone(deployed) as connection:
        before = await connection.fetchval(named)
        assert await connection.execute(EXTENSION) == "CREATE INDEX"
        assert await connection.fetchval(named) == before
        await connection.execute("DROP INDEX agent_mem.idx_agent_mem_events_embedding")
        await connection.execute(EXTENSION)
        assert await connection.fetchval(named) == before

    async with connected(deployed) as connection:
        await connection.execute("SET search_path = agent_mem, public")
        assert await connection.execute(REBUILD) == "REINDEX"


async def test_a_programs_own_vectors_of_events_are_searched_and_no_sync_takes_them(
    one: App, two: App, cluster: Cluster, name: str
) -> None:
    """As the guide's script fills them; meanwhile the event changes on another machine."""
    event = Event(agent_name=ODOO, event_type="error", content="The port is taken.")
    vector = str([0.0] * 1535 + [1.0])
    nearest = "SELECT content FROM agent_mem.events ORDER BY embedding <=> $1::vector LIMIT 1"
    fill = "UPDATE agent_mem.events SET embedding = $1::vector WHERE id = $2"
    await one.store.put(event, Event(agent_name=ODOO, event_type="error", content="Another."))
    await sync(one)

    async with connected(cluster.server.url(name)) as connection:
        assert await connection.execute(fill, vector, event.id) == "UPDATE 1"
        await sync(two)
        changed = event.model_copy(update={"content": "The port was taken."})
        await two.store.put(changed)
        await sync(two, one)

        assert await connection.fetchval(nearest, vector) == changed.content
    assert await stored(one, event) == await stored(two, event)
    found = await one.store.get(Event, event.id)
    assert found
    assert found.content == changed.content


async def test_an_event_with_such_a_vector_is_read_on_the_server_itself(
    canonical: Postgres, cluster: Cluster, name: str
) -> None:
    store = Store(canonical, "me", unindexed)
    event = Event(agent_name=ODOO, event_type="error", content="The port is taken.")
    await store.put(event)
    vector = "CAST(array_fill(0.5, ARRAY[1536]) AS vector)"
    cluster.sql(f"UPDATE agent_mem.events SET embedding = {vector}", name)  # noqa: S608 - our own

    (found,) = await store.find(Event, "events.errors", project=None, agent=None, limit=9)
    assert found.content == event.content


async def test_tables_of_before_get_the_column_when_nobody_holds_them(
    cluster: Cluster, server_url: str, name: str
) -> None:
    has = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'embedding'"
    cluster.sql("ALTER TABLE agent_mem.events DROP COLUMN embedding", name)
    async with undone(cluster.server.url(name)) as connection:
        await connection.execute("LOCK TABLE agent_mem.events IN ACCESS SHARE MODE")
        async with Postgres.open(server_url, "me") as engine:
            assert engine.vectors
        assert await connection.fetchval(has) == 0

    async with Postgres.open(server_url, "me"):
        pass

    assert (await fetch(server_url, has))[0][0] == 1


async def test_supabase_roles_see_what_the_printed_policies_let_them(deployed: str) -> None:
    count = "SELECT count(*) FROM agent_mem.sessions"
    async with undone(deployed) as connection:
        for statement in (SUPABASE, SECURITY, BYPASS):
            await connection.execute(statement)
        total = await connection.fetchval(count)
        await connection.execute("SET LOCAL ROLE service_role")
        assert await connection.fetchval(count) == total == len(SESSIONS)

        await connection.execute("SET LOCAL ROLE authenticated")
        assert await connection.fetchval(count) == 0

        await connection.execute(f"SET LOCAL request.jwt.claim.sub = '{USER}'")
        assert await connection.fetchval(count) == 1
