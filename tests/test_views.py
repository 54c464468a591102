"""What analysts read of a PostgreSQL: the views."""

import re
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from helpers_postgres import Cluster
from helpers_views import (
    ARCHIVIST,
    BROKEN,
    CHOICE,
    DEVOPS,
    DONE,
    FAILED,
    FOUND,
    GIT,
    IDLE,
    KEPT,
    LEARNED,
    MAIL,
    NOTED,
    ODOO,
    OURS,
    PLAIN,
    RUNNER,
    SAID,
    SOLVED,
    STATE,
    USER,
    Connection,
    ago,
    fill,
    undone,
)

from agent_mem.records import FINDABLE

pytestmark = pytest.mark.anyio

DOCS = Path(__file__).parent.parent / "docs"
VIEWS = (
    "agent_performance_summary",
    "behavior_health",
    "decision_outcomes",
    "important_events_recent",
    "memory_timeline",
    "skill_usage_summary",
    "sync_health",
)
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def filled(cluster: Cluster) -> Generator[str]:
    """Give a database with two owners' records, for a superuser."""
    with cluster.database() as name:
        anyio.run(fill, cluster.url(name))
        yield cluster.server.url(name)


async def act_as(connection: Connection, role: str, owner: str) -> None:
    """Become a role that may read everything, as far as the policies let it."""
    await connection.execute(
        f"CREATE ROLE {role}; GRANT USAGE ON SCHEMA agent_mem TO {role};"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA agent_mem TO {role}; SET LOCAL ROLE {role};"
    )
    await connection.execute("SELECT set_config('agent_mem.owner', $1, true)", owner)


async def read(url: str, view: str, order: str, owner: str = "team") -> Rows:
    """Read a view as one of its owners."""
    async with undone(url) as connection:
        await act_as(connection, "bi", owner)
        rows = await connection.fetch(f"SELECT * FROM agent_mem.{view} ORDER BY {order}")  # noqa: S608 - ours
        return [dict(row) for row in rows]


async def test_the_performance_of_an_agent_is_told_by_its_sessions_and_events(filled: str) -> None:
    archivist, devops, odoo = await read(filled, "agent_performance_summary", "agent_name")

    none = dict.fromkeys(f"{s}_sessions" for s in ("total", "active", "completed", "failed"))
    none = dict.fromkeys((*none, "abandoned_sessions"), 0)
    assert odoo == {
        "owner": "team",
        "agent_name": ODOO,
        "total_sessions": 5,
        "active_sessions": 1,
        "completed_sessions": 3,
        "failed_sessions": 1,
        "abandoned_sessions": 0,
        "completion_rate": 0.75,
        "avg_duration_minutes": 30.0,
        "last_session_at": ago(minutes=5),
        "total_events": 5,
        "avg_importance": 0.7,
        "last_event_at": ago(hours=1),
    }
    assert devops == {
        **none,
        "owner": "team",
        "agent_name": DEVOPS,
        "total_sessions": 1,
        "abandoned_sessions": 1,
        "completion_rate": 0.0,
        "avg_duration_minutes": 10.0,
        "last_session_at": ago(days=100),
        "total_events": 0,
        "avg_importance": None,
        "last_event_at": None,
    }
    assert archivist == {
        **none,
        "owner": "team",
        "agent_name": ARCHIVIST,
        "completion_rate": None,
        "avg_duration_minutes": None,
        "last_session_at": None,
        "total_events": 1,
        "avg_importance": 0.6,
        "last_event_at": ago(days=6),
    }


async def test_the_usage_of_a_skill_is_told_by_who_is_bound_to_it(filled: str) -> None:
    git, mail = await read(filled, "skill_usage_summary", "skill_name")

    assert git == {
        "owner": "team",
        "skill_id": GIT.id,
        "skill_name": "git_operations",
        "category": "deployment",
        "version": "1.0.0",
        "is_active": True,
        "bound_agents": 3,
        "active_bindings": 2,
        "agents": [DEVOPS, ODOO],
        "first_priority": 30,
        "last_bound_at": ago(hours=1),
        "loads": 2,
        "last_used_at": ago(hours=3),
    }
    assert mail == {
        "owner": "team",
        "skill_id": MAIL.id,
        "skill_name": "mailgun_send",
        "category": None,
        "version": "2.0.0",
        "is_active": False,
        "bound_agents": 0,
        "active_bindings": 0,
        "agents": [],
        "first_priority": None,
        "last_bound_at": None,
        "loads": 0,
        "last_used_at": None,
    }


