from typing import Annotated, ClassVar, Literal

from pydantic import Field

from agent_mem.records.fields import Json, Moment, Name, Names
from agent_mem.records.record import Record


class Behavior(Record):
    """Something that an agent does by itself: an action, and when it is due."""

    TABLE: ClassVar[str] = "behaviors"

    agent_name: Name
    name: Name
    trigger_type: Literal["manual", "daily", "schedule", "event"] = "manual"
    schedule: str | None = None
    event_filter: Json = Field(default_factory=dict)
    action: Name
    params: Json = Field(default_factory=dict)
    depends_on: Names = Field(default_factory=list)
    timeout_s: Annotated[int, Field(ge=1, le=3600)] = 60
    enabled: bool = True
    status: Literal["idle", "running", "failed", "complete"] = "idle"
    last_run: Moment | None = None
