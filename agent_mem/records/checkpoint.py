from collections.abc import Iterator
from typing import ClassVar
from uuid import UUID

from agent_mem.records.fields import Name
from agent_mem.records.record import Record, agent_uri
from agent_mem.records.state import Number


class Checkpoint(Record):
    """A name for a revision of an agent's state. Each naming is kept; the latest has the name."""

    TABLE: ClassVar[str] = "checkpoints"

    agent_name: Name
    label: Name
    revision: Number
    state_id: UUID

    def uris(self) -> Iterator[str]:
        yield agent_uri(self.agent_name)
