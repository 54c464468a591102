"""The house keeps its own rules."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from agent_mem import __version__
from agent_mem.config import Settings
from agent_mem.records import RECORDS
from agent_mem.tools import TOOLS

ROOT = Path(__file__).parent.parent
CODE = sorted((ROOT / "agent_mem").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PROGRAMS = sorted((ROOT / "bench").rglob("*.py"))

MOST_LINES = {"agent_mem": 300, "bench": 300, "tests": 500}
MOST_OF_A_FUNCTION = 40
SETTINGS = 15
LONGER_BY_RIGHT: dict[str, str] = {
    # A tool's parameters, each with its description, are its interface, not its logic.
    "remember": "fifteen parameters",
    "log_decision": "thirteen parameters",
    "save_session": "nine parameters",
    "register_behavior": "thirteen parameters",
    "register_skill": "eight parameters",
}


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield each function's name and lines, docstring included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("path", [*CODE, *TESTS, *PROGRAMS], ids=lambda path: path.name)
def test_a_file_is_short_enough_to_be_read_at_once(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]

    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES[room]


@pytest.mark.parametrize("path", [*CODE, *PROGRAMS], ids=lambda path: path.name)
def test_a_function_is_short_enough_to_be_understood_at_once(path: Path) -> None:
    long = {name for name, lines in functions(path) if lines > MOST_OF_A_FUNCTION}

    assert long <= LONGER_BY_RIGHT.keys()


def test_most_functions_have_fewer_than_ten_lines() -> None:
    assert median(lines for path in CODE for _, lines in functions(path)) < 10


def test_only_a_function_that_is_longer_has_an_exception() -> None:
    long = {n for path in CODE for n, lines in functions(path) if lines > MOST_OF_A_FUNCTION}

    assert long >= LONGER_BY_RIGHT.keys()


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.name)
def test_no_error_is_swallowed_whole(path: Path) -> None:
    assert not re.search(r"except( Base)?( Exception)?:", path.read_text(encoding="utf-8"))


def test_settings_are_few_and_each_is_documented() -> None:
    told = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    names = [f"`AGENT_MEM_{name.upper()}`" for name in Settings.model_fields]

    assert len(names) <= SETTINGS
    assert all(name in told for name in names)
    assert all(field.description for field in Settings.model_fields.values())


def test_every_tool_and_every_table_is_documented() -> None:
    tools = (ROOT / "docs" / "tools.md").read_text(encoding="utf-8")
    tables = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")

    assert all(f"`{tool.name}`" in tools for tool in TOOLS)
    assert all(f"`{model.TABLE}`" in tables for model in RECORDS)


def test_the_changelog_tells_of_this_version() -> None:
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
