"""Two owners' records, thought out so that what the views tell of them is known."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from agent_mem.cli import seed
from agent_mem.records.behavior import Behavior
from agent_mem.records.binding import Binding
from agent_mem.records.decision import Decision
from agent_mem.records.event import Event
from agent_mem.records.insight import Insight
from agent_mem.records.memory import Memory
from agent_mem.records.pattern import Pattern
from agent_mem.records.record import Record, uuid7
from agent_mem.records.run import Run
from agent_mem.records.session import Session
from agent_mem.records.skill import Skill
from agent_mem.records.skill_load import SkillLoad
from agent_mem.records.snapshot import Snapshot
from agent_mem.records.solution import Solution
from agent_mem.records.sync_pass import SyncPass
from agent_mem.records.work import Work
from agent_mem.storage.postgres import Postgres, asyncpg
from agent_mem.storage.store import Store
from agent_mem.storage.sync.syncer import unindexed

Connection = Any
"""asyncpg's, which has no types."""

NOW = datetime.now(UTC)
USER = "01a1fc02-2963-73cb-b534-6c640c66db30"
ODOO, DEVOPS, ARCHIVIST = "odoo_developer", "devops_engineer", "archivist"


def ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


def lasting(started: datetime, minutes: float, **more: object) -> Session:
    ended = started + timedelta(minutes=minutes)
    base = {"agent_name": ODOO, "started_at": started, "ended_at": ended}
    return Session.model_validate({**base, **more})


FIRST = lasting(ago(hours=2), 60, status="completed", source="desktop", user_id=USER)
FORGOTTEN = lasting(ago(days=4), 5, status="completed", deleted_at=NOW)
SESSIONS = [
    FIRST,
    FORGOTTEN,
    lasting(ago(hours=26), 20, status="completed"),
    lasting(ago(days=2), 10, status="completed"),
    lasting(ago(days=3), 30, status="failed"),
    Session(agent_name=ODOO, started_at=ago(minutes=5), user_id="u2"),
    lasting(ago(days=100), 10, agent_name=DEVOPS, status="abandoned"),
]


def event(ts: datetime, importance: float, **more: object) -> Event:
    base = {"agent_name": ODOO, "event_type": "note", "content": f"At {importance}."}
    return Event.model_validate({**base, "ts": ts, "importance": importance, **more})


BROKEN = event(ago(hours=1), 1, event_type="error", session_id=FIRST.id, tags=["x"], role="tool")
NOTED = event(ago(days=2), 0.75, project="p", meta={"n": 1})
KEPT = event(ago(days=6), 0.6, agent_name=ARCHIVIST, session_id=FORGOTTEN.id)
EVENTS = [
    BROKEN,
    NOTED,
    KEPT,
    event(ago(days=1), 0.5),
    event(ago(days=40), 0.25),
    event(ago(days=8), 1),
    event(ago(hours=1), 1, deleted_at=NOW),
]


def synced(started: datetime, seconds: float | None, **more: object) -> SyncPass:
    ended = None if seconds is None else started + timedelta(seconds=seconds)
    base = {"sync_source": "laptop", "sync_started_at": started, "sync_ended_at": ended}
    return SyncPass.model_validate({**base, **more})


