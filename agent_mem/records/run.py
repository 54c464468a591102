from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from agent_mem.records.fields import Json, Moment, Number
from agent_mem.records.record import Record, now


class Run(Record):
    """One run of a behavior, and what came of it."""

    TABLE: ClassVar[str] = "behavior_runs"

    behavior_id: UUID
    trigger: str = "manual"
    started_at: Moment = Field(default_factory=now)
    ended_at: Moment | None = None
    status: Literal["running", "failed", "complete"] = "running"
    output: Json = Field(default_factory=dict)
    error: str | None = None
    duration_ms: Number | None = None
