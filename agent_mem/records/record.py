"""What every record has: identity, owner, times, and the columns that sync needs."""

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field

from agent_mem.records.fields import Moment

NOBODY = UUID(int=0)
"""The origin of a record that no store has written yet."""


def now() -> datetime:
    return datetime.now(UTC)


def uuid7() -> UUID:
    """Make a time-ordered id (RFC 9562, version 7: 48 bits of milliseconds, 74 random)."""
    random = int.from_bytes(os.urandom(10), "big")
    high = (time.time_ns() // 1_000_000) << 16 | 0x7000 | random >> 68
    return UUID(int=high << 64 | 0b10 << 62 | random & (1 << 62) - 1)


def named_id(*parts: str) -> UUID:
    """Make the id that the same words always give (RFC 9562, version 5)."""
    return uuid5(NAMESPACE_URL, "agent-mem:" + "\x1f".join(parts))


def digest(*parts: object) -> str:
    """Fingerprint what makes two records the same (SHA-256, hexadecimal)."""
    text = "\x1f".join("" if part is None else str(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()


def agent_uri(name: str) -> str:
    """Give the address of what an agent remembered and decided."""
    return f"memory://agents/{quote(name, safe='')}"


def signals_uri(name: str) -> str:
    """Give the address of what waits for an agent."""
    return f"{agent_uri(name)}/signals"


@dataclass(frozen=True, slots=True)
class Findable:
    """What a record tells recall about itself."""

    text: str
    at: datetime
    kind: str | None = None
    """Finer than the record's own kind, where there is one: a memory's `preference`."""
    topic: str | None = None
    subject: str | None = None
    session_id: UUID | None = None
    agent_name: str | None = None
    project: str | None = None
    importance: float = 0.5
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    expires_at: datetime | None = None


class Record(BaseModel):
    """One row. Passive: it never holds the store that it came from."""

    model_config = ConfigDict(defer_build=True, extra="forbid", validate_assignment=False)

    TABLE: ClassVar[str]
    KIND: ClassVar[str] = ""
    """What recall calls it; empty for a record that recall never returns."""

    owner: str = ""
    id: UUID = Field(default_factory=uuid7)
    created_at: Moment = Field(default_factory=now)
    updated_at: Moment = Field(default_factory=now)
    deleted_at: Moment | None = None
    hlc: int = 0
    origin: UUID = NOBODY
    ver: int | None = None
    schema_v: int = 1
    extra: dict[str, Any] = Field(default_factory=dict)

    def findable(self) -> Findable | None:
        """Say what recall may find this by; None if it is not for finding."""
        return None

    def uris(self) -> Iterator[str]:
        """Name the resources that change when this record does."""
        if self.KIND:
            yield f"memory://item/{self.id}"
