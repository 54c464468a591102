from typing import Any, ClassVar
from uuid import UUID

from agent_mem.records.record import Record, named_id


class Loser(Record):
    """What lost where two machines changed a row before they heard of each other."""

    TABLE: ClassVar[str] = "record_history"

    record: str
    record_id: UUID
    body: dict[str, Any]
    reason: str

    @classmethod
    def of(cls, lost: Record, won: Record) -> "Loser":
        """Keep one of two; whoever sees the same conflict makes the same row of it."""
        body = lost.model_dump(mode="json")
        return cls(
            id=named_id(lost.TABLE, str(lost.id), str(lost.hlc), str(lost.origin)),
            created_at=lost.updated_at,
            record=lost.TABLE,
            record_id=lost.id,
            body=body,
            reason=f"A later change of {won.updated_at:%Y-%m-%d %H:%M:%S} UTC won.",
        )
