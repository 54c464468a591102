from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from agent_mem.records.fields import Json, Moment, Name, Names
from agent_mem.records.record import Findable, Record, now

KEPT = timedelta(days=30)


class Snapshot(Record):
    """The state of some work, for picking up where one left off."""

    TABLE: ClassVar[str] = "context_snapshots"
    KIND: ClassVar[str] = "snapshot"

    session_id: UUID | None = None
    agent_name: Name
    project: str | None = None
    context_type: Literal["task", "system", "error", "decision", "session"] = "session"
    context_data: Json
    tags: Names = Field(default_factory=list)
    importance: Annotated[int, Field(ge=1, le=10)] = 5
    expires_at: Moment | None = Field(default_factory=lambda: now() + KEPT)

    def findable(self) -> Findable:
        return Findable(
            text="\n".join(f"{key}: {_plain(value)}" for key, value in self.context_data.items()),
            at=self.created_at,
            topic=self.context_type,
            session_id=self.session_id,
            agent_name=self.agent_name,
            project=self.project,
            importance=self.importance / 10,
            expires_at=self.expires_at,
        )

    def uris(self) -> Iterator[str]:
        yield from super().uris()
        yield "memory://sessions"
        yield "memory://sessions/latest"
        if self.session_id:
            yield f"memory://sessions/{self.session_id}"


def _plain(value: object) -> str:
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - JSON
