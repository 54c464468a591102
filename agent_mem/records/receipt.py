from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from agent_mem.records.fields import Json, Moment, Name
from agent_mem.records.record import Record, named_id, signals_uri
from agent_mem.records.signal import Signal

KEPT = timedelta(days=30)
"""How long a receipt outlives its signal."""


class Receipt(Record):
    """That an agent got a signal, and until when it has time for it; or what it did with it."""

    TABLE: ClassVar[str] = "signal_receipts"

    signal_id: UUID
    agent_name: Name
    lease_until: Moment | None = None
    """Of a delivery: until when the signal is given to nobody else of this name."""
    processed_at: Moment | None = None
    result: Json = Field(default_factory=dict)
    expires_at: Moment | None = None

    @staticmethod
    def key(signal: UUID, agent: str) -> UUID:
        """Give the id of the one receipt that says that an agent has processed a signal."""
        return named_id("receipt", str(signal), agent)

    @classmethod
    def of(cls, signal: Signal, agent: str) -> "Receipt":
        expires = signal.expires_at and signal.expires_at + KEPT
        return cls(signal_id=signal.id, agent_name=agent, expires_at=expires)

    def uris(self) -> Iterator[str]:
        yield signals_uri(self.agent_name)
