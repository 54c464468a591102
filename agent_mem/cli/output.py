"""What the commands share: a memory to work on, a tool's arguments as options, and printing."""

import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

import anyio
import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from agent_mem.app import App, open_app, open_direct
from agent_mem.config import read
from agent_mem.errors import AgentMemError
from agent_mem.tools import TOOLS
from agent_mem.tools.tool import Tool

T = TypeVar("T")
Command = Callable[..., None]

CONTROLS = {*range(32), *range(127, 160)} - {ord("\n"), ord("\t")}
UNPRINTABLE = dict.fromkeys(CONTROLS, "\N{REPLACEMENT CHARACTER}")
TYPES = {"string": "TEXT", "array": "TEXT", "integer": "NUMBER", "number": "NUMBER"}

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def run(work: Callable[[App], Awaitable[T]], *, direct: bool = False) -> T:
    """Do some work on the memory of the settings; what goes wrong is told in one sentence."""

    async def working() -> T:
        async with (open_direct if direct else open_app)(read()) as app:
            return await work(app)

    try:
        return anyio.run(working)
    except AgentMemError as error:
        raise click.ClickException(plain(str(error))) from None


def tool(name: str) -> Tool:
    """Find the tool that a command stands for."""
    return next(tool for tool in TOOLS if tool.name == name)


def arguments(tool: Tool, text: str) -> Callable[[Command], Command]:
    """Give a command what a tool takes: `text` as its one argument, all else as options.

    The values stay text here: the tool checks them, in the sentences that a model reads too.
    """

    def decorate(command: Command) -> Command:
        for name, schema in reversed(tool.schema["properties"].items()):
            if name != text:
                command = option(name, schema)(command)
        return click.argument(text, metavar="TEXT", callback=spoken)(command)

    return decorate


def option(name: str, schema: Mapping[str, Any]) -> Callable[[Command], Command]:
    """Describe one argument of a tool as an option; a list is an option that may come again."""
    many = schema["type"] == "array"
    flag = "--" + (name.removesuffix("s") if many else name).replace("_", "-")
    told = [schema["description"]] if "description" in schema else []
    told += ["repeatable"] if many else []
    told += [f"default: {schema['default']}"] if "default" in schema else []
    metavar = "|".join(schema.get("enum", [TYPES[schema["type"]]]))
    return click.option(flag, name, multiple=many, metavar=metavar, help="; ".join(told))


def spoken(_: click.Context, __: click.Parameter, value: str) -> str:
    """Read stdin where the text is `-`."""
    if value != "-":
        return value
    # What is not UTF-8 gets through to the tool, which refuses it in a sentence.
    return sys.stdin.buffer.read().decode(errors="surrogateescape").rstrip("\r\n")


def given(options: Mapping[str, object]) -> dict[str, Any]:
    """Keep the options that were given."""
    return {name: value for name, value in options.items() if value not in (None, ())}


def print_json(value: object) -> None:
    """Print JSON: as UTF-8 to a program, in ASCII to a terminal, which no text may steer."""
    click.echo(json.dumps(value, ensure_ascii=sys.stdout.isatty(), indent=2).encode())


def plain(text: str) -> str:
    """Take out the control characters, by which a stored text could steer the terminal."""
    return text.translate(UNPRINTABLE)


def console() -> Console:
    """Open the terminal for plain text: nothing stored is read as markup or highlighted."""
    return Console(markup=False, emoji=False, highlight=False, soft_wrap=True)


def table(*headings: str, rows: Iterable[Iterable[object]]) -> Table:
    """Make a table; figures stand to the right."""
    made = Table(box=SIMPLE_HEAD)
    body = [list(row) for row in rows]
    for n, heading in enumerate(headings):
        figures = bool(body) and isinstance(body[0][n], int | float)
        made.add_column(heading, justify="right" if figures else "left")
    for row in body:
        made.add_row(*(shown(cell) for cell in row))
    return made


def shown(cell: object) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else plain(str(cell))
