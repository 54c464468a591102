from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from agent_mem.records.fields import Json, Moment, Number
from agent_mem.records.record import Record, named_id, now

RunStatus = Literal["running", "failed", "complete", "needs_agent", "skipped"]


class Run(Record):
    """One run of a behavior, and what came of it; while it runs, it is its own lease."""

    TABLE: ClassVar[str] = "behavior_runs"

    behavior_id: UUID
    trigger: str = "manual"
    started_at: Moment = Field(default_factory=now)
    ended_at: Moment | None = None
    status: RunStatus = "running"
    output: Json = Field(default_factory=dict)
    error: str | None = None
    duration_ms: Number | None = None
    input: Json = Field(default_factory=dict)
    due_at: Moment | None = None
    attempt: int = 1
    retry_at: Moment | None = None
    """When it is tried again, after it failed; None if it is not."""
    lease_until: Moment | None = None
    """Until when whoever runs it is taken to be alive, unless the lease is renewed."""
    run_by: str | None = None
    """Who runs it: the file, the process, and a token of this attempt."""
    attempt_of: UUID | None = None
    """For an attempt that failed and was followed by another: the run that it belongs to."""

    def ended(self) -> bool:
        return self.status != "running"


def run_id(owner: str, behavior: UUID, slot: str) -> UUID:
    """Give what is due once the same id everywhere: so it can be there once."""
    return named_id("run", owner, str(behavior), slot)
