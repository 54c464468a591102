from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from agent_mem.records.fields import Line, Name
from agent_mem.records.record import Record

TaskStatus = Literal["todo", "doing", "blocked", "done"]


class Task(Record):
    """Something to do, and how far it is."""

    TABLE: ClassVar[str] = "tasks"

    session_id: UUID | None = None
    agent_name: Name
    project: str | None = None
    title: Line
    status: TaskStatus = "todo"
    progress: Line | None = None
    blockers: Annotated[list[Line], Field(max_length=50)] = Field(default_factory=list)
