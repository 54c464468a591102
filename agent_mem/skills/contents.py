"""The contents of a skill's files: out of rows, into rows, byte for byte."""

import base64
import mimetypes
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, Literal
from uuid import UUID

from agent_mem.errors import NotFound
from agent_mem.records.fields import keepable
from agent_mem.records.record import named_id
from agent_mem.records.skill import SKILL_MD, Entry, Skill, sha256, slug
from agent_mem.records.skill_file import PIECE, SkillFile
from agent_mem.skills.fence import fenced, headed
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Store, decode

Encoding = Literal["utf-8", "base64"]

KNOWN: Final = mimetypes.MimeTypes()
"""Those of Python itself, not of this machine: a file's type is the same on each."""
MORE: Final = {
    "md": "text/markdown",
    "toml": "application/toml",
    "ts": "text/x-typescript",
    "yaml": "application/yaml",
    "yml": "application/yaml",
}


def media_type(path: str) -> str:
    ending = path.rpartition(".")[2].lower()
    return MORE.get(ending) or KNOWN.guess_type(path)[0] or "application/octet-stream"


def skill_md(skill: Skill) -> str:
    """Give a skill's SKILL.md; one that was registered in words gets its frontmatter here."""
    body = skill.body or ""
    return body if fenced(body) else headed(slug(skill.skill_name), skill.description) + body


def manifest(skill: Skill) -> list[Entry]:
    """List all files of a skill, by their paths."""
    text = skill_md(skill).encode()
    first = Entry(path=SKILL_MD, size=len(text), digest=sha256(text))
    return sorted([first, *skill.files], key=lambda entry: entry.path)


def encoded(data: bytes) -> tuple[Encoding, str]:
    """Write bytes as text that every database keeps; readable, where they are text."""
    try:
        return "utf-8", keepable(data.decode())
    except ValueError:
        return "base64", base64.b64encode(data).decode()


def rows(skill: UUID, entry: Entry, data: bytes) -> Iterator[SkillFile]:
    """Cut a file into its rows. What is the same on two machines is one row on the server."""
    encoding, text = encoded(data)
    for part, start in enumerate(range(0, len(text) or 1, PIECE)):
        yield SkillFile(
            id=named_id("skill_file", str(skill), entry.path, entry.digest, str(part)),
            skill_id=skill,
            path=entry.path,
            part=part,
            media_type=media_type(entry.path),
            digest=entry.digest,
            encoding=encoding,
            content=text[start : start + PIECE],
        )


def reading(store: Store, skill: Skill, entry: Entry) -> Transaction[bytes]:
    """Read a file of a skill.

    Raises:
        NotFound: it is not here, or not as the list of files says.
    """
    if entry.path == SKILL_MD:
        return skill_md(skill).encode()
    key = {"skill_id": skill.id, "path": entry.path, "digest": entry.digest}
    data = joined(
        [decode(SkillFile, row) for row in (yield store.query("skill_files.pieces", **key))]
    )
    if sha256(data) != entry.digest:
        raise NotFound(
            f"The file `{entry.path}` of `{skill.skill_name}` {skill.version} is not here as it was"
            " registered: sync brings it when its machine has sent it."
        )
    return data


def joined(pieces: list[SkillFile]) -> bytes:
    """Put the pieces of a file together, whatever they are."""
    text = "".join(piece.content for piece in pieces)
    if not pieces or pieces[0].encoding == "utf-8":
        return text.encode()
    with suppress(ValueError):
        return base64.b64decode(text)
    return b""