PASSES = [
    synced(ago(hours=2), 4, events_synced=10),
    synced(ago(hours=1), 2, events_synced=6),
    synced(ago(minutes=30), 6, status="failed", error_message="Unreachable."),
    synced(ago(days=10), 4, status="failed", error_message="Refused."),
    synced(ago(minutes=1), None, status="running"),
    synced(ago(days=3), 1, events_synced=1, sync_source="tablet"),
    synced(ago(minutes=2), 1, status="failed", error_message="Forgotten.", deleted_at=NOW),
]
GIT = Skill(skill_name="git_operations", description="d", category="deployment")
MAIL = Skill(skill_name="mailgun_send", description="d", version="2.0.0", is_active=False)
BOUND = Binding(agent_name=DEVOPS, skill_id=GIT.id, priority=30, created_at=ago(hours=1))
SKILLS = [
    GIT,
    MAIL,
    Skill(skill_name="gone", description="d", deleted_at=NOW),
    BOUND,
    Binding(agent_name=ODOO, skill_id=GIT.id, priority=50, created_at=ago(hours=2)),
    Binding(
        agent_name="intern", skill_id=GIT.id, priority=10, enabled=False, created_at=ago(days=1)
    ),
    Binding(agent_name="nobody", skill_id=GIT.id, priority=1, deleted_at=NOW),
    SkillLoad(skill_id=GIT.id, agent_name=DEVOPS, created_at=ago(days=2)),
    SkillLoad(skill_id=GIT.id, agent_name=ODOO, created_at=ago(hours=3)),
    SkillLoad(skill_id=GIT.id, agent_name=ODOO, deleted_at=NOW),
]


def decided(hours: float, **more: object) -> Decision:
    base: dict[str, object] = {
        "agent_name": ODOO,
        "project": "p",
        "decision_type": "deploy",
        "question": "Which?",
    }
    base |= {"selected": ["b"], "created_at": ago(hours=hours)}
    return Decision.model_validate({**base, **more})


GOOD = {"success": True, "quality_score": 1, "latency_ms": 100, "outcome_at": ago(hours=2)}
BAD = {"success": False, "quality_score": 0.5, "latency_ms": 300, "outcome_at": ago(hours=1)}
CORRECTED = decided(5, confidence=0.1, **BAD)
STANDING = decided(4, confidence=0.75, **GOOD)
"""What corrected it was forgotten."""
DECISIONS = [
    CORRECTED,
    STANDING,
    decided(3, confidence=0.75, **BAD),
    decided(2, supersedes=CORRECTED.id),
    decided(1, **BAD, supersedes=STANDING.id, deleted_at=NOW),
]
RUNNER = Behavior(agent_name=ODOO, name="hourly", action="analyze", schedule="0 * * * *")
IDLE = Behavior(agent_name=ODOO, name="never", action="prune", enabled=False)


def ran(hours: float, **more: object) -> Run:
    return Run.model_validate({"behavior_id": RUNNER.id, "started_at": ago(hours=hours), **more})


def insight(**more: object) -> Insight:
    base = {"agent_name": ARCHIVIST, "behavior_id": RUNNER.id, "run_id": RUNNER.id}
    return Insight.model_validate({**base, "topic": "ports", "content": "c", **more})


