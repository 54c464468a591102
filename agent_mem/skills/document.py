"""A SKILL.md in the Agent Skills format (agentskills.io), checked.

`allowed-tools` in it grants nothing: what an agent may do is for its host to say.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, cast

from agent_mem.errors import InvalidInput
from agent_mem.records.fields import MAX_CONTENT, storable
from agent_mem.records.skill import NAME, SKILL_MD
from agent_mem.skills.frontmatter import Front, read

MOST: Final = {"name": 64, "description": 1024, "compatibility": 500}
REQUIRED: Final = ("name", "description")
SEPARATED: Final = re.compile(r"[\s,]+")


class Document(NamedTuple):
    """What a SKILL.md says of its skill."""

    text: str
    """The whole file."""
    name: str
    description: str
    category: str | None
    version: str | None
    dependencies: list[str]
    spec: dict[str, Any]


def decoded(data: bytes) -> str:
    """Read the bytes of a SKILL.md.

    Raises:
        InvalidInput: they are no text that can be kept.
    """
    try:
        text = storable(data.decode())
    except UnicodeDecodeError:
        raise InvalidInput(f"Its {SKILL_MD} is not UTF-8.") from None
    except ValueError as error:
        raise InvalidInput(f"Its {SKILL_MD} {error}.") from None
    if len(text) > MAX_CONTENT:
        raise InvalidInput(
            f"Its {SKILL_MD} is longer than {MAX_CONTENT} characters: move some to references/."
        )
    return text


def document(text: str, folder: str | None = None) -> Document:
    """Read and check a SKILL.md.

    Args:
        text: the whole file.
        folder: the name of its folder, which has to be the skill's; None if it is in none.

    Raises:
        InvalidInput: a sentence for each thing that is wrong.
    """
    front = read(text)
    if wrong := list(defects(front, folder)):
        raise InvalidInput(" ".join(wrong))
    said: dict[str, str] = front.texts.get("metadata") or {}
    return Document(
        text=text,
        name=front.texts["name"],
        description=front.texts["description"],
        category=said.get("category"),
        version=said.get("version"),
        dependencies=[name for name in SEPARATED.split(said.get("dependencies", "")) if name],
        spec={"config_schema": json.loads(said["config_schema"])}
        if "config_schema" in said
        else {},
    )


def defects(front: Front, folder: str | None) -> Iterator[str]:
    for field in REQUIRED:
        if field not in front.texts:
            yield f"Its frontmatter has no `{field}`."
    for field, most in MOST.items():
        yield from of_text(field, front.texts.get(field, field), most)
    name = front.texts.get("name")
    if isinstance(name, str) and name:
        yield from of_name(name, folder)
    yield from of_metadata(front.texts.get("metadata") or {})


def of_text(field: str, value: object, most: int) -> Iterator[str]:
    if not isinstance(value, str) or not value.strip():
        yield f"Its `{field}` is not a text."
    elif len(value) > most:
        yield f"Its `{field}` has {len(value)} characters, which is more than {most}."


def of_name(name: str, folder: str | None) -> Iterator[str]:
    if not NAME.fullmatch(name):
        yield (
            f"Its name `{name[:80]}` is not made of a-z, 0-9 and single hyphens between them, such"
            " as git-workflow."
        )
    elif folder is not None and name != folder:
        yield f"Its name is `{name[:80]}`, but its folder's is `{folder}`: they must be the same."


def of_metadata(metadata: object) -> Iterator[str]:
    if not isinstance(metadata, Mapping):
        yield "Its `metadata` is not a list of names with values."
        return
    said = cast("Mapping[str, object]", metadata)
    for key, value in said.items():
        if not isinstance(value, str):
            yield f"`{key[:80]}` in its `metadata` is not a text."
    for key in ("version", "category"):
        if key in said and not 0 < len(str(said[key]).strip()) <= MOST["name"]:
            yield f"`{key}` in its `metadata` has to have 1 to {MOST['name']} characters."
    if not is_object(said.get("config_schema", "{}")):
        yield "`config_schema` in its `metadata` is not a JSON object, written as text."


def is_object(text: object) -> bool:
    try:
        return isinstance(json.loads(str(text)), dict)
    except (ValueError, RecursionError):
        return False
