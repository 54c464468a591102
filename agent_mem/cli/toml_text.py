"""Change one table in the text of a TOML file, and nothing else in it: comments stay.

The table is found by its heading. What a heading inside a long string would do to that, whoever
changes the file sees by reading what came out.
"""

import json
import re
import tomllib
from collections.abc import Collection
from typing import Any, cast

HEADING = re.compile(r"^[ \t]*\[", re.MULTILINE)
ASSIGNED = re.compile(r"^(\s*[\w.\"'-]+\s*=).*$")
NAMED = re.compile(
    r"""((?<![\w.-])["']?([\w-]+)["']?\s*=\s*)(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\])*"|'[^']*')""",
    re.DOTALL,
)
TITLE = re.compile(r"""\[\[?[\w.\s"'-]+\]\]?""")
PLAIN = re.compile(r"[A-Za-z0-9_-]+")


def parse(text: str) -> dict[str, Any]:
    """Read the file.

    Raises:
        ValueError: it is not TOML.
    """
    return tomllib.loads(text.removeprefix("\ufeff"))


def put(text: str, table: str, name: str, value: dict[str, object]) -> str:
    """Set the table `[table.name]`: where it is, or at the end."""
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = [f"[{table}.{key(name)}]", *(f"{key(k)} = {written(v)}" for k, v in value.items())]
    made = newline.join(lines) + newline
    places = spans(text, table, name)
    if not places:
        apart = newline if text.strip() else ""
        return text + ("" if not text or text.endswith("\n") else newline) + apart + made
    start = places[0][0]
    return text[:start] + made + without(text, places)[start:]


def drop(text: str, table: str, name: str) -> str:
    """Take out the table `[table.name]` and those in it."""
    return without(text, spans(text, table, name))


def veil(text: str, table: str, name: str, shown: Collection[str]) -> str:
    """Hide what a diff is not to show: all other values, and ours that are not `shown`."""
    told, at = "", 0
    for start, end in spans(text, table, name):
        ours = NAMED.sub(
            lambda found: found[0] if found[2] in shown else f'{found[1]}"***"', text[start:end]
        )
        told += hidden(text[at:start]) + ours
        at = end
    return told + hidden(text[at:])


def hidden(text: str) -> str:
    return "".join(hidden_line(line) for line in text.splitlines(keepends=True))


def hidden_line(line: str) -> str:
    """Leave headings and names."""
    kept = line.rstrip("\r\n")
    ending = line[len(kept) :]
    if not kept.strip() or TITLE.fullmatch(kept.strip()):
        return line
    found = ASSIGNED.match(kept)
    return (f"{found[1]} …" if found else "# …" if kept.lstrip()[0] == "#" else "…") + ending


def without(text: str, places: list[tuple[int, int]]) -> str:
    for start, end in reversed(places):
        text = text[:start] + text[end:]
    return text


def spans(text: str, table: str, name: str) -> list[tuple[int, int]]:
    """Find where `[table.name]` and its own tables are, each up to what belongs to the next."""
    named = rf"\"{re.escape(name)}\"|'{re.escape(name)}'|{re.escape(name)}"
    ours = re.compile(rf"[ \t]*\[\s*{re.escape(table)}\s*\.\s*(?:{named})\s*[.\]]")
    starts = [found.start() for found in HEADING.finditer(text)]
    ends = [*starts, len(text)][1:]
    return [
        (start, start + len(body(text[start:end])))
        for start, end in zip(starts, ends, strict=True)
        if ours.match(text, start)
    ]


def body(section: str) -> str:
    """Leave out the comments and empty lines at the end, which belong to what follows."""
    lines = section.splitlines(keepends=True)
    while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        lines.pop()
    return "".join(lines)


def key(name: str) -> str:
    return name if PLAIN.fullmatch(name) else written(name)


def written(value: object) -> str:
    """Write a value as TOML, on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            # A JSON string is a TOML string, but for one character.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list():
            return f"[{', '.join(map(written, cast('list[object]', value)))}]"
        case dict():
            pairs = cast("dict[str, object]", value).items()
            return "{ " + ", ".join(f"{key(k)} = {written(v)}" for k, v in pairs) + " }"
        case _:
            return str(value)
