"""What a conversation said and did, from its transcript into the memory. Twice is as once."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from anyio.to_thread import run_sync

from agent_mem.app import App
from agent_mem.behaviors.solving import counting, known_as
from agent_mem.hooks.spool import Job
from agent_mem.hooks.transcript import Json, Reading, read
from agent_mem.hooks.working import News, Solved, news, snapshot, still_open, tasks
from agent_mem.records.event import Event
from agent_mem.records.record import named_id, now
from agent_mem.records.session import Session
from agent_mem.records.signature import signature
from agent_mem.records.snapshot import KEPT, Snapshot
from agent_mem.records.solution import Solution
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import decode
from agent_mem.tools.scope import session_id

T = TypeVar("T")

BATCH: Final = 50
"""Events of one transaction: others write in between."""
WEIGHT: Final = {"user": 0.5, "assistant": 0.4}
SOURCE: Final = "claude-code"


class Mark(NamedTuple):
    """How far a transcript was read."""

    offset: int
    head: str
    tasks: Json

    @classmethod
    def of(cls, session: Session | None) -> "Mark":
        found: Json = session.meta.get("transcript", {}) if session else {}
        return cls(found.get("offset", 0), found.get("head", ""), found.get("tasks", {}))


class Conversation(NamedTuple):
    """Whose events these are, and where they belong."""

    key: UUID
    agent: str
    project: str | None

    def event(self, app: App, of: str, what: str, content: str, at: datetime, **more: Any) -> Event:  # noqa: ANN401 - a record's fields
        """Make the event that this part of the transcript always gives."""
        return Event(
            id=named_id("transcript", app.store.owner, str(self.key), of),
            session_id=self.key,
            agent_name=self.agent,
            project=self.project,
            created_at=at,
            ts=at,
            event_type=what,
            content=content,
            tags=["transcript"],
            **more,
        )


async def capture(app: App, job: Job) -> None:
    """Save what a transcript tells that is new.

    Raises:
        OSError: it cannot be read.
    """
    whose = Conversation(session_id(app, job.session), app.settings.agent, app.where(job.project))
    while await reading_on(app, job, whose):
        pass


async def reading_on(app: App, job: Job, whose: Conversation) -> bool:
    """Read a part of a transcript and save it; tell whether to read on."""
    mark = Mark.of(await app.store.get(Session, whose.key))
    path = Path(job.transcript)
    reading = await aside(partial(read, path, job.session, mark.offset, mark.head))
    new = await aside(partial(news, reading))
    events = [
        *(
            whose.event(app, s.id, "message", s.text, s.at, role=s.role, importance=WEIGHT[s.role])
            for s in new.said
            if s.role in WEIGHT
        ),
        *(
            whose.event(app, call.id, "error", text, call.at, role="tool", importance=0.6)
            for call, text in new.failed
        ),
    ]
    for batch in batches(events):
        await app.store.engine.write(adding(app, batch))
    for solved in new.solved:
        await learned(app, whose, solved)
    kept = await app.store.engine.write(keeping(app, job, whose, mark, reading, new))
    return not kept or reading.more


async def aside(work: "partial[T]") -> T:
    """Do in a thread what takes long; who has no time for it leaves it to itself."""
    return await run_sync(work, abandon_on_cancel=True)


def batches(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    for start in range(0, len(events), BATCH):
        yield events[start : start + BATCH]


def adding(app: App, events: Sequence[Event]) -> Transaction[list[Event]]:
    """Write the events that are not there yet, nor were and have been forgotten."""
    new: list[Event] = []
    for event in events:
        if (yield from app.store.getting(Event, event.id, forgotten=True)) is None:
            yield from app.store.saving(event)
            new.append(event)
    return new


async def learned(app: App, whose: Conversation, solved: Solved) -> None:
    """Count what solved a problem, once."""
    key = await known_as(app, solved.problem)
    first = Solution(
        id=key,
        agent_name=whose.agent,
        project=whose.project,
        problem_signature=signature(solved.problem),
        problem_description=solved.problem,
        solution=solved.solution,
    )
    text = f"{solved.problem}\n{solved.solution}"
    fix = whose.event(app, f"{solved.call.id}:fix", "fix", text, solved.call.at, role="tool")

    def learning() -> Transaction[None]:
        if (yield from adding(app, [fix])):
            yield from counting(app, first, worked=True)

    await app.store.engine.write(learning())


def keeping(  # noqa: PLR0917 - what one reading is
    app: App, job: Job, whose: Conversation, mark: Mark, reading: Reading, new: News
) -> Transaction[bool]:
    """Note how far the transcript was read and where the work stands, unless somebody else did."""
    session = yield from app.store.getting(Session, whose.key, forgotten=True)
    if Mark.of(session) != mark:
        return False
    after = tasks(mark.tasks, new.called)
    rows = yield app.store.query(
        "context_snapshots.latest",
        session_id=str(whose.key),
        project=None,
        agent=None,
        now=now(),
        limit=1,
    )
    before = [decode(Snapshot, row) for row in rows]
    context = snapshot(before[0].context_data if before else {}, new, still_open(after))
    if new.said or new.called:
        yield from app.store.saving(standing(app, whose, context))
    yield from app.store.saving(begun(job, whose, session, reading, after))
    return True


def standing(app: App, whose: Conversation, context: Json) -> Snapshot:
    """Make the one snapshot that a conversation has of its transcript."""
    return Snapshot(
        id=named_id("transcript", app.store.owner, str(whose.key)),
        session_id=whose.key,
        agent_name=whose.agent,
        project=whose.project,
        context_data=context,
        created_at=now(),
        expires_at=now() + KEPT,
        tags=["transcript"],
    )


def begun(
    job: Job, whose: Conversation, session: Session | None, reading: Reading, after: Json
) -> Session:
    """Bring a conversation's record up to date."""
    known = session or Session(
        id=whose.key,
        agent_name=whose.agent,
        project=whose.project,
        source=SOURCE,
        started_at=reading.begun or now(),
        meta={"name": job.session},
    )
    ended = job.event == "SessionEnd"
    mark = {"offset": reading.offset, "head": reading.head, "tasks": after}
    return known.model_copy(
        update={
            "meta": {**known.meta, "transcript": mark},
            "status": "completed" if ended else "active",
            "ended_at": (reading.ended or now()) if ended else None,
        }
    )
