from collections.abc import Iterator
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from agent_mem.records.fields import Json, Name
from agent_mem.records.record import Record, agent_uri

HIGHEST = 2**31 - 1
Number = Annotated[int, Field(ge=1, le=HIGHEST)]


class State(Record):
    """One revision of an agent's state, never changed: no machine replaces what another wrote.

    Two machines that were apart may both have written a revision of one number. The later is then
    the current one on both, and the other is still there.
    """

    TABLE: ClassVar[str] = "agent_state"

    agent_name: Name
    state: Json
    revision: Number
    parent_id: UUID | None = None
    """The revision that its writer had read."""
    restored_id: UUID | None = None
    """The revision that a rollback brought back with it."""

    def uris(self) -> Iterator[str]:
        yield agent_uri(self.agent_name)
