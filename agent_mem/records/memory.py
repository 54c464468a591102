from collections.abc import Iterator
from typing import ClassVar, Literal
from urllib.parse import quote
from uuid import UUID

from pydantic import Field

from agent_mem.records.fields import Content, Moment, Name, Names, Share
from agent_mem.records.record import Findable, Record, agent_uri, digest

MemoryKind = Literal[
    "fact",
    "preference",
    "system_state",
    "task",
    "knowledge",
    "error",
    "observation",
    "reflection",
    "plan",
    "result",
]


class Memory(Record):
    """Long-term memory. The same content again reinforces it; a correction supersedes it."""

    TABLE: ClassVar[str] = "memories"
    KIND: ClassVar[str] = "memory"

    agent_name: Name
    project: str | None = None
    session_id: UUID | None = None
    topic: Name | None = None
    subject: Name | None = None
    occurred_at: Moment | None = None
    kind: MemoryKind = "fact"
    content: Content
    relevance: Share = 0.5
    tags: Names = Field(default_factory=list)
    shared_with: Names = Field(default_factory=list)
    source_ids: list[str] = Field(default_factory=list)
    content_hash: str = ""
    reinforced: int = 0
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    superseded_by: UUID | None = None
    expires_at: Moment | None = None

    def fingerprint(self) -> str:
        """Say what makes another memory the same as this one, however it is spaced.

        Words that were said at a known time are an episode of their own; without a time they
        are a statement, which is the same in every session.
        """
        words = " ".join(self.content.split())
        episode = self.occurred_at and (self.occurred_at.isoformat(), self.session_id)
        return digest(words, self.project, self.subject, episode)

    def findable(self) -> Findable:
        return Findable(
            text=self.content,
            at=self.occurred_at or self.created_at,
            kind=self.kind,
            topic=self.topic,
            subject=self.subject,
            session_id=self.session_id,
            agent_name=self.agent_name,
            project=self.project,
            importance=self.relevance,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            expires_at=self.expires_at,
        )

    def uris(self) -> Iterator[str]:
        yield from super().uris()
        yield "memory://topics"
        yield agent_uri(self.agent_name)
        if self.topic:
            yield f"memory://topics/{quote(self.topic, safe='')}"
