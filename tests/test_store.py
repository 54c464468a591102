"""What every database promises. A behaviour that is not here is not promised.

PostgreSQL joins by one more parameter of the fixture `engine`.
"""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import anyio
import pytest

from agent_mem.config import Settings
from agent_mem.recall.index import indexing
from agent_mem.records import RECORDS
from agent_mem.records.agent import Agent
from agent_mem.records.behavior import Behavior
from agent_mem.records.binding import Binding
from agent_mem.records.checkpoint import Checkpoint
from agent_mem.records.decision import Decision, Option
from agent_mem.records.event import Event
from agent_mem.records.insight import Insight
from agent_mem.records.loser import Loser
from agent_mem.records.memory import Memory
from agent_mem.records.outcome import Outcome
from agent_mem.records.pattern import Pattern, Version
from agent_mem.records.receipt import Receipt
from agent_mem.records.record import Record, uuid7
from agent_mem.records.run import Run
from agent_mem.records.session import Session
from agent_mem.records.signal import Signal
from agent_mem.records.skill import Skill, sha256
from agent_mem.records.skill_file import SkillFile
from agent_mem.records.skill_load import SkillLoad
from agent_mem.records.snapshot import Snapshot
from agent_mem.records.solution import Solution
from agent_mem.records.state import State
from agent_mem.records.sync_pass import SyncPass
from agent_mem.records.task import Task
from agent_mem.records.work import Work
from agent_mem.storage.sqlite import SQLite
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Engine, Store, decode

pytestmark = pytest.mark.anyio

KEY = UUID("01a1fc02-2963-73cb-b534-6c640c66db30")
THEN = datetime(2026, 5, 1, 12, 30, 0, 123456, tzinfo=UTC)
ODD = 'Zoë said: "it\'s" 50% — done; DROP TABLE memories; -- 日本語 🦆 \u202eRTL'

EXAMPLES: tuple[Record, ...] = (
    Session(agent_name="a", user_id="u", project="p", ended_at=THEN, meta={"name": ODD}),
    Event(agent_name="a", event_type="error", content=ODD, tags=["x", ODD], meta={"n": [1, None]}),
    Memory(agent_name="a", content=ODD, occurred_at=THEN, tags=["x"], source_ids=[str(KEY)]),
    Decision(
        agent_name="a",
        question="Which?",
        selected=["b"],
        options=[Option(name="b", score=0.5), Option(name="c")],
        context={"deep": {"er": [True, 1.5, "x"]}},
        success=False,
        outcome_at=THEN,
    ),
    Outcome(decision_id=KEY, agent_name="a", success=False, quality_score=0.5, error=ODD),
    Pattern(
        agent_name="*",
        pattern_type="t",
        description=ODD,
        conditions={"load": {"above": 0.5}},
        choice="b",
        works=True,
        confidence=0.97,
        success_rate=0.75,
        sample_size=16,
        other_rate=0.25,
        other_size=8,
        shared_with=["*"],
        evidence_ids=[str(KEY)],
        history=[Version(version=1, until="x", confidence=0.96, success_rate=0.5, sample_size=8)],
    ),
    Snapshot(agent_name="a", context_data={"summary": ODD}, expires_at=None),
    Task(agent_name="a", title=ODD, blockers=["one", "two"]),
    Work(agent_name="a", action=ODD, signature="x", input={"n": 1}, success=True, claimed_at=THEN),
    Solution(agent_name="a", problem_signature="x", problem_description="x", solution="y").tried(
        "z", worked=True
    ),
    SkillFile(skill_id=KEY, path="a.md", media_type="x", digest=sha256(b""), content=""),
    Skill(skill_name="s", description="d", body=ODD, spec={"name": "s"}, dependencies=["git"]),
    Binding(agent_name="a", skill_id=KEY, enabled=False, priority=10, config={"k": "v"}),
    SkillLoad(skill_id=KEY, agent_name="a"),
    Behavior(agent_name="a", name="n", action="analyze", params={"hours": 3}, depends_on=["m"]),
    Run(behavior_id=KEY, output={"found": 2}, duration_ms=1.25),
    Insight(agent_name="a", behavior_id=KEY, run_id=KEY, topic="t", content="c"),
    Agent(agent_name="a", role="r", directives=[ODD], capabilities=["c"], config={"k": "v"}),
    State(agent_name="a", state={"n": {"m": [1]}}, revision=2, parent_id=KEY),
    Checkpoint(agent_name="a", label="l", revision=2, state_id=KEY),
    Signal(sender="a", targets=["b", "c"], signal_type="t", payload={"n": ODD}),
    Receipt(signal_id=KEY, agent_name="b", processed_at=THEN, result={"ok": True}),
    SyncPass(sync_source="a-laptop", sync_started_at=THEN, events_synced=2, meta={"sent": 2}),
    Loser(record="memories", record_id=KEY, body={"content": "c"}, reason="A later change won."),
)
STAMPED = {"owner", "updated_at", "hlc", "origin"}


@pytest.fixture(params=["sqlite"])
async def engine(request: pytest.FixtureRequest, settings: Settings) -> AsyncGenerator[Engine]:
    assert request.param == "sqlite"
    async with SQLite.open(settings.db) as opened:
        yield opened


@pytest.fixture
def store(engine: Engine) -> Store:
    return Store(engine, "me", indexing)


def test_every_record_has_an_example_here() -> None:
    assert [type(example) for example in EXAMPLES] == list(RECORDS)


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: record.TABLE)
async def test_what_is_put_is_what_is_got(store: Store, record: Record) -> None:
    await store.put(record)

    got = await store.get(type(record), record.id)

    assert got is not None
    assert got.model_dump(exclude=STAMPED) == record.model_dump(exclude=STAMPED)
    assert (got.owner, got.ver) == ("me", None)


