"""Which times are due, of all behaviors that have times."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from agent_mem.behaviors.schedule import TIMED, due, upcoming
from agent_mem.behaviors.slots import Slot, slot_key
from agent_mem.errors import InvalidInput
from agent_mem.records.behavior import Behavior

logger = logging.getLogger(__name__)

Times = tuple[str | None, ...]
"""What a behavior's times depend on."""


@dataclass(slots=True)
class Calendar:
    """What one process remembers of due times, so that it computes each once."""

    done: dict[UUID, datetime] = field(default_factory=dict[UUID, datetime])
    """Up to which due time each behavior was looked at."""
    _coming: dict[UUID, tuple[Times, datetime | None]] = field(
        default_factory=dict[UUID, tuple[Times, datetime | None]]
    )

    def due(
        self, behaviors: Iterable[Behavior], at: datetime
    ) -> tuple[list[Slot], datetime | None]:
        """List what is due, and say when the next of it is."""
        slots: list[Slot] = []
        ahead: list[datetime] = []
        for behavior in behaviors:
            if behavior.trigger_type in TIMED:
                try:
                    slots += self._of(behavior, at)
                except InvalidInput as error:  # a newer program may know what it means
                    logger.info("Behaviors: `%s`: %s", behavior.name, error)
                    self._coming[behavior.id] = (times_of(behavior), None)
                coming = self._coming[behavior.id][1]
                ahead += [coming] if coming else []
        return slots, min(ahead, default=None)

    def _of(self, behavior: Behavior, at: datetime) -> list[Slot]:
        known, coming = self._coming.get(behavior.id, (None, None))
        if known == times_of(behavior) and (coming is None or coming > at):
            return []
        since = behavior.scheduled_at or behavior.created_at
        after = max(since, self.done.get(behavior.id, since))
        found = due(behavior, after, at)
        if found:
            self.done[behavior.id] = found[-1]
        self._coming[behavior.id] = (times_of(behavior), upcoming(behavior, at))
        return [Slot(behavior, slot_key(t), behavior.trigger_type, t) for t in found]


def times_of(behavior: Behavior) -> Times:
    since = behavior.scheduled_at.isoformat() if behavior.scheduled_at else None
    return behavior.trigger_type, behavior.schedule, behavior.time_zone, since