async def test_important_events_are_those_of_the_last_week_with_their_sessions(filled: str) -> None:
    rows = await read(filled, "important_events_recent", "ts DESC")

    assert [row["id"] for row in rows] == [BROKEN.id, NOTED.id, KEPT.id]
    assert rows[0] == {
        "owner": "team",
        "id": BROKEN.id,
        "session_id": BROKEN.session_id,
        "agent_name": ODOO,
        "project": None,
        "source": "desktop",
        "user_id": USER,
        "ts": BROKEN.ts,
        "role": "tool",
        "event_type": "error",
        "content": "At 1.",
        "importance": 1.0,
        "tags": ["x"],
        "meta": "{}",
    }
    # Of no session, and of one that was forgotten.
    assert [(row["project"], row["meta"]) for row in rows[1:]] == [("p", '{"n": 1}'), (None, "{}")]
    assert [(row["source"], row["user_id"]) for row in rows[1:]] == [(None, None)] * 2


async def test_decisions_are_counted_by_how_they_turned_out(filled: str) -> None:
    general, deploying = await read(filled, "decision_outcomes", "agent_name")

    assert deploying == {
        "owner": "team",
        "agent_name": ODOO,
        "project": "p",
        "decision_type": "deploy",
        "decisions": 3,
        "open": 1,
        "succeeded": 1,
        "failed": 1,
        "success_rate": 0.5,
        "avg_confidence": 0.75,
        # Sure to 75%, right in half of the cases.
        "overconfidence": 0.25,
        "avg_quality_score": 0.75,
        "avg_latency_ms": 200.0,
        "last_decision_at": ago(hours=2),
        "last_outcome_at": ago(hours=1),
    }
    unknown = ("success_rate", "avg_confidence", "overconfidence", "avg_quality_score")
    assert general == {
        **dict.fromkeys((*unknown, "avg_latency_ms", "last_outcome_at", "project")),
        "owner": "team",
        "agent_name": ARCHIVIST,
        "decision_type": "general",
        "decisions": 1,
        "open": 1,
        "succeeded": 0,
        "failed": 0,
        "last_decision_at": ago(hours=8),
    }


async def test_the_health_of_a_behavior_is_told_by_its_runs(filled: str) -> None:
    hourly, never = await read(filled, "behavior_health", "name")

    assert hourly == {
        "owner": "team",
        "behavior_id": RUNNER.id,
        "agent_name": ODOO,
        "name": "hourly",
        "trigger_type": "manual",
        "schedule": "0 * * * *",
        "enabled": True,
        "status": "running",
        "runs": 5,
        "completed": 2,
        "failed": 2,
        "success_rate": 0.5,
        "avg_duration_ms": 200.0,
        "last_started_at": ago(hours=1),
        "last_status": "running",
        "last_failed_at": ago(hours=2),
        "last_error": "Latest.",
        "insights": 1,
    }
    unknown = ("success_rate", "avg_duration_ms", "last_started_at", "last_status", "schedule")
    assert never == {
        **dict.fromkeys((*unknown, "last_failed_at", "last_error")),
        **dict.fromkeys(("runs", "completed", "failed", "insights"), 0),
        "owner": "team",
        "behavior_id": IDLE.id,
        "agent_name": ODOO,
        "name": "never",
        "trigger_type": "manual",
        "enabled": False,
        "status": "idle",
    }


async def test_the_health_of_sync_is_told_by_its_passes_and_how_far_a_machine_is(
    filled: str,
) -> None:
    desktop, laptop, tablet = await read(filled, "sync_health", "sync_source")

    assert laptop == {
        "owner": "team",
        "sync_source": "laptop",
        "passes": 5,
        "completed": 2,
        "failed": 2,
        "success_rate": 0.5,
        "events_synced": 16,
        "avg_duration_seconds": 4.0,
        "last_started_at": ago(minutes=1),
        "last_completed_at": ago(hours=1) + timedelta(seconds=2),
        "last_failed_at": ago(minutes=30),
        "last_error": "Unreachable.",
        "last_seen_at": ago(hours=2),
        "versions_behind": 0,
    }
    unknown = ("success_rate", "avg_duration_seconds", "last_started_at", "last_completed_at")
    assert desktop == {
        **dict.fromkeys((*unknown, "last_failed_at", "last_error")),
        **dict.fromkeys(("passes", "completed", "failed", "events_synced"), 0),
        "owner": "team",
        "sync_source": "desktop",
        "last_seen_at": ago(hours=1),
        "versions_behind": 3,
    }
    assert (tablet["passes"], tablet["last_seen_at"], tablet["versions_behind"]) == (1, None, None)


