from collections.abc import Iterator
from typing import ClassVar

from pydantic import BaseModel, Field

from agent_mem.records.fields import Json, Line, Moment, Name, Names, Share
from agent_mem.records.record import Findable, Record, agent_uri

EVERYONE = "*"


class Version(BaseModel):
    """What a pattern was before it changed."""

    version: int
    until: str
    """ISO 8601, as JSON has no times."""
    confidence: Share
    success_rate: Share
    sample_size: int


class Pattern(Record):
    """Which choice works or fails under which conditions, learned from decisions."""

    TABLE: ClassVar[str] = "patterns"
    KIND: ClassVar[str] = "pattern"

    agent_name: Name
    """For whom it holds: `*` is all of them, otherwise it was found to be about one."""
    project: str | None = None
    pattern_type: Name
    """The type of the decisions that it is about."""
    description: Line
    conditions: Json = Field(default_factory=dict)
    choice: Name
    works: bool
    """Whether the choice turns out better than others, or worse."""
    confidence: Share
    success_rate: Share
    sample_size: int
    other_rate: Share
    other_size: int
    shared_with: Names = Field(default_factory=list)
    evidence_ids: list[str] = Field(default_factory=list)
    version: int = 1
    faded_at: Moment | None = None
    """Since when it does not hold any more."""
    user_metadata: Json = Field(default_factory=dict)
    history: list[Version] = Field(default_factory=list[Version])

    def findable(self) -> Findable:
        return Findable(
            text=self.description,
            at=self.created_at,
            topic=self.pattern_type,
            agent_name=self.agent_name,
            project=self.project,
            importance=self.confidence,
            valid_until=self.faded_at,
        )

    def open_to(self, agent: str) -> bool:
        """Tell whether an agent is offered it: its own, and what is shared with it or with all."""
        return agent == self.agent_name or not {agent, EVERYONE}.isdisjoint(self.shared_with)

    def uris(self) -> Iterator[str]:
        yield from super().uris()
        yield agent_uri(self.agent_name)
