from collections.abc import Iterator
from typing import ClassVar
from uuid import UUID

from agent_mem.records.decision import told
from agent_mem.records.fields import Line, Name, Number, Share
from agent_mem.records.record import Record


class Outcome(Record):
    """How a decision turned out, as somebody said at some time; each one is kept."""

    TABLE: ClassVar[str] = "outcomes"

    decision_id: UUID
    agent_name: Name
    success: bool
    quality_score: Share | None = None
    latency_ms: Number | None = None
    error: Line | None = None

    def told(self) -> str:
        return told(success=self.success, quality=self.quality_score, error=self.error)

    def uris(self) -> Iterator[str]:
        yield f"memory://decisions/{self.decision_id}"
