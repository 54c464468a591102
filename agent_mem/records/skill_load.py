from typing import ClassVar
from uuid import UUID

from agent_mem.records.fields import Name
from agent_mem.records.record import Record


class SkillLoad(Record):
    """That an agent has loaded a skill. A row each time: machines that are apart add them up."""

    TABLE: ClassVar[str] = "skill_loads"

    skill_id: UUID
    agent_name: Name
