from typing import Annotated, Any, cast
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from agent_mem.app import App
from agent_mem.errors import InvalidInput
from agent_mem.recall.budget import Budget, spent
from agent_mem.recall.search import Request
from agent_mem.records.behavior import Behavior
from agent_mem.records.decision import SHORT_TERM, Decision
from agent_mem.records.event import Event
from agent_mem.records.fields import Content, Line, Name, storable_json
from agent_mem.records.record import now
from agent_mem.records.run import Run
from agent_mem.records.session import Session
from agent_mem.records.snapshot import Snapshot
from agent_mem.records.task import Task, TaskStatus
from agent_mem.skills.registry import permitted
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import decode
from agent_mem.tools.scope import (
    Agent,
    Project,
    Scope,
    SessionName,
    entering,
    session_id,
)
from agent_mem.tools.signals import in_brief
from agent_mem.tools.tasks import keeping, task_id
from agent_mem.tools.tool import Result

RECENT = 10
OVERDUE = SHORT_TERM
"""How long a decision may wait for its outcome before it is asked for."""
ALIKE = 0.5
"""The share of an error's words that a solution must have to be shown with it."""
ENVELOPE = 150
"""Tokens kept for the answer's own frame."""
MOST_OF_A_TOKEN = 16
"""Characters that one token may take."""

Lines = Annotated[list[Line], Field(max_length=50)]


