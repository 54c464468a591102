"""What tests of the doctor share: the command, and ways to do harm."""

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent_mem.cli.main import main

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")


OUTSIDE = ["sqlite", "place", "modes", "pages", "tables"]
INSIDE = ["words", "rows", "passages", "totals", "outbox", "corrections", "decisions"]
MEANING = ["encoder", "vectors", "index"]


def run(*arguments: str, code: int = 0, **settings: object) -> str:
    """Run the command in this process, and give what it printed."""
    env = {f"AGENT_MEM_{name.upper()}": str(value) for name, value in settings.items()}
    result = CliRunner(env=env).invoke(main, arguments)
    assert result.exit_code == code, result.output
    return result.output


def examined(*options: str, code: int = 0, **settings: object) -> dict[str, dict[str, str]]:
    """Give what the doctor found, by check."""
    told = json.loads(run("doctor", "--json", *options, code=code, **settings))
    assert told["healthy"] is (code == 0)
    return {finding["check"]: finding for finding in told["findings"]}


def levels(found: dict[str, dict[str, str]], *but: str) -> set[str]:
    return {finding["level"] for check, finding in found.items() if check not in ("sqlite", *but)}


def change(path: Path, *statements: str) -> list[tuple[Any, ...]]:
    """Change a file behind the program's back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        return [row for sql in statements for row in db.execute(sql).fetchall()]
