from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from agent_mem.app import App
from agent_mem.behaviors.prune import UNDO
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.recall.similar import resembling
from agent_mem.records.decision import Decision
from agent_mem.records.fields import Content, Moment, Name, Names, Number, Share
from agent_mem.records.memory import Memory, MemoryKind
from agent_mem.records.record import Record, named_id, now, uuid7
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import decode
from agent_mem.tools.outcomes import outcomes
from agent_mem.tools.scope import (
    Agent,
    Project,
    Scope,
    SessionName,
    entering,
    known_id,
)
from agent_mem.tools.tool import Result

LISTED = 50
EXCERPT = 120
MOST_TAGS = 50


class Brief(Result):
    id: UUID
    text: str


class Remembered(Result):
    id: UUID
    status: Literal["new", "reinforced", "correction", "repeated"]
    similar: list[Brief]


async def remember(
    app: App,
    *,
    content: Annotated[Content, Field(description="One thing to remember, in full sentences")],
    topic: Annotated[Name | None, Field(description="Short name to file it under")] = None,
    kind: MemoryKind = "fact",
    subject: Annotated[Name | None, Field(description="Who or what it is about")] = None,
    occurred_at: Annotated[Moment | None, Field(description="When, ISO 8601")] = None,
    session: SessionName = None,
    relevance: Annotated[Share, Field(description="0 to 1")] = 0.5,
    tags: Names | None = None,
    supersedes: Annotated[Name | None, Field(description="Id of the memory it corrects")] = None,
    expires_in: Annotated[
        Number | None, Field(gt=0, le=36_500, description="Days to keep it; default: for ever")
    ] = None,
    key: Annotated[Name | None, Field(description="Makes a retry harmless")] = None,
    agent: Agent = None,
    project: Project = None,
) -> Remembered:
    """Remember a lasting fact, preference, plan, error or result, for every later conversation.

    Call it whenever you learn something worth knowing next time. The same content again
    reinforces it. When a fact changes, name the old one in supersedes. Returns the id, and
    memories that say nearly the same.
    """
    scope = Scope.of(app, agent, project)
    memory = Memory(
        id=named_id("key", app.store.owner, key) if key else uuid7(),
        agent_name=scope.agent_name,
        project=scope.project,
        topic=topic,
        subject=subject,
        occurred_at=occurred_at,
        kind=kind,
        content=content,
        relevance=relevance,
        tags=tags or [],
        expires_at=now() + timedelta(days=expires_in) if expires_in else None,
    )
    old = known_id(supersedes, "memory") if supersedes else None
    similar = await app.store.engine.read(resembling(app.store, memory))

    def remembering() -> Transaction[Remembered]:
        session_id = yield from entering(app, session, scope)
        new = memory.model_copy(update={"session_id": session_id})
        return (yield from keeping(app, new, old, keyed=key is not None))

    done = await app.store.engine.write(remembering())
    near = [Brief(id=m.id, text=excerpt(m.content)) for m in similar if m.id not in (done.id, old)]
    return done.model_copy(update={"similar": near})


def keeping(app: App, memory: Memory, old: UUID | None, *, keyed: bool) -> Transaction[Remembered]:
    """Write a memory: as new, as a correction of another, or as one more time of the same.

    Raises:
        InvalidInput: its key was used for another memory.
    """
    before = yield from app.store.getting(Memory, memory.id, forgotten=True)
    if before and before.fingerprint() != memory.fingerprint():
        raise InvalidInput(f"This key was used for another memory, `{before.id}`: use a new one.")
    if before:
        if before.deleted_at:
            yield from app.store.saving(before.model_copy(update={"deleted_at": None}))
        return Remembered(id=before.id, status="repeated", similar=[])
    if old is not None:
        return (yield from correcting(app, memory, old))
    memory = memory.model_copy(update={"content_hash": memory.fingerprint()})
    for row in (yield app.store.query("memories.same", content_hash=memory.content_hash)):
        return (yield from reinforcing(app, decode(Memory, row), memory, keyed=keyed))
    yield from app.store.saving(memory)
    return Remembered(id=memory.id, status="new", similar=[])


def reinforcing(app: App, same: Memory, memory: Memory, *, keyed: bool) -> Transaction[Remembered]:
    """Count one more time of the same; a key counts once."""
    if str(memory.id) in same.source_ids:
        return Remembered(id=same.id, status="repeated", similar=[])
    again = {
        "reinforced": same.reinforced + 1,
        "relevance": max(same.relevance, memory.relevance),
        "expires_at": later(same.expires_at, memory.expires_at),
        "source_ids": [*same.source_ids, str(memory.id)] if keyed else same.source_ids,
        "topic": same.topic or memory.topic,
        "tags": [*same.tags, *(tag for tag in memory.tags if tag not in same.tags)][:MOST_TAGS],
    }
    yield from app.store.saving(same.model_copy(update=again))
    return Remembered(id=same.id, status="reinforced", similar=[])


def later(one: datetime | None, other: datetime | None) -> datetime | None:
    """Choose the later end; none is later than any."""
    return max(one, other) if one and other else None


