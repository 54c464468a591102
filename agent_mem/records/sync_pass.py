from datetime import timedelta
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import Field

from agent_mem.records.fields import Json, Moment
from agent_mem.records.record import Record, now

KEPT = timedelta(days=30)


class SyncPass(Record):
    """One pass of the sync that moved rows, or failed."""

    TABLE: ClassVar[str] = "memory_sync_log"

    sync_source: str
    session_id: UUID | None = None
    events_synced: int = 0
    sync_started_at: Moment
    sync_ended_at: Moment | None = None
    status: Literal["running", "completed", "failed"] = "completed"
    error_message: str | None = None
    meta: Json = Field(default_factory=dict)
    expires_at: Moment | None = Field(default_factory=lambda: now() + KEPT)
