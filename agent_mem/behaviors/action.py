"""What an action is given, and what it gives back."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from agent_mem.app import App
from agent_mem.records.behavior import Behavior
from agent_mem.records.event import Event
from agent_mem.records.fields import Number
from agent_mem.records.record import now
from agent_mem.records.run import Run
from agent_mem.records.skill import Skill

MOST_EVENTS = 10_000


class Params(BaseModel):
    """What can be said to every built-in action."""

    model_config = ConfigDict(extra="forbid")

    hours: Annotated[Number, Field(gt=0, le=24 * 366)] = 24
    """How far back to look."""
    project: str | None = None


class Found(NamedTuple):
    """Something worth telling."""

    topic: str
    content: str
    relevance: float
    project: str | None = None
    """Where it belongs, if that is not the project of the run."""


class Outcome(NamedTuple):
    output: dict[str, Any]
    insights: list[Found]
    status: Literal["complete", "needs_agent"] = "complete"


class Task(NamedTuple):
    """One run of an action."""

    behavior: Behavior
    params: Params
    run: Run | None = None
    results: dict[str, dict[str, Any]] = {}  # noqa: RUF012 - read only: a tuple's default
    """What came of the behaviors that it depends on, by their names."""
    skill: Skill | None = None

    @property
    def since(self) -> datetime:
        return now() - timedelta(hours=self.params.hours)


Action = Callable[[App, Task], Awaitable[Outcome]]


async def events(app: App, task: Task) -> list[Event]:
    """List what happened in the time window, oldest first."""
    window = {"since": task.since, "until": now() + timedelta(days=1)}
    return await app.store.find(
        Event, "events.between", project=task.params.project, limit=MOST_EVENTS, **window
    )
