from typing import ClassVar

from pydantic import Field

from agent_mem.records.fields import Content, Json, Line, Name, Names
from agent_mem.records.record import Record


class Skill(Record):
    """Something that agents can be taught: a SKILL.md and an MCP-compatible description."""

    TABLE: ClassVar[str] = "skills"

    skill_name: Name
    description: Line
    category: Name | None = None
    version: Name = "1.0.0"
    spec: Json = Field(default_factory=dict)
    body: Content | None = None
    dependencies: Names = Field(default_factory=list)
    is_active: bool = True
