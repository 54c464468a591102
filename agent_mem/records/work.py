import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field

from agent_mem.records.fields import Json, Line, Moment, Name, Number
from agent_mem.records.record import Findable, Record, digest

LONGEST = 300


class Work(Record):
    """A piece of work: claimed, then done or failed; or one change of a task."""

    TABLE: ClassVar[str] = "work_history"
    KIND: ClassVar[str] = "work"

    task_id: UUID | None = None
    agent_name: Name
    project: str | None = None
    action: Line
    signature: str = ""
    """What is the same where the same is done; a change of a task has none."""
    input: Json = Field(default_factory=dict)
    output: Json = Field(default_factory=dict)
    success: bool | None = None
    error_message: Line | None = None
    duration_ms: Number | None = None
    claimed_at: Moment | None = None
    lease_until: Moment | None = None
    """Until when it counts as under way, unless it is renewed or its result is logged."""

    def ended(self) -> bool:
        return self.success is not None

    def open(self, at: datetime) -> bool:
        """Tell whether an agent is at it: it claimed it, and the lease has not run out."""
        return not self.ended() and self.lease_until is not None and self.lease_until > at

    def result(self) -> str:
        """Tell in a few words what came of it."""
        if self.success is None:
            return "not logged"
        verdict = "done" if self.success else "failed"
        said = [self.error_message or "", *(f"{k}: {plain(v)}" for k, v in self.output.items())]
        return "; ".join([verdict, *(part for part in said if part)])

    def findable(self) -> Findable | None:
        """Give the work and its result; a claim is found as long as it lasts."""
        if not self.signature:
            return None
        text = f"{self.action}\nResult: {self.result()}" if self.ended() else self.action
        return Findable(
            text=text,
            at=self.created_at,
            agent_name=self.agent_name,
            project=self.project,
            expires_at=None if self.ended() else self.lease_until,
        )

    def uris(self) -> Iterator[str]:
        if self.signature:
            yield from super().uris()


def work_signature(action: str, given: dict[str, Any]) -> str:
    """Reduce a piece of work to what makes it the same: its words with their numbers, its input.

    A number is what tells one review from the next, other than in the text of an error.
    """
    words = " ".join(action.casefold().split()).rstrip(".!") or action
    same = f"{words} {json.dumps(given, sort_keys=True, ensure_ascii=False)}" if given else words
    return same if len(same) <= LONGEST else f"{same[:LONGEST]}… {digest(same)[:16]}"


def plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
