"""SQL by name: the blocks of the `.sql` files. Cheap to import: a hook has milliseconds.

A block starts with a line of its own and ends at the next:

    -- migrate 1 --              one step of this file's history, on every database
    -- migrate 2 sqlite --       a step for one database only
    -- query by_topic --         a statement, with a sentence that says what it is for
    -- part allowed --           what several queries of this file share, as `{allowed}`
    -- part among postgres --    the same, as one database says it
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

Dialect = Literal["sqlite", "postgres"]


class Block(NamedTuple):
    file: str
    verb: Literal["migrate", "query", "part"]
    name: str
    dialect: Dialect | None
    text: str


PART = re.compile(r"\{(\w+)\}")
HEADER = re.compile(r"^-- (migrate|query|part) (\w+)(?: (sqlite|postgres))? --\n", re.MULTILINE)


@cache
def blocks() -> tuple[Block, ...]:
    """Read every block of every `.sql` file, in the order of their names; views, of all, last."""
    folder = Path(__file__).with_name("sql")
    paths = sorted(folder.iterdir(), key=lambda path: (path.name == "views.sql", path.name))
    return tuple(
        block
        for path in paths
        for block in parse(path.name.removesuffix(".sql"), path.read_text(encoding="utf-8"))
    )


def parse(file: str, text: str) -> list[Block]:
    """Cut one file into its blocks."""
    pieces = HEADER.split(text)[1:]
    return [
        Block(file, verb, name, dialect, body.strip())  # pyright: ignore[reportArgumentType] - the pattern holds it
        for verb, name, dialect, body in zip(*(pieces[i::4] for i in range(4)), strict=True)
    ]


@cache
def queries(dialect: Dialect) -> dict[str, str]:
    """Name every query that this database understands: `file.name` to its text."""
    mine = [block for block in blocks() if block.dialect in (None, dialect)]
    parts = {(block.file, block.name): block.text for block in mine if block.verb == "part"}
    return {
        f"{block.file}.{block.name}": whole(block.text, block.file, parts)
        for block in mine
        if block.verb == "query"
    }


def whole(text: str, file: str, parts: Mapping[tuple[str, str], str]) -> str:
    """Put in the parts of a text, and theirs."""
    return PART.sub(lambda match: whole(parts[file, match[1]], file, parts), text)
