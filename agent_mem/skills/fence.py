"""Where the frontmatter of a SKILL.md ends; what is in it is for another module."""

import json
import re
from typing import Final

FENCED: Final = re.compile(
    r"\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE
)


def fenced(text: str) -> bool:
    """Look whether a text begins with a frontmatter."""
    return FENCED.match(text) is not None


def headed(name: str, description: str) -> str:
    """Make the frontmatter of a skill that was given without one; a JSON string is YAML."""
    return f"---\nname: {name}\ndescription: {json.dumps(description, ensure_ascii=False)}\n---\n\n"