class TaskItem(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: Line
    status: TaskStatus = "todo"
    progress: Line | None = None
    blockers: Lines = Field(default_factory=list)


class Saved(Result):
    id: UUID
    session: UUID | None
    open_tasks: int
    archived: int


async def save_session(
    app: App,
    *,
    summary: Annotated[Content, Field(description="What was done, and where it stands")],
    tasks: Annotated[
        list[TaskItem] | None, Field(max_length=100, description="All tasks touched")
    ] = None,
    decisions: Annotated[Lines | None, Field(description="What was decided, a line each")] = None,
    open_questions: Lines | None = None,
    next_steps: Lines | None = None,
    session: SessionName = None,
    agent: Agent = None,
    project: Project = None,
) -> Saved:
    """Save where this conversation stands, so that a later one can go on.

    Call it before you stop, and before the context is compacted. Done tasks are archived.
    """
    scope = Scope.of(app, agent, project)
    context = {
        "summary": summary,
        "decisions": decisions,
        "open_questions": open_questions,
        "next_steps": next_steps,
    }
    snapshot = Snapshot(
        agent_name=scope.agent_name,
        project=scope.project,
        context_data=kept({key: value for key, value in context.items() if value}),
    )
    items = [task_of(app, scope, item) for item in tasks or []]

    def saving() -> Transaction[UUID | None]:
        key = yield from entering(app, session, scope)
        yield from ending(app, key)
        yield from app.store.saving(snapshot.model_copy(update={"session_id": key}))
        for item in items:
            before = yield from app.store.getting(Task, item.id)
            begun = before.created_at if before else item.created_at
            after = item.model_copy(update={"session_id": key, "created_at": begun})
            yield from keeping(app, before, after, scope.agent_name)
        return key

    key = await app.store.engine.write(saving())
    done = sum(item.status == "done" for item in items)
    return Saved(id=snapshot.id, session=key, open_tasks=len(items) - done, archived=done)


def kept(context: dict[str, Any]) -> dict[str, Any]:
    """Check that what is saved may be kept together, as each part of it may.

    Raises:
        InvalidInput: it is too long.
    """
    try:
        return storable_json(context)
    except ValueError as error:
        raise InvalidInput(f"What is saved {error}.") from None


def ending(app: App, key: UUID | None) -> Transaction[None]:
    """Mark a session as completed; logging to it again is still possible."""
    session = (yield from app.store.getting(Session, key)) if key else None
    if session:
        end = {"ended_at": now(), "status": "completed"}
        yield from app.store.saving(session.model_copy(update=end))


def task_of(app: App, scope: Scope, item: TaskItem) -> Task:
    """Make the task that this title always is in this project."""
    return Task(
        id=task_id(app, scope.project, item.title),
        agent_name=scope.agent_name,
        project=scope.project,
        **item.model_dump(),
    )


class Restored(Result):
    session: UUID | None = None
    saved_at: str | None = None
    context: dict[str, Any] = Field(default_factory=dict)
    tasks: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    decisions: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    waiting: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    """Decisions whose outcome should be known by now: log_outcome closes the loop."""
    errors: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    signals: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    """What other agents have told this one, and that it has not processed."""
    asked: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    """Prompts of behaviors that no model has answered: run_behavior with `answer` does."""
    skills: list[str] = Field(default_factory=list)
    left_out: int | None = None
    note: str | None = None


async def restore_session(
    app: App,
    *,
    session: SessionName = None,
    agent: Annotated[Name | None, Field(description="Only this agent's work")] = None,
    project: Project = None,
    max_tokens: Annotated[int, Field(ge=300, le=20_000)] = 1500,
) -> Restored:
    """Pick up where the last conversation stopped. Call it first in a new one.

    Returns its summary, open tasks, recent decisions, decisions that wait for log_outcome, recent
    errors with known solutions, signals that wait for you, what behaviors ask, and your skills.
    """
    filters = {"project": app.where(project), "agent": agent}
    key = session_id(app, session) if session else None

    def restoring() -> Transaction[Restored]:
        snapshot = yield from last_snapshot(app, key, filters)
        budget = Budget(max_tokens - ENVELOPE)
        found = Restored(
            session=snapshot.session_id if snapshot else key,
            saved_at=snapshot.created_at.strftime("%Y-%m-%d %H:%M") if snapshot else None,
            context=fitted(snapshot.context_data, budget) if snapshot else {},
            tasks=budget.fitting((yield from open_tasks(app, filters))),
            signals=budget.fitting((yield from in_brief(app, agent))),
            decisions=budget.fitting((yield from recent_decisions(app, filters))),
            waiting=budget.fitting((yield from waiting(app, filters))),
            errors=budget.fitting((yield from recent_errors(app, filters))),
            asked=budget.fitting((yield from asked(app, agent))),
            skills=budget.fitting((yield from skill_names(app, agent))),
        )
        found.left_out = budget.left_out or None
        if budget.left_out:
            found.note = "Raise max_tokens, or recall what you need."
        elif not snapshot:
            found.note = "No session was saved here yet."
        return found

    return await app.store.engine.read(restoring())


def last_snapshot(
    app: App, key: UUID | None, filters: dict[str, str | None]
) -> Transaction[Snapshot | None]:
    if key:
        filters = {"project": None, "agent": None}
    params = {**filters, "session_id": str(key) if key else None, "now": now(), "limit": 1}
    rows = yield app.store.query("context_snapshots.latest", **params)
    return next((decode(Snapshot, row) for row in rows), None)


def fitted(context: dict[str, Any], budget: Budget) -> dict[str, Any]:
    """Keep of a saved context what fits: lists lose their last lines, a long text its end."""
    kept: dict[str, Any] = {}
    for name, value in context.items():
        if isinstance(value, list):
            kept[name] = budget.fitting(cast("list[str]", value))
        else:
            kept[name] = clipped(value, budget)
    return kept


def clipped(text: str, budget: Budget) -> str:
    """Keep as much of a text as may take half of what is left."""
    room = budget.left // 2
    part = text[: MOST_OF_A_TOKEN * room]
    while part and (cost := spent(part)) > room:
        part = part[: len(part) * room // (cost + 1)]
    if part != text:
        budget.left_out += 1
        part = part.rstrip() + "…"
    budget.take(part)
    return part


def open_tasks(app: App, filters: dict[str, str | None]) -> Transaction[list[dict[str, Any]]]:
    rows = yield app.store.query("tasks.listed", **filters, status="open", limit=4 * RECENT)
    tasks = [decode(Task, row) for row in rows]
    wanted = {"title", "status", "progress", "blockers"}
    return [
        t.model_dump(include=wanted, exclude_defaults=True) | {"status": t.status} for t in tasks
    ]


def recent_decisions(app: App, filters: dict[str, str | None]) -> Transaction[list[dict[str, Any]]]:
    rows = yield app.store.query("decisions.recent", **filters, limit=RECENT)
    return [
        {
            "id": str(d.id),
            "question": d.question,
            "selected": d.selected,
            "outcome": d.outcome(),
        }
        for d in (decode(Decision, row) for row in rows)
    ]


def waiting(app: App, filters: dict[str, str | None]) -> Transaction[list[dict[str, Any]]]:
    """List the latest decisions without an outcome that had time enough to get one."""
    rows = yield app.store.query(
        "decisions.waiting", **filters, before=now() - OVERDUE, limit=RECENT // 2
    )
    return [
        {"id": str(d.id), "question": d.question, "since": d.created_at.date().isoformat()}
        for d in (decode(Decision, row) for row in rows)
    ]


def recent_errors(app: App, filters: dict[str, str | None]) -> Transaction[list[dict[str, Any]]]:
    """List the latest errors, each with the solution that is known for it."""
    rows = yield app.store.query("events.errors", **filters, limit=RECENT // 2)
    found: list[dict[str, Any]] = []
    for event in [decode(Event, row) for row in rows]:
        error = {"error": event.content[:300], "when": event.ts.strftime("%Y-%m-%d %H:%M")}
        request = Request(query=event.content[:300], kinds=("solution",), limit=1, literal=True)
        for hit in (yield from app.finder.searching(request)).hits:
            if hit.coverage >= ALIKE:
                error["solution"] = hit.about.text[:400]
        found.append(error)
    return found


def asked(app: App, agent: str | None) -> Transaction[list[dict[str, Any]]]:
    """List what behaviors have asked, and nobody has answered since."""
    listed = yield app.store.query("behaviors.all", agent=agent)
    behaviors = {b.id: b for b in (decode(Behavior, row) for row in listed) if b.enabled}
    rows = yield app.store.query("behavior_runs.waiting", limit=RECENT)
    return [
        {
            "behavior": behaviors[run.behavior_id].name,
            "agent": behaviors[run.behavior_id].agent_name,
            "prompt": run.output.get("prompt"),
        }
        for run in (decode(Run, row) for row in rows)
        if run.behavior_id in behaviors
    ]


def skill_names(app: App, agent: str | None) -> Transaction[list[str]]:
    skills = yield from permitted(app.store, agent or app.settings.agent)
    return [skill.skill_name for skill, _ in skills]
