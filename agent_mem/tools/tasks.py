from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from agent_mem.app import App
from agent_mem.errors import NotFound
from agent_mem.records.fields import Line, Name
from agent_mem.records.record import named_id, now
from agent_mem.records.task import Task, TaskStatus
from agent_mem.records.work import Work
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import decode
from agent_mem.tools.scope import Agent, Project, Scope, SessionName, entering
from agent_mem.tools.tool import Result

CHANGED = "update_task"
"""The action of a change of a task, in the history of work."""
CHANGING = ("status", "progress", "blockers")
STEPS = 50

TaskName = Annotated[Line, Field(description="Its title in this project, or its id")]


class UpdatedTask(Result):
    id: UUID
    title: str
    status: str
    was: str | None
    """Its status before, if that changed."""
    new: bool | None


async def update_task(
    app: App,
    *,
    task: TaskName,
    status: Annotated[TaskStatus | None, Field(description="Default: as it is, or todo")] = None,
    progress: Annotated[Line | None, Field(description="How far it is")] = None,
    blockers: Annotated[
        list[Line] | None, Field(max_length=50, description="What it waits for; [] for nothing")
    ] = None,
    session: SessionName = None,
    agent: Agent = None,
    project: Project = None,
) -> UpdatedTask:
    """Update a task, or create it. Every change is kept: list_tasks tells a task's history."""
    scope = Scope.of(app, agent, project)
    given = {"status": status, "progress": progress, "blockers": blockers}
    changes = {name: value for name, value in given.items() if value is not None}

    def updating() -> Transaction[tuple[Task | None, Task]]:
        before = yield from found_task(app, scope, task)
        after = (before or new_task(app, scope, task)).model_copy(update=changes)
        if session:
            key = yield from entering(app, session, scope)
            after = after.model_copy(update={"session_id": key})
        if after != before:
            yield from keeping(app, before, after, scope.agent_name)
        return before, after

    before, after = await app.store.engine.write(updating())
    return UpdatedTask(
        id=after.id,
        title=after.title,
        status=after.status,
        was=before.status if before and before.status != after.status else None,
        new=True if before is None else None,
    )


class TaskStep(Result):
    when: str
    agent: str
    did: str | None
    result: str | None
    changed: dict[str, Any]


class TaskLine(Result):
    id: UUID
    title: str
    status: str
    progress: str | None
    blockers: list[str]
    agent: str
    updated: str
    history: list[TaskStep]


class TaskList(Result):
    tasks: list[TaskLine]
    note: str | None = None


async def list_tasks(
    app: App,
    *,
    status: Annotated[
        Literal["open", "all"] | TaskStatus, Field(description="open: all but done")
    ] = "open",
    task: Annotated[Line | None, Field(description="Only this one, with its history")] = None,
    agent: Annotated[Name | None, Field(description="Only this agent's")] = None,
    project: Project = None,
    limit: Annotated[int, Field(ge=1, le=100)] = 20,
) -> TaskList:
    """List tasks, those that changed last first; or one, with all that happened to it."""
    scope = Scope.of(app, agent, project)

    def listing() -> Transaction[list[TaskLine]]:
        if task:
            one = yield from named_task(app, scope, task)
            return [line(one, (yield from steps(app, one)))]
        filters = {"project": scope.project, "agent": agent, "status": status}
        rows = yield app.store.query("tasks.listed", **filters, limit=limit)
        return [line(decode(Task, row), []) for row in rows]

    found = await app.store.engine.read(listing())
    return TaskList(tasks=found, note=None if found else "No such tasks.")


def task_id(app: App, project: str | None, title: str) -> UUID:
    """Give the id that this title always has in this project."""
    name = " ".join(title.casefold().split())
    return named_id("task", app.store.owner, project or "", name)


def new_task(app: App, scope: Scope, title: str) -> Task:
    key = task_id(app, scope.project, title)
    return Task(id=key, agent_name=scope.agent_name, project=scope.project, title=title)


def found_task(app: App, scope: Scope, name: str) -> Transaction[Task | None]:
    """Look for a task by its title or its id.

    Raises:
        NotFound: it is an id, and there is no such task.
    """
    try:
        key = UUID(name.strip())
    except ValueError:
        return (yield from app.store.getting(Task, task_id(app, scope.project, name)))
    found = yield from app.store.getting(Task, key)
    if found is None:
        raise NotFound(f"There is no task `{key}`: list_tasks names them.")
    return found


def named_task(app: App, scope: Scope, name: str) -> Transaction[Task]:
    """Fetch a task that must be there.

    Raises:
        NotFound: it is not.
    """
    found = yield from found_task(app, scope, name)
    if found is None:
        raise NotFound(f"There is no task `{name[:80]}` in this project: update_task creates one.")
    return found


def keeping(app: App, before: Task | None, after: Task, agent: str) -> Transaction[None]:
    """Save a task, and what changed of it as a row of its own, which no other machine replaces."""
    yield from app.store.saving(after)
    changed = {
        name: getattr(after, name)
        for name in CHANGING
        if before is None or getattr(before, name) != getattr(after, name)
    }
    shown = {name: value for name, value in changed.items() if before or value}
    if changed:
        change = Work(
            task_id=after.id,
            agent_name=agent,
            project=after.project,
            action=CHANGED,
            output=shown,
        )
        yield from app.store.saving(change)


def steps(app: App, task: Task) -> Transaction[list[TaskStep]]:
    """Tell what happened to a task, the first first."""
    rows = yield app.store.query("work_history.of_task", task_id=task.id, limit=STEPS)
    return [step(decode(Work, row)) for row in rows[::-1]]


def step(work: Work) -> TaskStep:
    change = work.action == CHANGED and not work.signature
    return TaskStep(
        when=work.created_at.strftime("%Y-%m-%d %H:%M:%S"),
        agent=work.agent_name,
        did=None if change else work.action,
        result=None if change else "under way" if work.open(now()) else work.result(),
        changed=work.output if change else {},
    )


def line(task: Task, history: list[TaskStep]) -> TaskLine:
    return TaskLine(
        id=task.id,
        title=task.title,
        status=task.status,
        progress=task.progress,
        blockers=task.blockers,
        agent=task.agent_name,
        updated=task.updated_at.strftime("%Y-%m-%d %H:%M"),
        history=history,
    )
