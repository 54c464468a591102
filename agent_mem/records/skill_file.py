from typing import Annotated, ClassVar, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, StringConstraints

from agent_mem.records.fields import MAX_CONTENT, Name, keepable
from agent_mem.records.portable import Portable
from agent_mem.records.record import Record
from agent_mem.records.skill import Digest

PIECE: Final = 96_000
"""Characters of one row: sync carries hundreds of rows at a time, and each has to fit."""

Piece = Annotated[str, AfterValidator(keepable), StringConstraints(max_length=MAX_CONTENT)]


class SkillFile(Record):
    """A file of a skill (a script, a reference, an asset), or a piece of one; never changed."""

    TABLE: ClassVar[str] = "skill_files"

    skill_id: UUID
    path: Portable
    part: int = 0
    media_type: Name
    digest: Digest
    """Of the whole file's bytes."""
    encoding: Literal["utf-8", "base64"] = "utf-8"
    content: Piece
