"""What a pass of the sync is to send, and what it has moved."""

import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from agent_mem.records.record import Record, now
from agent_mem.records.sync_pass import SyncPass

Seen = Callable[[int, int], object]
"""Is told how many rows were sent and received so far."""


def unseen(*_: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What of all that waits is to be sent."""

    session: UUID | None = None
    since: datetime | None = None

    def takes(self, record: Record) -> bool:
        of = {getattr(record, "session_id", None), record.id}
        return (self.session is None or self.session in of) and (
            self.since is None or record.updated_at >= self.since
        )


ALL: Final = Choice()


@dataclass(slots=True)
class Pass:
    """One pass: when it began, and how many rows went either way; its own log is not counted."""

    seen: Seen = unseen
    choice: Choice = ALL
    begun: datetime = field(default_factory=now)
    sent: int = 0
    received: int = 0

    @property
    def moved(self) -> int:
        return self.sent + self.received

    def send(self, records: list[Record]) -> None:
        self.sent += counted(records)
        self.seen(self.sent, self.received)

    def receive(self, records: list[Record]) -> None:
        self.received += counted(records)
        self.seen(self.sent, self.received)

    def entry(self, error: str | None = None) -> SyncPass:
        """Write what is kept of it."""
        return SyncPass(
            sync_source=platform.node(),
            session_id=self.choice.session,
            events_synced=self.moved,
            sync_started_at=self.begun,
            sync_ended_at=now(),
            status="failed" if error else "completed",
            error_message=error,
            meta={"sent": self.sent, "received": self.received},
        )


def counted(records: list[Record]) -> int:
    return sum(not isinstance(record, SyncPass) for record in records)
