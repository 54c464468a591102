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
    """The version that was the newest when it was bound: its name is what is bound."""
    enabled: bool = True
    priority: int = 100
    config: Json = Field(default_factory=dict)
    version: Name | None = None
    """The version that it keeps to; without one it follows each new version of the skill's name."""
