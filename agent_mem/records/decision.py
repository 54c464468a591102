from collections.abc import Iterator
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from agent_mem.records.fields import Json, Line, Moment, Name, Names, Number, Share
from agent_mem.records.record import Findable, Record, agent_uri


class Option(BaseModel):
    """One of the ways that a decision could have gone."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    score: Number | None = None


class Decision(Record):
    """What was chosen, from what, and why; later, how it turned out."""

    TABLE: ClassVar[str] = "decisions"
    KIND: ClassVar[str] = "decision"

    agent_name: Name
    session_id: UUID | None = None
    project: str | None = None
    decision_type: Name = "general"
    question: Line
    context: Json = Field(default_factory=dict)
    options: list[Option] = Field(default_factory=list[Option], max_length=50)
    selected: Names
    rationale: Line | None = None
    confidence: Share | None = None
    patterns_applied: Names = Field(default_factory=list)
    parent_id: UUID | None = None
    supersedes: UUID | None = None
    expires_at: Moment | None = None
    success: bool | None = None
    quality_score: Share | None = None
    latency_ms: Number | None = None
    error: Line | None = None
    outcome_at: Moment | None = None

    def summary(self) -> str:
        """Tell the decision and its outcome in a line or two."""
        parts = [f"{self.question} Chosen: {', '.join(self.selected)}."]
        if self.rationale:
            parts.append(f"Because: {self.rationale}")
        if self.success is not None:
            parts.append(f"Outcome: {self.outcome()}.")
        return " ".join(parts)

    def outcome(self) -> str:
        """Tell how it turned out, in a few words."""
        if self.success is None:
            return "not known yet"
        verdict = "worked" if self.success else "failed"
        quality = "" if self.quality_score is None else f", quality {self.quality_score:g}"
        return f"{verdict}{quality}" + (f", {self.error.rstrip('.')}" if self.error else "")

    def findable(self) -> Findable:
        return Findable(
            text=self.summary(),
            at=self.created_at,
            topic=self.decision_type,
            session_id=self.session_id,
            agent_name=self.agent_name,
            project=self.project,
            importance=0.5 if self.confidence is None else self.confidence,
            expires_at=self.expires_at,
        )

    def uris(self) -> Iterator[str]:
        yield from super().uris()
        yield agent_uri(self.agent_name)
        yield f"memory://decisions/{self.id}"
        if self.parent_id:
            yield f"memory://decisions/{self.parent_id}"
