from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from agent_mem.records.fields import Json, Moment, Name
from agent_mem.records.record import Record, now


class Session(Record):
    """One conversation or job."""

    TABLE: ClassVar[str] = "sessions"

    agent_name: Name
    user_id: str | None = None
    project: str | None = None
    source: str = "mcp"
    started_at: Moment = Field(default_factory=now)
    ended_at: Moment | None = None
    status: Literal["active", "completed", "failed", "abandoned"] = "active"
    meta: Json = Field(default_factory=dict)

    def uris(self) -> Iterator[str]:
        yield "memory://sessions"
        yield "memory://sessions/latest"
        yield f"memory://sessions/{self.id}"
