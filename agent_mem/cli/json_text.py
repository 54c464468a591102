"""Change one entry in the text of a JSON file, and nothing else in it.

Comments and commas at the end of a list, as VS Code allows them, are blanked out for reading:
every character stays where it was, so that what was found can be changed in the text itself.
"""

import json
import re
from collections.abc import Collection
from json import JSONDecoder
from typing import Any, NamedTuple

STRING = r'"(?:\\.|[^"\\])*"'
COMMENT = re.compile(rf"{STRING}|//[^\r\n]*|/\*.*?\*/", re.DOTALL)
TRAILING = re.compile(rf"{STRING}|,(?=\s*[}}\]])", re.DOTALL)
INDENT = re.compile(r'[\r\n]([ \t]+)"')
SPACE = re.compile(r"\s*")
NAMED = re.compile(rf'("([^"\\]*)"\s*:\s*){STRING}', re.DOTALL)
PART = re.compile(rf"{STRING}(?:\s*:)?|//[^\r\n]*|/\*.*?\*/", re.DOTALL)
DECODER = JSONDecoder()


class Member(NamedTuple):
    """Where a member of an object is: from its name to the end of its value."""

    start: int
    value: int
    end: int


def parse(text: str, *, comments: bool) -> dict[str, Any]:
    """Read an object; an empty file is an empty one.

    Raises:
        ValueError: it is not JSON, or no object.
    """
    plain = blank(text) if comments else text.removeprefix("\ufeff")
    if plain.strip()[:1] not in {"", "{"}:
        raise ValueError("it holds no object")
    return json.loads(plain) if plain.strip() else {}


def blank(text: str) -> str:
    """Turn into spaces what JSON does not know."""
    return TRAILING.sub(spaces, uncommented(text))


def uncommented(text: str) -> str:
    marked = text.startswith("\ufeff")
    return COMMENT.sub(spaces, f" {text[1:]}" if marked else text)


def spaces(found: re.Match[str]) -> str:
    """Keep a string, which only looks like a comment; turn all else into as many spaces."""
    part = found[0]
    return part if part[0] == '"' else re.sub(r"[^\r\n]", " ", part)


def put(text: str, table: str, name: str, value: object) -> str:
    """Set the entry `name` of `table`, which is made where it is not."""
    if not blank(text).strip():
        return text + written({table: {name: value}}, "  ", "", "\n") + "\n"
    plain = blank(text)
    root = opening(plain)
    tables = members(plain, root)
    if table not in tables:
        return add(text, root, table, {name: value}, 1)
    inside = tables[table].value
    entry = members(plain, inside).get(name)
    if entry is None:
        return add(text, inside, name, value, 2)
    made = dumped(text, value, 2)
    return text[: entry.value] + made + text[entry.end :]


def drop(text: str, table: str, name: str) -> str:
    """Take out the entry `name` of `table`, with the comma that parts it from the others."""
    plain = blank(text)
    inside = members(plain, opening(plain))[table].value
    entries = members(plain, inside)
    entry = entries[name]
    rest = text[comma(text, entry.end) :]
    if any(other.start > entry.end for other in entries.values()):
        return text[: entry.start] + rest.lstrip()
    start = max((other.end for other in entries.values() if other.end < entry.start), default=0)
    start = start or inside + 1
    parted = comma(text, start)
    gap = text[start : max(parted - 1, start)] + text[parted : entry.start]
    # A comment that goes to the end of a line still needs that end.
    ended = "\n" not in gap or rest.lstrip(" \t")[:1] in {"\r", "\n"}
    return text[:start] + (gap.rstrip() if ended else gap) + rest


def comma(text: str, end: int) -> int:
    """Go past the comma that may follow the last entry."""
    plain = uncommented(text)
    next_one = past(plain, end)
    return next_one + 1 if plain[next_one] == "," else end


def veil(text: str, table: str, name: str, shown: Collection[str]) -> str:
    """Hide what a diff is not to show: all other entries' values, and ours that are not `shown`."""
    plain = blank(text)
    entry = Member(0, 0, 0)
    if plain.strip() and table in (tables := members(plain, opening(plain))):
        entry = members(plain, tables[table].value).get(name, entry)
    ours = NAMED.sub(
        lambda found: found[0] if found[2] in shown else f'{found[1]}"***"',
        text[entry.start : entry.end],
    )
    return hidden(text[: entry.start]) + ours + hidden(text[entry.end :])


def hidden(text: str) -> str:
    return PART.sub(hide, text)


def hide(found: re.Match[str]) -> str:
    """Leave the names of members; hide values, and comments, which may hold what was a value."""
    part = found[0]
    if part[0] == "/":
        return "// …"
    return part if part[-1] == ":" else '"…"'


def add(text: str, opened: int, name: str, value: object, depth: int) -> str:
    """Add a last member to the object that opens at `opened`."""
    plain = blank(text)
    there = list(members(plain, opened).values())
    made = f"{json.dumps(name)}: {dumped(text, value, depth)}"
    newline, indent = style(text)
    last = there[-1].end if there else opened + 1
    close = past(plain, last)
    # After what is said of the last member in a comment.
    at = last + len(text[last:close].rstrip())
    parted = "," if there and comma(text, last) == last else ""
    rest = text[at:] if "\n" in text[at:close] else newline + indent * (depth - 1) + text[close:]
    return f"{text[:last]}{parted}{text[last:at]}{newline}{indent * depth}{made}{rest}"


def dumped(text: str, value: object, depth: int) -> str:
    newline, indent = style(text)
    return written(value, indent, indent * depth, newline)


def written(value: object, indent: str, margin: str, newline: str) -> str:
    """Write a value in the style of the file around it; short lists stay on a line."""
    lines = json.dumps(value, ensure_ascii=False, indent=indent)
    lines = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", one_line, lines)
    return lines.replace("\n", newline + margin)


def one_line(found: re.Match[str]) -> str:
    return "[" + re.sub(r",\n\s+", ", ", found[1]) + "]"


def style(text: str) -> tuple[str, str]:
    """Tell how a file ends its lines, and by what it indents them."""
    found = INDENT.search(text)
    return "\r\n" if "\r\n" in text else "\n", found[1] if found else "  "


def opening(plain: str) -> int:
    return past(plain, 0)


def past(plain: str, at: int) -> int:
    """Go past spaces."""
    found = SPACE.match(plain, at)
    return found.end() if found else at


def members(plain: str, opened: int) -> dict[str, Member]:
    """Find the members of the object that opens at `opened`, of text that was read before."""
    found: dict[str, Member] = {}
    at = past(plain, opened + 1)
    while plain[at] != "}":
        name, end = DECODER.raw_decode(plain, at)
        value = past(plain, past(plain, end) + 1)
        _, end = DECODER.raw_decode(plain, value)
        found[name] = Member(at, value, end)
        at = past(plain, end)
        at = past(plain, at + 1) if plain[at] == "," else at
    return found
