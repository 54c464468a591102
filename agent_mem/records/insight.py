from typing import ClassVar
from uuid import UUID

from agent_mem.records.fields import Content, Name, Share
from agent_mem.records.record import Findable, Record


class Insight(Record):
    """What a behavior found; worth a memory once it is promoted."""

    TABLE: ClassVar[str] = "insights"
    KIND: ClassVar[str] = "insight"

    agent_name: Name
    project: str | None = None
    behavior_id: UUID
    run_id: UUID
    topic: Name
    content: Content
    relevance: Share = 0.5
    promoted_to: UUID | None = None

    def findable(self) -> Findable:
        return Findable(
            text=self.content,
            at=self.created_at,
            topic=self.topic,
            agent_name=self.agent_name,
            project=self.project,
            importance=self.relevance,
        )
