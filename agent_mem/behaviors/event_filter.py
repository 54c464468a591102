"""Which new records are events to a behavior."""

from collections.abc import Container
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent_mem.errors import InvalidInput
from agent_mem.records import FINDABLE
from agent_mem.records.behavior import Behavior
from agent_mem.records.fields import Name, Share
from agent_mem.records.record import Findable, Record

EXCERPT = 2_000


class EventFilter(BaseModel):
    """What a new record must be like; what is left out does not matter."""

    model_config = ConfigDict(extra="forbid")

    type: Annotated[Name, Field(description=f"One of {', '.join(FINDABLE)}")]
    kind: Name | None = None
    """An event's type, a memory's kind, a decision's type."""
    importance: Share | None = None
    """At least so much; of a memory or an insight its relevance."""
    tag: Name | None = None
    topic: Name | None = None
    agent: Name | None = None
    project: Name | None = None

    @model_validator(mode="after")
    def known(self) -> Self:
        if self.type not in FINDABLE:
            raise ValueError(f"type is one of {', '.join(FINDABLE)}")
        return self

    def fits(self, record: Record) -> bool:
        """Look whether a record is one of those."""
        about = record.findable()
        if about is None or self.type != record.KIND or record.deleted_at:
            return False
        wanted = {
            "topic": (self.topic, about.topic),
            "agent": (self.agent, about.agent_name),
            "project": (self.project, about.project),
            "kind": (self.kind, kind_of(record, about)),
        }
        if any(asked not in (None, has) for asked, has in wanted.values()):
            return False
        if self.tag is not None and self.tag not in getattr(record, "tags", []):
            return False
        return self.importance is None or about.importance >= self.importance


def kind_of(record: Record, about: Findable) -> str | None:
    """Say what kind of its type a record is."""
    return (
        about.kind or getattr(record, "event_type", None) or getattr(record, "decision_type", None)
    )


def filter_of(behavior: Behavior) -> EventFilter:
    """Read a behavior's filter.

    Raises:
        InvalidInput: it makes no sense.
    """
    try:
        return EventFilter.model_validate(behavior.event_filter)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("event", *first["loc"])))
        known = ", ".join(EventFilter.model_fields)
        said = first["msg"].removeprefix("Value error, ")
        raise InvalidInput(f"`{where[:80]}`: {said}. It takes {known}.") from None


def hears(behavior: Behavior, record: Record, because: Container[str]) -> bool:
    """Look whether a record is news to a behavior: made since it listens, and not because of it.

    Args:
        behavior: what listens.
        record: what came.
        because: the ids of the behaviors that led to it.
    """
    since = behavior.scheduled_at or behavior.created_at
    if str(behavior.id) in because or record.created_at < since:
        return False
    return filter_of(behavior).fits(record)


def told(record: Record, because: list[str]) -> dict[str, Any]:
    """Say what of a record its behaviors are given."""
    known = {"record": str(record.id), "type": record.KIND, "because": because}
    about = record.findable()
    if about is None:
        return known
    return known | {
        "kind": kind_of(record, about),
        "topic": about.topic,
        "agent": about.agent_name,
        "project": about.project,
        "text": about.text[:EXCERPT],
    }
