"""Serve MCP: the wire is taken before anything is imported that might print."""

import os
import signal
import sys
from importlib import import_module

import click

from agent_mem.errors import AgentMemError


@click.command("serve")
@click.option("--direct", is_flag=True, help="Work on the PostgreSQL itself, without a file.")
@click.option(
    "--toolsets",
    metavar="NAMES",
    help="What to offer: core, decisions, work, agents, authoring, or all.  [core]",
)
def serve_command(*, direct: bool, toolsets: str | None) -> None:
    """Serve MCP over stdin and stdout, until stdin closes."""
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    wire = take_stdout()
    anyio = import_module("anyio")
    stdio = import_module("agent_mem.server.stdio")
    anyio.run(stdio.serve, settings(toolsets), wire, direct)


def settings(toolsets: str | None) -> object:
    """Read the settings; what makes no sense in them is told in one sentence."""
    given = {} if toolsets is None else {"toolsets": toolsets}
    try:
        return import_module("agent_mem.config").read(**given)
    except AgentMemError as error:
        raise click.ClickException(str(error)) from None


def leave(number: int, _: object) -> None:
    """End at once: nothing is open yet, and nobody waits for an answer."""
    os._exit(0 if number == signal.SIGTERM else 130)


def take_stdout() -> int:
    """Keep stdout for the client: whatever else prints, here or in a child, goes to stderr."""
    wire = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return wire
