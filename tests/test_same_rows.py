"""Every named query that both databases have gives the same rows on both, for the same data."""

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from helpers_engines import plain, restore, stored

from agent_mem.config import Settings
from agent_mem.records.agent import Agent
from agent_mem.records.behavior import Behavior
from agent_mem.records.binding import Binding
from agent_mem.records.checkpoint import Checkpoint
from agent_mem.records.decision import Decision
from agent_mem.records.event import Event
from agent_mem.records.insight import Insight
from agent_mem.records.loser import Loser
from agent_mem.records.memory import Memory
from agent_mem.records.outcome import Outcome
from agent_mem.records.pattern import Pattern
from agent_mem.records.receipt import Receipt
from agent_mem.records.record import Record
from agent_mem.records.run import Run
from agent_mem.records.session import Session
from agent_mem.records.signal import Signal
from agent_mem.records.skill import Skill, sha256
from agent_mem.records.skill_file import SkillFile
from agent_mem.records.skill_load import SkillLoad
from agent_mem.records.snapshot import Snapshot
from agent_mem.records.state import State
from agent_mem.records.sync_pass import SyncPass
from agent_mem.records.task import Task
from agent_mem.records.work import Work
from agent_mem.storage.blocks import queries
from agent_mem.storage.postgres import Postgres
from agent_mem.storage.sqlite import SQLite
from agent_mem.storage.statements import Row
from agent_mem.storage.store import Store

pytestmark = pytest.mark.anyio

Case = Mapping[str, Any]
Pair = tuple[Store, Store]

START = datetime(2026, 5, 1, 12, 30, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)
# By code points; every language of the world sorts them otherwise.
NAMES = ("Zebra", "_x", "a", "a b", "ab", "B", "éclair", "zebra", "日本", "🦆")
WHO: tuple[Case, ...] = tuple(
    {"project": project, "agent": agent} for project, agent in product((None, "p"), (None, "a"))
)


def key(number: int) -> UUID:
    return UUID(int=number << 64)


SESSION, PARENT, SKILL = key(1), key(301), key(701)
DIGEST = sha256(b"")


def stamps(number: int, name: str) -> dict[str, Any]:
    """Say what all records of a number have alike: some times are the same, some were forgotten."""
    return {
        "owner": "me",
        "id": key(number),
        "hlc": number,
        "created_at": START + number % 100 // 2 * HOUR,
        "updated_at": START + number % 100 // 3 * HOUR,
        "deleted_at": START if number % 7 == 0 else None,
        "agent_name": "a" if number % 2 else name,
        "project": (None, "p", "q")[number % 3],
    }


def dataset() -> Iterator[Record]:
    for n, name in enumerate(NAMES * 2, 1):
        yield from remembered(n, name)
        yield from acting(n, name)
        yield from working(n, name)