FOUND = insight(relevance=0.25, created_at=ago(hours=3))
BEHAVIORS = [
    RUNNER,
    IDLE,
    Behavior(agent_name=ODOO, name="gone", action="prune", deleted_at=NOW),
    ran(6, status="complete", duration_ms=200),
    ran(5, status="failed", duration_ms=200, error="Older."),
    ran(3, status="complete", duration_ms=100),
    ran(2, status="failed", duration_ms=300, error="Latest."),
    ran(1),
    ran(0.5, status="failed", error="Forgotten.", deleted_at=NOW),
    FOUND,
    insight(deleted_at=NOW),
]
SAID = Memory(
    agent_name=ARCHIVIST, content="Said.", kind="preference", relevance=0.8, occurred_at=ago(days=9)
)
PLAIN = Memory(agent_name=ARCHIVIST, content="Plain.", relevance=0, created_at=ago(hours=5))
CHOICE = decided(8, agent_name=ARCHIVIST, decision_type="general", project=None)
STATE = Snapshot(agent_name=ARCHIVIST, context_data={"a": 1}, importance=5, created_at=ago(hours=6))
SOLVED = Solution(
    agent_name=ARCHIVIST,
    problem_signature="s",
    problem_description="A problem.",
    solution="x",
    last_used=ago(hours=7),
)
LEARNED = Pattern(
    agent_name=ARCHIVIST,
    pattern_type="deploy",
    description="It works.",
    choice="push",
    works=True,
    confidence=0.98,
    success_rate=0.9,
    sample_size=10,
    other_rate=0.1,
    other_size=10,
    created_at=ago(hours=4),
)
DONE = Work(
    agent_name=ARCHIVIST, action="Sort.", signature="sort", success=True, created_at=ago(hours=9)
)
FAILED = Work(
    agent_name=ARCHIVIST, action="Bind.", signature="bind", success=False, created_at=ago(hours=10)
)
CHANGE = Work(agent_name=ARCHIVIST, action="update_task", output={"status": "done"})
"""One of a task, which is found with the task only."""
REMEMBERED = [
    SAID,
    LEARNED,
    DONE,
    FAILED,
    CHANGE,
    LEARNED.model_copy(update={"id": uuid7(), "deleted_at": NOW}),
    DONE.model_copy(update={"id": uuid7(), "deleted_at": NOW}),
    PLAIN,
    CHOICE,
    STATE,
    SOLVED,
    STATE.model_copy(update={"id": uuid7(), "deleted_at": NOW}),
    SOLVED.model_copy(update={"id": uuid7(), "problem_signature": "t", "deleted_at": NOW}),
    Memory(agent_name=ARCHIVIST, content="Gone.", deleted_at=NOW),
]
STRANGERS = [
    lasting(ago(hours=1), 500, status="failed", id=FIRST.id),
    event(ago(hours=1), 0.9),
    Binding(agent_name="spy", skill_id=GIT.id, priority=0),
    Skill(skill_name="spying", description="d"),
    decided(1, **BAD),
    Behavior(id=IDLE.id, agent_name=ODOO, name="theirs", action="prune"),
    insight(),
    ran(0.1, behavior_id=IDLE.id, status="failed", error="Theirs."),
    synced(ago(minutes=1), 99, status="failed", error_message="Theirs."),
]
"""Another owner's rows, which point to ours where they can."""

OURS: list[Record] = [
    *SESSIONS,
    *EVENTS,
    *PASSES,
    *SKILLS,
    *DECISIONS,
    *BEHAVIORS,
    *REMEMBERED,
]
MACHINES = (("laptop", 5, 9), ("laptop", 0, 2), ("desktop", 3, 1))
"""Where a file is, how many changes it is behind, and hours since it was seen."""


async def fill(url: str) -> None:
    """Write what two owners have, and how far their machines are."""
    async with Postgres.open(url, "team") as engine:
        store = Store(engine, "team", unindexed)
        await store.put(*OURS)
        (head,) = await store.rows("sync.head")
        for host, behind, hours in MACHINES:
            ids = {"id": uuid7(), "host": host, "ver": head["ver"] - behind}
            await seen(store, ids, ago(hours=hours))
    async with Postgres.open(url, "stranger") as engine:
        store = Store(engine, "stranger", unindexed)
        await store.put(*STRANGERS)
        await seen(store, {"id": uuid7(), "host": "laptop", "ver": 0}, NOW)


async def seen(store: Store, ids: Mapping[str, object], at: datetime) -> None:
    """Have a machine come twice: the first time nothing is known of it."""
    for _ in range(2):
        await store.engine.write(store.asking("sync.meet", **ids, at=at, met=0))


async def deploy(url: str) -> None:
    """Write what one owner has, with the skills of the pack."""
    pack = json.loads(seed.PACKS["ops-team"].read_text(encoding="utf-8"))
    taught = {entry["skill_name"]: seed.skill("team", entry) for entry in pack["skills"]}
    bound = seed.bindings("team", pack["bindings"], taught)
    async with Postgres.open(url, "team") as engine:
        store = Store(engine, "team", unindexed)
        await store.put(*taught.values(), *bound, *SESSIONS, *EVENTS, *PASSES)


@asynccontextmanager
async def undone(url: str) -> AsyncGenerator[Connection]:
    """Connect as a superuser, and undo all that was done."""
    connection = await asyncpg.connect(url, statement_cache_size=0)
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield connection
    finally:
        await transaction.rollback()
        await connection.close()
