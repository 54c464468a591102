"""Decisions with outcomes, made of what a test is about."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from agent_mem.records.decision import Decision
from agent_mem.records.record import now

LONG_AGO = timedelta(days=3)


def decided(selected: str, success: bool | None, **more: Any) -> Decision:  # noqa: ANN401 - any field
    made: datetime = more.pop("created_at", now() - LONG_AGO)
    base: dict[str, Any] = {
        "agent_name": "ana",
        "decision_type": "deploy",
        "question": "How do we deploy?",
        "created_at": made,
        "selected": [selected],
        "success": success,
        "outcome_at": None if success is None else made,
    }
    return Decision.model_validate({**base, **more})


def repeated(selected: str, worked: int, of: int, **more: Any) -> Iterator[Decision]:  # noqa: ANN401 - any field
    """Make a choice so many times, of which some worked."""
    for n in range(of):
        yield decided(selected, n < worked, **more)


def on_fridays() -> list[Decision]:
    """Make decisions of which one choice fails on Fridays, and nothing else matters."""
    friday, monday = {"day": "friday"}, {"day": "monday"}
    return [
        *repeated("push", 2, 16, context=friday),
        *repeated("push", 26, 32, context=monday),
        *repeated("wait", 13, 16, context=friday),
        *repeated("wait", 26, 32, context=monday),
    ]


def shuffled(decisions: Iterable[Decision]) -> list[Decision]:
    """Put them into another order, always the same."""
    return sorted(decisions, key=lambda decision: decision.id.int % 997)