async def test_the_timeline_has_all_that_can_be_found_when_it_was(filled: str) -> None:
    rows = await read(filled, "memory_timeline", "at DESC")
    expected = [
        (ago(hours=3), "insight", "ports", FOUND.id, "c", 0.25, "Low (0.2-0.4)"),
        (ago(hours=4), "pattern", "deploy", LEARNED.id, "It works.", 0.98, "Critical (0.8-1.0)"),
        (ago(hours=5), "memory", "fact", PLAIN.id, "Plain.", 0.0, "Minimal (0.0-0.2)"),
        (ago(hours=6), "snapshot", "session", STATE.id, '{"a": 1}', 0.5, "Medium (0.4-0.6)"),
        (ago(hours=7), "solution", "solution", SOLVED.id, "A problem.", None, None),
        (ago(hours=8), "decision", "general", CHOICE.id, "Which?", None, None),
        (ago(hours=9), "work", "done", DONE.id, "Sort.", None, None),
        (ago(hours=10), "work", "failed", FAILED.id, "Bind.", None, None),
        (ago(days=6), "event", "note", KEPT.id, "At 0.6.", 0.6, "High (0.6-0.8)"),
        (ago(days=9), "memory", "preference", SAID.id, "Said.", 0.8, "Critical (0.8-1.0)"),
    ]
    names = ("at", "record", "kind", "id", "content", "importance", "importance_level")

    assert [row for row in rows if row["agent_name"] == ARCHIVIST] == [
        {
            **dict(zip(names, values, strict=True)),
            "owner": "team",
            "agent_name": ARCHIVIST,
            "project": None,
            "session_id": KEPT.session_id if values[3] == KEPT.id else None,
        }
        for values in expected
    ]
    assert {row["record"] for row in rows} == set(FINDABLE)
    kept = [record for record in OURS if record.deleted_at is None and record.findable()]
    assert sorted(row["id"] for row in rows) == sorted(record.id for record in kept)


@pytest.mark.parametrize("view", VIEWS)
async def test_owners_do_not_see_each_other_in_a_view(filled: str, view: str) -> None:
    for owner, expected in (("team", {"team"}), ("stranger", {"stranger"}), ("", set[str]())):
        rows = await read(filled, view, "owner", owner)
        assert {row["owner"] for row in rows} == expected


@pytest.mark.parametrize("view", VIEWS)
async def test_who_sees_all_owners_sees_them_apart(filled: str, view: str) -> None:
    """A join that forgot the owner would count a stranger's rows as ours."""
    async with undone(filled) as connection:
        rows = await connection.fetch(f"SELECT * FROM agent_mem.{view}")  # noqa: S608 - ours
    both = [dict(row) for row in rows]

    assert {row["owner"] for row in both} == {"team", "stranger"}
    alone = await read(filled, view, "owner") + await read(filled, view, "owner", "stranger")
    assert sorted(map(str, both)) == sorted(map(str, alone))


async def test_there_are_these_views_and_each_column_is_documented(filled: str) -> None:
    async with undone(filled) as connection:
        rows = await connection.fetch(
            "SELECT c.relname, c.reloptions, array_agg(a.attname::text ORDER BY a.attnum) AS names"
            " FROM pg_class c"
            " JOIN pg_attribute a ON a.attrelid = c.oid"
            " WHERE c.relkind = 'v' AND c.relnamespace = 'agent_mem'::regnamespace GROUP BY 1, 2"
        )
    told = (DOCS / "analytics.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^#|\Z)", told, re.DOTALL | re.MULTILINE))

    assert {row["relname"] for row in rows} == set(VIEWS) == set(sections)
    for row in rows:
        assert row["reloptions"] == ["security_invoker=true"]
        assert set(row["names"]) == set(
            re.findall(r"^\| `(\w+)`", sections[row["relname"]], re.MULTILINE)
        )


async def test_every_index_begins_with_the_owner(filled: str) -> None:
    """But for those over tags and vectors, whose kinds cannot, and the ledger of nobody."""
    async with undone(filled) as connection:
        rows = await connection.fetch(
            "SELECT indexname AS name, indexdef AS sql FROM pg_indexes"
            " WHERE schemaname = 'agent_mem' AND indexdef NOT LIKE '%(owner%'"
        )

    alone = {"events_tags", "idx_agent_mem_events_embedding", "schema_ledger_pkey"}
    assert {row["name"] for row in rows} == alone


async def test_every_table_of_an_owner_is_distributed_where_the_manual_tells_how(
    filled: str,
) -> None:
    async with undone(filled) as connection:
        rows = await connection.fetch(
            "SELECT tablename AS name FROM pg_tables"
            " WHERE schemaname = 'agent_mem' AND tablename <> 'schema_ledger'"
        )
    told = (DOCS / "postgres.md").read_text(encoding="utf-8")

    distributed = re.findall(r"create_distributed_table\('agent_mem\.(\w+)', 'owner'", told)
    assert sorted(distributed) == sorted(row["name"] for row in rows)
