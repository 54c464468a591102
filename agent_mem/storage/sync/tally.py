"""What a pass of the sync has moved."""

from collections.abc import Callable, Sized
from dataclasses import dataclass, field
from datetime import datetime

from agent_mem.records.record import Record, now
from agent_mem.records.sync_pass import SyncPass

Seen = Callable[[int, int], object]
"""Is told how many rows were sent and received so far."""


def unseen(*_: int) -> None:
    """Tell nobody."""


@dataclass(slots=True)
class Pass:
    """One pass: when it began, and how many rows went either way; its own log is not counted."""

    seen: Seen = unseen
    begun: datetime = field(default_factory=now)
    sent: int = 0
    received: int = 0

    @property
    def moved(self) -> int:
        return self.sent + self.received

    def send(self, model: type[Record], rows: Sized) -> None:
        self.sent += len(rows) if model is not SyncPass else 0
        self.seen(self.sent, self.received)

    def receive(self, model: type[Record], count: int) -> None:
        self.received += count if model is not SyncPass else 0
        self.seen(self.sent, self.received)