def remembered(n: int, name: str) -> Iterator[Record]:
    when = START + n // 2 * HOUR
    yield Session(**stamps(n, name), started_at=when)
    yield Event(
        **stamps(100 + n, name),
        session_id=SESSION if n % 2 else None,
        ts=when,
        event_type="error" if n % 3 else "note",
        content=name,
    )
    yield Memory(
        **stamps(200 + n, name),
        topic=name if n % 4 else None,
        content=name,
        content_hash=name,
        superseded_by=key(1) if n % 5 == 0 else None,
    )
    yield Decision(
        **stamps(300 + n, name),
        question=name,
        selected=[name],
        parent_id=key(300 + n // 2) if n > 1 else None,
        supersedes=key(300 + n - 1) if n % 6 == 0 else None,
        question_signature=NAMES[n % 3],
        confidence=n % 5 / 4,
        quality_score=n % 3 / 2,
        latency_ms=n if n % 4 else None,
        success=(None, True, False)[n % 3],
        outcome_at=when if n % 3 else None,
    )
    ours = {k: v for k, v in stamps(n, name).items() if k not in ("project", "id")}
    yield Outcome(**ours, id=key(1200 + n), decision_id=key(301 + n % 3), success=n % 2 == 0)
    yield Pattern(
        **stamps(1300 + n, name),
        pattern_type=NAMES[n % 3],
        description=name,
        choice=name,
        works=n % 2 == 0,
        confidence=n % 4 / 4,
        success_rate=0.5,
        sample_size=n,
        other_rate=0.25,
        other_size=n,
        faded_at=when if n % 5 == 0 else None,
    )
    yield Snapshot(
        **stamps(400 + n, name),
        session_id=SESSION if n % 2 else None,
        context_data={"n": n},
        expires_at=when,
    )
    yield Task(**stamps(500 + n, name), title=name, status="done" if n % 4 == 0 else "todo")
    yield Work(
        **stamps(600 + n, name),
        task_id=SESSION if n % 2 else None,
        action=name,
        signature=NAMES[n % 4],
        success=(None, True, False)[n % 4 - 1] if n % 4 else None,
        claimed_at=START + n // 4 * HOUR,
        lease_until=when,
    )


def acting(n: int, name: str) -> Iterator[Record]:
    ours = {k: v for k, v in stamps(n, name).items() if k not in ("agent_name", "project", "id")}
    yield Skill(**ours, id=key(700 + n), skill_name=name, description="d", is_active=n % 6 != 0)
    yield SkillLoad(**ours, id=key(2100 + n), skill_id=key(701 + n % 3), agent_name=name)
    yield SkillFile(
        **ours,
        id=key(2000 + n),
        skill_id=SKILL,
        path="a/b.md" if n % 3 else "c",
        part=n,
        media_type="text/markdown",
        digest=DIGEST,
        content=name,
    )
    agent = "a" if n <= len(NAMES) else f"of {name}"
    yield Binding(**ours, id=key(800 + n), agent_name=agent, skill_id=key(700 + n), priority=n % 3)
    yield Behavior(**ours, id=key(900 + n), agent_name=f"{agent}{n % 5}", name=name, action="x")
    yield Run(
        **ours,
        id=key(1400 + n),
        behavior_id=key(901 + n % 3),
        trigger="daily" if n % 2 else "manual",
        started_at=START + n // 2 * HOUR,
        status=("running", "failed", "complete", "needs_agent")[n % 4],
        due_at=START + n * HOUR if n % 3 else None,
        lease_until=START + n * HOUR,
        run_by=f"file:{n}" if n % 2 else f"other:{n}",
        retry_at=START + n // 3 * HOUR if n % 4 == 1 else None,
        attempt_of=key(1400) if n % 11 == 0 else None,
    )
    yield Insight(
        **ours,
        id=key(1500 + n),
        agent_name=agent,
        project=(None, "p", "q")[n % 3],
        behavior_id=key(901),
        run_id=key(1401),
        topic=name,
        content=name,
        relevance=n % 4 / 4,
        promoted_to=key(1) if n % 6 == 0 else None,
    )
    yield SyncPass(
        **ours, id=key(1000 + n), sync_source=name, sync_started_at=START + n // 2 * HOUR
    )
    yield Loser(
        **ours, id=key(1100 + n), record="tasks", record_id=SESSION, body={"n": n}, reason=name
    )


def working(n: int, name: str) -> Iterator[Record]:
    ours = {k: v for k, v in stamps(n, name).items() if k not in ("agent_name", "project", "id")}
    agent = "a" if n % 3 else name
    yield Agent(**ours, id=key(1400 + n), agent_name=f"{name}{n}", capabilities=[name])
    yield State(
        **ours,
        id=key(1500 + n),
        agent_name=agent,
        state={"n": n},
        revision=1 + n // 2,
        parent_id=key(1500 + n - 2) if n % 4 else None,
    )
    yield Checkpoint(
        **ours,
        id=key(1600 + n),
        agent_name=agent,
        label=NAMES[n % 3],
        revision=n,
        state_id=key(1500 + n),
    )
    yield Signal(
        **ours,
        id=key(1700 + n),
        sender=agent,
        targets=([], ["a"], [name, "b"], ["b,a", '"'])[n % 4],
        signal_type=NAMES[n % 2],
        expires_at=START + n * HOUR if n % 5 else None,
    )
    for agent in ("a", "b"):
        yield Receipt(
            **ours,
            id=key((1800 if agent == "a" else 1900) + n),
            signal_id=key(1700 + n % 9 * 2),
            agent_name=agent,
            lease_until=START + n * HOUR if n % 2 else None,
            processed_at=None if n % 2 else START,
        )


def limited(*cases: Case) -> list[Case]:
    """Ask for all of it, and for some."""
    return [{**case, "limit": limit} for case, limit in product(cases, (1000, 4))]


WINDOWS = [{"since": START + 2 * HOUR, "project": project} for project in (None, "p")]
WORK = [{"signature": name, "project": project} for name, project in product(NAMES, (None, "p"))]
CHAIN: list[Case] = [{"id": PARENT}, {"id": key(305)}, {"id": key(316)}, {"id": key(9)}]
QUESTIONS = [{"signature": n, "project": p} for n, p in product(NAMES[:3], (None, "p"))]
ASKED: list[Case] = [
    {**window, **who, "until": START + 7 * HOUR, "type": t, "outcome": o, "corrected": c}
    for window, who in zip(WINDOWS, WHO[::2], strict=True)
    for t in (None, "general", "x")
    for o, c in product((None, "success", "failure", "open"), (0, 1))
]
SIGNALLED: list[Case] = [
    {"agent": agent, "now": START + hours * HOUR}
    for agent, hours in product(("a", "b", '"', "Zebra", "nobody"), (0, 6, 11, 99))
]
CASES: dict[str, list[Case]] = {
    "agent_state.current": [{"agent": "a"}, {"agent": "ab"}, {"agent": "x"}],
    "agent_state.lost": limited(
        *[{"agent": "a", "current": key(1520), "since": START + n * HOUR} for n in range(3)]
    ),
    "agent_state.numbered": [{"agent": "a", "revision": n} for n in range(12)],
    "agents.listed": limited({"agent": None}, {"agent": "Zebra1"}),
    "agents.seen": [{"agent": "a"}, {"agent": "b"}, {"agent": "nobody"}],
    "checkpoints.of_agent": limited(*[{"agent": "a", "label": n} for n in (None, *NAMES[:3])]),
    "signals.counted": SIGNALLED,
    "signals.sent": limited({"agent": "a", "type": None}, {"agent": "a", "type": NAMES[1]}),
    "signals.waiting": limited(*[{**c, "type": t} for c in SIGNALLED for t in (None, NAMES[0])]),
    "signal_receipts.of_signal": limited(*[{"signal_id": key(1700 + n)} for n in range(9)]),
    "agent_skill_bindings.of_agent": [{"agent": "a"}],
    "behaviors.all": [{"agent": None}, {"agent": "a1"}],
    "behaviors.of_agent": [{"agent": "a1"}, {"agent": "a2"}],
    "behavior_runs.last_due": [{}],
    "behavior_runs.latest": [{}],
    "behavior_runs.lost": [
        {"now": START + n * HOUR, "gone": gone} for n, gone in product((0, 9), (None, "file:"))
    ],
    "behavior_runs.of_behavior": limited({"behavior_id": key(901)}, {"behavior_id": key(902)}),
    "behavior_runs.retried": [{}],
    "behavior_runs.under_way": [
        {"behavior_id": key(901 + n), "now": START + 5 * HOUR} for n in range(3)
    ],
    "behavior_runs.waiting": limited({}),
    "behaviors.named": [{"name": n, "agent": f"a{i}"} for n, i in product(NAMES, range(5))],
    "context_snapshots.latest": limited(
        *[{**who, "session_id": s, "now": START} for who in WHO for s in (None, str(SESSION))]
    ),
    "decisions.ancestors": limited(*CHAIN),
    "decisions.chain": CHAIN,
    "decisions.corrections": [{"id": key(300 + n)} for n in range(20)],
    "decisions.descendants": limited(*CHAIN),
    "decisions.evidence": limited(*[{**window, "until": START + 8 * HOUR} for window in WINDOWS]),
    "decisions.failed": limited(*WINDOWS),
    "decisions.led_by": CHAIN,
    "decisions.measured": ASKED,
    "decisions.ranked": [{**asked, "middle": 3, "late": 5} for asked in ASKED],
    "decisions.of_question": limited(*QUESTIONS),
    "decisions.recent": limited(*WHO),
    "decisions.reviewed": limited(*ASKED),
    "decisions.waiting": limited(*[{**who, "before": START + 8 * HOUR} for who in WHO]),
    "events.between": limited(*[{**window, "until": START + 7 * HOUR} for window in WINDOWS]),
    "events.errors": limited(*WHO),
    "events.of_session": limited({"session_id": SESSION}),
    "insights.digest": [*WINDOWS],
    "insights.weightiest": limited(
        *[{"least": n, "since": START, "project": p} for n, p in product((0.0, 0.6), (None, "p"))]
    ),
    "insights.promotable": limited(*[{**window, "least": 0.25} for window in WINDOWS]),
    "memories.agent_names": [{}],
    "memories.all_of_topic": [{"topic": name} for name in NAMES],
    "memories.of_agent": limited({"agent": "a"}, {"agent": "Zebra"}),
    "memories.of_topic": limited(*[{"topic": name} for name in NAMES]),
    "memories.project_names": [{}],
    "memories.same": [{"content_hash": name} for name in NAMES],
    "memories.topic_names": [{}],
    "memories.topics": limited({"after": ""}, {"after": "Zebra"}, {"after": "éclair"}),
    "memories.touched": limited(*WINDOWS),
    "memory_sync_log.latest": limited({}),
    "record_history.latest": limited({}),
    "outcomes.of_decision": [{"id": key(300 + n)} for n in range(5)],
    "patterns.holding": limited({"project": None}, {"project": "p"}),
    "patterns.listed": limited(
        *[
            {"faded": faded, "type": t, "project": p}
            for faded, t, p in product((0, 1), (None, NAMES[1]), (None, "p"))
        ]
    ),
    "record_history.of_record": limited({"record": "tasks", "record_id": SESSION}),
    "sessions.newest": limited({"before": START + 9 * HOUR}, {"before": START}),
    "skill_files.pieces": [{"skill_id": SKILL, "path": "a/b.md", "digest": DIGEST}],
    "skill_loads.counted": [{}],
    "skills.all": [{}],
    "tasks.listed": limited(
        *[{**who, "status": s} for who in WHO for s in ("open", "all", "done", "todo")]
    ),
    "work_history.of_task": limited({"task_id": SESSION}),
    "work_history.results": limited(*WORK),
    "work_history.under_way": limited(*[{**case, "now": START + 3 * HOUR} for case in WORK]),
}
OF_ONE_DATABASE = {
    "ledger.create",
    "ledger.all",
    "ledger.add",
    "local.tick",
    "local.advance",
    "local.last_change",
    "behaviors.note_status",
    "skill_approvals.add",
    "skill_approvals.all",
    "skill_approvals.here",
}
"""Each database has a ledger, a clock, a last status and approvals of its own, with other tests."""
INDEX = ("passages.", "memory_index.")
"""Each database has keys of its own for what recall searches: what is found is compared."""


@pytest.fixture
async def pair(settings: Settings, server_url: str) -> AsyncGenerator[Pair]:
    async with SQLite.open(settings.db) as here, Postgres.open(server_url, "me") as there:
        yield stored(here), stored(there)


def test_no_query_that_both_databases_have_is_left_out() -> None:
    both = queries("sqlite").keys() & queries("postgres").keys()

    assert {name for name in both if not name.startswith(INDEX)} == CASES.keys() | OF_ONE_DATABASE


async def test_every_query_gives_the_same_rows_on_both(pair: Pair) -> None:
    here, there = pair
    records = list(dataset())
    await restore(here, records)
    await restore(there, records[::-1])  # no order is owed to how they came
    for name, cases in CASES.items():
        found = 0
        for case in cases:
            mine, theirs = await here.rows(name, **case), await there.rows(name, **case)
            assert common(mine) == common(theirs), (name, case)
            found += len(mine)
        assert found, name


def common(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Leave out what the server numbers by itself, and what other programs keep there."""
    return [{k: v for k, v in row.items() if k not in {"ver", "embedding"}} for row in plain(rows)]
