from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from agent_mem.records.fields import Json, Moment, Name, Names
from agent_mem.records.record import Record, now, signals_uri

WAITS = timedelta(hours=24)
"""How long a signal waits for its agents, unless its sender says otherwise."""
EVERY_AGENT = "memory://agents/*/signals"
"""What changes when a signal is for all: what waits for any agent."""


class Signal(Record):
    """What one agent tells others: some by name, or with no targets all but itself."""

    TABLE: ClassVar[str] = "signals"

    sender: Name
    targets: Names = Field(default_factory=list)
    signal_type: Name
    payload: Json = Field(default_factory=dict)
    expires_at: Moment | None = Field(default_factory=lambda: now() + WAITS)

    def addresses(self, agent: str) -> bool:
        """Tell whether it is for an agent."""
        return agent in self.targets if self.targets else agent != self.sender

    def uris(self) -> Iterator[str]:
        if not self.targets:
            yield EVERY_AGENT
        for agent in self.targets:
            yield signals_uri(agent)
