from collections.abc import Iterator
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from agent_mem.records.fields import Content, Json, Moment, Name, Names, Share
from agent_mem.records.record import Findable, Record, now


class Event(Record):
    """What happened, as it happened: short-term memory, append-only."""

    TABLE: ClassVar[str] = "events"
    KIND: ClassVar[str] = "event"

    session_id: UUID | None = None
    agent_name: Name
    project: str | None = None
    ts: Moment = Field(default_factory=now)
    role: Name | None = None
    event_type: Name
    content: Content
    importance: Share = 0.5
    tags: Names = Field(default_factory=list)
    meta: Json = Field(default_factory=dict)

    def findable(self) -> Findable:
        return Findable(
            text=self.content,
            at=self.ts,
            topic=self.event_type,
            subject=self.role,
            session_id=self.session_id,
            agent_name=self.agent_name,
            project=self.project,
            importance=self.importance,
        )

    def uris(self) -> Iterator[str]:
        yield from super().uris()
        if self.session_id:
            yield "memory://sessions/latest"
            yield f"memory://sessions/{self.session_id}"