def correcting(app: App, memory: Memory, old: UUID) -> Transaction[Remembered]:
    """Write a correction; what it corrects stays, and is found when asked for its time."""
    before = yield from app.store.getting(Memory, old)
    if before is None:
        raise NotFound(f"There is no memory `{old}` to correct: recall gives the ids.")
    if before.superseded_by:
        raise InvalidInput(
            f"Memory `{old}` was corrected already: correct `{before.superseded_by}`."
        )
    since = memory.occurred_at or memory.created_at
    began = before.valid_from or before.occurred_at or before.created_at
    new = memory.model_copy(
        update={
            "content_hash": memory.fingerprint(),
            "valid_from": since,
            "source_ids": [str(before.id)],
        }
    )
    yield from app.store.saving(new)
    # What was taken to be true until now is found as of then, even if it never was.
    end = {"superseded_by": new.id, "valid_until": since if since > began else memory.created_at}
    yield from app.store.saving(before.model_copy(update=end))
    return Remembered(id=new.id, status="correction", similar=[])


class Forgotten(Result):
    count: int
    forgotten: list[Brief]
    restored: list[Brief]


async def forget(
    app: App,
    *,
    id: Annotated[Name | None, Field(description="What recall gave an id for")] = None,  # noqa: A002 - what a caller calls it
    topic: Annotated[Name | None, Field(description="All memories of a topic")] = None,
    project: Project = None,
    undo: Annotated[bool, Field(description="Bring back what was forgotten")] = False,
) -> Forgotten:
    """Forget one memory, event or decision by id, or all memories of a topic.

    It can be undone for 30 days. Returns what was forgotten (or brought back).
    """
    if (id is None) == (topic is None):
        raise InvalidInput("forget needs either `id` or `topic`, and not both.")
    key = known_id(id, "memory") if id else None

    def forgetting() -> Transaction[list[Record]]:
        where = app.where(project) if topic else None
        named_so = yield from named(app, key, topic, undo=undo)
        found = [r for r in named_so if where in (None, getattr(r, "project", None))]
        for record in found:
            yield from app.store.saving(back(record) if undo else gone(record))
        for record in found:
            yield from (closing if undo else reopening)(app, record)
            yield from beside(app, record, undo=undo)
        return found

    found = await app.store.engine.write(forgetting())
    if not found:
        raise NotFound(missing(id, topic, undo=undo))
    briefs = [Brief(id=r.id, text=excerpt(text_of(r))) for r in found[:LISTED]]
    return Forgotten(
        count=len(found), forgotten=[] if undo else briefs, restored=briefs if undo else []
    )


def gone(record: Record) -> Record:
    return record.model_copy(update={"deleted_at": now()})


def back(record: Record) -> Record:
    """Bring a record back, to stay: a date that has passed does not take it away again."""
    expires: datetime | None = getattr(record, "expires_at", None)
    kept = {"expires_at": None} if expires and expires <= now() else {}
    return record.model_copy(update={"deleted_at": None, **kept})


def reopening(app: App, record: Record) -> Transaction[None]:
    """Make what a forgotten correction had corrected the last word again."""
    for before in (yield from corrected(app, record)):
        if before.superseded_by == record.id:
            last = {"superseded_by": None, "valid_until": None}
            yield from app.store.saving(before.model_copy(update=last))


def closing(app: App, record: Record) -> Transaction[None]:
    """Let a correction that is back correct again what it had corrected."""
    for before in (yield from corrected(app, record)):
        if before.superseded_by is None:
            end = {"superseded_by": record.id, "valid_until": now()}
            yield from app.store.saving(before.model_copy(update=end))


def beside(app: App, record: Record, *, undo: bool) -> Transaction[None]:
    """Let the outcomes of a decision go with it, and come back with it."""
    if isinstance(record, Decision):
        for outcome in (yield from outcomes(app, record.id, forgotten=True)):
            yield from app.store.saving(back(outcome) if undo else gone(outcome))


def corrected(app: App, record: Record) -> Transaction[list[Memory]]:
    """Find what a memory corrected, if it is the last word: a correction's first source."""
    if not isinstance(record, Memory) or record.superseded_by or not record.valid_from:
        return []
    before = yield from app.store.getting(Memory, UUID(record.source_ids[0]))
    return [before] if before else []


def named(
    app: App, key: UUID | None, topic: str | None, *, undo: bool
) -> Transaction[list[Record]]:
    """Find what is meant: what is there to forget, or was forgotten and can come back."""
    if key is None:
        rows = yield app.store.query("memories.all_of_topic", topic=topic)
        records: list[Record] = [decode(Memory, row) for row in rows]
    else:
        records = yield from app.store.locating(key)
    if not undo:
        return [r for r in records if r.deleted_at is None]
    return [r for r in records if r.deleted_at and r.deleted_at > now() - UNDO]


def missing(key: str | None, topic: str | None, *, undo: bool) -> str:
    what = f"with the id `{key}`" if key else f"under the topic `{topic}`"
    if undo:
        return f"Nothing {what} was forgotten in the last {UNDO.days} days."
    return f"There is nothing {what}: recall gives ids and topics."


def text_of(record: Record) -> str:
    found = record.findable()
    return found.text if found else ""


def excerpt(text: str) -> str:
    """Show enough of a text to know it by."""
    text = " ".join(text.split())
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1].rstrip() + "…"
