"""The frontmatter of a SKILL.md: YAML, read as JSON is, so that everybody reads the same in it.

Scalars are those of YAML 1.2's core schema, as hosts read them: `yes` and `2026-05-01` are text.
"""

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

import yaml

from agent_mem.errors import InvalidInput
from agent_mem.skills.fence import FENCED

LONGEST: Final = 20_000
DEEPEST: Final = 16
WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
INTEGER: Final = re.compile(r"[-+]?[0-9]{1,15}")
OF_BITS: Final = re.compile(r"0x[0-9a-fA-F]{1,13}|0o[0-7]{1,17}")
NUMBER: Final = re.compile(
    r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,2})?"
)
TAGS: Final = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")}

Scalar = Callable[[yaml.ScalarNode], object]


class Front(NamedTuple):
    """What stands before the instructions."""

    values: dict[str, Any]
    """As hosts read it."""
    texts: dict[str, Any]
    """With every scalar as it was written."""


class Loader(yaml.BaseLoader):
    """Reads plain YAML: an alias may stand for more than fits into memory."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):  # pyright: ignore[reportUnknownMemberType] - not typed there
            raise InvalidInput("Its frontmatter has an alias (`*name`): write it out.")
        return super().compose_node(parent, index)


def read(text: str) -> Front:
    """Read the frontmatter of a SKILL.md.

    Raises:
        InvalidInput: there is none, or it is no YAML that can be read as JSON.
    """
    found = FENCED.match(text)
    if found is None:
        raise InvalidInput("It does not begin with a frontmatter: `---`, YAML, `---`.")
    if len(found[1]) > LONGEST:
        raise InvalidInput(f"Its frontmatter is longer than {LONGEST} characters.")
    try:
        root = cast("Any", yaml).compose(found[1], Loader=Loader)  # not typed there
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidInput(f"Its frontmatter is no YAML{place(error)}.") from None
    if not isinstance(root, yaml.MappingNode):
        raise InvalidInput("Its frontmatter is not a list of names with values.")
    return Front(mapping(root, core, DEEPEST), mapping(root, written, DEEPEST))


def place(error: Exception) -> str:
    """Say where it stopped, in the lines of the file."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be read"
    return f" (line {mark.line + 2}: {problem})" if mark else ""


def mapping(node: yaml.MappingNode, scalar: Scalar, left: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise InvalidInput("Its frontmatter has a name that is not text.")
        if key.value in found:
            raise InvalidInput(f"Its frontmatter has `{key.value[:80]}` twice.")
        found[key.value] = tree(value, scalar, left - 1)
    return found


def tree(node: yaml.Node, scalar: Scalar, left: int) -> object:
    if node.tag not in TAGS:
        raise InvalidInput(f"Its frontmatter has the YAML tag `{node.tag[:80]}`: leave it out.")
    if not left:
        raise InvalidInput(f"Its frontmatter is nested more than {DEEPEST} levels deep.")
    if isinstance(node, yaml.MappingNode):
        return mapping(node, scalar, left)
    if isinstance(node, yaml.SequenceNode):
        return [tree(item, scalar, left - 1) for item in node.value]
    assert isinstance(node, yaml.ScalarNode)  # noqa: S101 - there is no fourth kind
    return scalar(node)


def written(node: yaml.ScalarNode) -> str:
    return str(node.value)


def core(node: yaml.ScalarNode) -> object:
    """Read a scalar by the core schema; what is quoted is text."""
    text = str(node.value)
    if node.style is not None:
        return text
    if text in WORDS:
        return WORDS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    if OF_BITS.fullmatch(text):
        return int(text, 0)
    return float(text) if NUMBER.fullmatch(text) else text