def test_a_row_with_json_of_its_own_is_read_as_one_with_text() -> None:
    """PostgreSQL's driver gives lists and objects, SQLite's their text."""
    event = Event(agent_name="a", event_type="note", content="x", tags=["y"], meta={"z": 1})

    assert decode(Event, event.model_dump()) == event


async def test_a_time_is_the_same_instant_whatever_its_zone(store: Store) -> None:
    east = THEN.astimezone(timezone(timedelta(hours=9)))
    memory = Memory(agent_name="a", content="x", occurred_at=east)
    await store.put(memory)

    got = await store.get(Memory, memory.id)

    assert got is not None
    assert got.occurred_at == THEN


async def test_putting_again_replaces_and_advances_the_clock(store: Store) -> None:
    task = Task(agent_name="a", title="x")
    await store.put(task)
    first = await store.get(Task, task.id)

    await store.put(task.model_copy(update={"status": "done"}))
    second = await store.get(Task, task.id)

    assert first is not None
    assert second is not None
    assert second.status == "done"
    assert second.hlc > first.hlc
    assert second.updated_at >= first.updated_at
    assert second.created_at == first.created_at
    assert second.origin == first.origin


async def test_every_write_has_a_later_clock_than_the_one_before(store: Store) -> None:
    tasks = [Task(agent_name="a", title=str(i)) for i in range(20)]
    await store.put(*tasks)

    clocks = [got.hlc for t in tasks if (got := await store.get(Task, t.id))]

    assert clocks == sorted(set(clocks))
    assert len(clocks) == 20


async def test_owners_never_see_each_other(engine: Engine) -> None:
    mine, yours = Store(engine, "me", indexing), Store(engine, "you", indexing)
    task = Task(agent_name="a", title="secret")
    await mine.put(task)

    assert await yours.get(Task, task.id) is None
    assert (
        await yours.find(Task, "tasks.listed", project=None, agent=None, status="open", limit=9)
        == []
    )

    await yours.put(task.model_copy(update={"title": "another"}))
    kept = await mine.get(Task, task.id)
    assert kept is not None
    assert kept.title == "secret"


async def test_what_was_forgotten_is_kept_but_not_got(store: Store) -> None:
    task = Task(agent_name="a", title="x", deleted_at=THEN)
    await store.put(task)

    kept = await store.engine.read(store.getting(Task, task.id, forgotten=True))

    assert await store.get(Task, task.id) is None
    assert kept is not None
    assert kept.deleted_at == THEN


async def test_an_id_is_found_in_whatever_table_it_is(store: Store) -> None:
    found: list[Record] = []
    for example in EXAMPLES:
        await store.put(example)
        found += await store.engine.read(store.locating(example.id))

    assert [type(r) for r in found] == [m for m in RECORDS if m.KIND]


async def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    task = Task(agent_name="a", title="x")

    def failing() -> Transaction[None]:
        yield from store.saving(task)
        raise LookupError

    with pytest.raises(LookupError):
        await store.engine.write(failing())

    assert await store.get(Task, task.id) is None
    assert (await store.rows("local.waiting"))[0]["n"] == 0


async def test_a_cancelled_caller_does_not_tear_a_transaction(store: Store) -> None:
    """The transaction runs to its end; the caller learns of the cancellation after it."""
    tasks = [Task(agent_name="a", title=str(i)) for i in range(50)]

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(store.put, *tasks)
            await anyio.lowlevel.checkpoint()
            scope.cancel()

    kept = [t for t in tasks if await store.get(Task, t.id)]
    assert len(kept) in (0, 50)


async def test_concurrent_writers_all_succeed(store: Store) -> None:
    tasks = [Task(agent_name="a", title=str(i)) for i in range(100)]

    async with anyio.create_task_group() as group:
        for task in tasks:
            group.start_soon(store.put, task)

    assert all([await store.get(Task, task.id) for task in tasks])


async def test_concurrent_readers_each_see_one_moment(store: Store) -> None:
    """A reader that began before a write does not see half of it."""
    tasks = [Task(agent_name="a", title=str(i)) for i in range(30)]
    seen: set[int] = set()

    async def look() -> None:
        for _ in range(20):
            open_tasks = await store.find(
                Task, "tasks.listed", project=None, agent=None, status="open", limit=99
            )
            seen.add(len(open_tasks))

    async with anyio.create_task_group() as group:
        group.start_soon(look)
        group.start_soon(store.put, *tasks)
        group.start_soon(look)

    assert seen <= {0, 30}


async def test_each_changed_row_waits_once_for_sync(store: Store) -> None:
    task, memory = Task(agent_name="a", title="x"), Memory(agent_name="a", content="x")
    await store.put(task, memory)
    await store.put(task)

    assert (await store.rows("local.waiting"))[0]["n"] == 2


async def test_every_change_is_told_to_other_processes(store: Store) -> None:
    memory = Memory(agent_name="a", content="x", topic="a/b")
    (before,) = await store.rows("local.last_change")
    await store.put(memory)

    told = await store.rows("local.changed_since", n=before["n"])

    assert {row["uri"] for row in told} == {
        f"memory://item/{memory.id}",
        "memory://agents/a",
        "memory://topics",
        "memory://topics/a%2Fb",
    }


def test_ids_are_ordered_by_the_time_they_were_made() -> None:
    ids = [uuid7() for _ in range(200)]

    assert len(set(ids)) == 200
    assert all(key.version == 7 for key in ids)
    assert [key.int >> 80 for key in ids] == sorted(key.int >> 80 for key in ids)
