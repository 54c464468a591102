from collections.abc import Iterator
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from agent_mem.records.fields import Json, Line, Name, Names
from agent_mem.records.record import Record, agent_uri, named_id


def agent_id(owner: str, name: str) -> UUID:
    """Give the id that an agent has on every machine."""
    return named_id("agent", owner, name)


class Agent(Record):
    """Who works here: an agent's role, its directives, what it can do, and its configuration."""

    TABLE: ClassVar[str] = "agents"

    agent_name: Name
    role: Line | None = None
    directives: Annotated[list[Line], Field(max_length=50)] = Field(default_factory=list)
    capabilities: Names = Field(default_factory=list)
    config: Json = Field(default_factory=dict)

    def uris(self) -> Iterator[str]:
        yield "memory://agents"
        yield agent_uri(self.agent_name)
