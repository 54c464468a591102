from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from agent_mem.records.fields import Json, Line, Moment, Name, Names
from agent_mem.records.record import Record, named_id

Trigger = Literal["manual", "daily", "schedule", "event"]
Overlap = Literal["skip", "queue"]


def behavior_id(owner: str, agent: str, name: str) -> UUID:
    """Give the id that an agent's behavior has on every machine."""
    return named_id("behavior", owner, agent, name)


class Behavior(Record):
    """Something that an agent does by itself: an action, and when it is due."""

    TABLE: ClassVar[str] = "behaviors"

    agent_name: Name
    name: Name
    trigger_type: Trigger = "manual"
    schedule: Line | None = None
    """A time of day (`09:30`) or a cron expression, by the trigger."""
    event_filter: Json = Field(default_factory=dict)
    action: Name
    params: Json = Field(default_factory=dict)
    depends_on: Names = Field(default_factory=list)
    """Behaviors of the same agent that run before it, and whose results it is given."""
    timeout_s: Annotated[int, Field(ge=1, le=3600)] = 60
    enabled: bool = True
    status: Literal["idle", "running", "failed", "complete"] = "idle"
    """How its last run went, as far as this database has seen: no change of the record."""
    last_run: Moment | None = None
    time_zone: Name | None = None
    """UTC where there is none."""
    retries: Annotated[int, Field(ge=0, le=10)] = 2
    backoff_s: Annotated[int, Field(ge=0, le=3600)] = 10
    """Seconds before the first retry; each further one waits twice as long."""
    overlap: Overlap = "skip"
    """What becomes of a due time that comes while the run before is under way."""
    skill: Name | None = None
    """The skill that the agent must have to run it."""
    scheduled_at: Moment | None = None
    """Since when it is due as it is: what would have been due before is not."""
