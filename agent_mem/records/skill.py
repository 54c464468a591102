import hashlib
import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, cast

from pydantic import BaseModel, Field, StringConstraints

from agent_mem.records.fields import Content, Json, Line, Name, Names
from agent_mem.records.portable import Portable
from agent_mem.records.record import Record

NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""What a folder of a skill is called (agentskills.io)."""
SKILL_MD: Final = "SKILL.md"
MOST_FILES: Final = 512
LARGEST: Final = 16 * 2**20
"""Bytes of all files of a skill."""
PUBLISHED: Final = {
    "skill_name",
    "description",
    "category",
    "version",
    "spec",
    "body",
    "dependencies",
}
"""What is approved of a skill beside its files: it stays as it is."""

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Maker = Annotated[str, StringConstraints(pattern=r"^[\w.@-]{1,200}$")]
"""Who registered it, and where: it is shown to models, so no more than names are in it."""


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def slug(name: str) -> str:
    """Give a skill's name as its folder and its address have it: the format has no underscores."""
    return name.replace("_", "-")


class Entry(BaseModel):
    """One file of a skill: where it is in its folder, and what it is to be."""

    path: Portable
    size: int = Field(ge=0, le=LARGEST)
    digest: Digest
    executable: bool = False


class Skill(Record):
    """Something that agents can be taught: a SKILL.md, its files, and an MCP-compatible spec."""

    TABLE: ClassVar[str] = "skills"

    skill_name: Name
    description: Line
    category: Name | None = None
    version: Name = "1.0.0"
    spec: Json = Field(default_factory=dict)
    body: Content | None = None
    """The SKILL.md, as it is; or only its instructions, without what is before them."""
    dependencies: Names = Field(default_factory=list)
    is_active: bool = True
    files: list[Entry] = Field(default_factory=list[Entry], max_length=MOST_FILES - 1)
    """What else is in its folder; the contents are rows of their own."""
    registered_by: Maker | None = None

    def fingerprint(self) -> str:
        """Give the digest of all that is served of it: what was approved is known by this.

        Whether a file is executable is not in it: not every system knows.
        """
        said = self.model_dump(mode="json", include=PUBLISHED)
        said["files"] = sorted((f.path, f.size, f.digest) for f in self.files)
        text = json.dumps(plainly(said), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return sha256(text.encode())

    def uris(self) -> Iterator[str]:
        yield f"skill://{slug(self.skill_name)}/{SKILL_MD}"


def plainly(value: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
    """Write every number as PostgreSQL gives it back: 1.0 and 1 are one number."""
    if isinstance(value, dict):
        return {k: plainly(v) for k, v in cast("dict[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [plainly(item) for item in cast("list[Any]", value)]
    return int(value) if isinstance(value, float) and value.is_integer() else value
