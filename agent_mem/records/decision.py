from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from agent_mem.records.fields import Json, Line, Moment, Name, Names, Number, Share
from agent_mem.records.record import Findable, Record, agent_uri

SHORT_TERM = timedelta(days=1)
"""How long a decision is short-term memory; what is older may be learned from."""


class Option(BaseModel):
    """One of the ways that a decision could have gone."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    score: Number | None = None

    def told(self) -> str:
        return self.name if self.score is None else f"{self.name}: {self.score:g}"


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
    question_signature: str | None = None

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
        return told(success=self.success, quality=self.quality_score, error=self.error)

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
        if self.supersedes:
            yield f"memory://decisions/{self.supersedes}"


def told(*, success: bool, quality: float | None, error: str | None) -> str:
    """Tell an outcome in a few words."""
    verdict = "worked" if success else "failed"
    measured = "" if quality is None else f", quality {quality:g}"
    return f"{verdict}{measured}" + (f", {error.rstrip('.')}" if error else "")
