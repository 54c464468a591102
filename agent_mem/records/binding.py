from typing import ClassVar
from uuid import UUID

from pydantic import Field

from agent_mem.records.fields import Json, Name
from agent_mem.records.record import Record


class Binding(Record):
    """Which agent may use which skill, in which order, and how it is configured for it."""

    TABLE: ClassVar[str] = "agent_skill_bindings"

    agent_name: Name
    skill_id: UUID
    enabled: bool = True
    priority: int = 100
    config: Json = Field(default_factory=dict)
