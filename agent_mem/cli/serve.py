"""Serve MCP: the wire is taken before anything is imported that might print."""

import os
import signal
import sys
from importlib import import_module

import click

from agent_mem.errors import AgentMemError


@click.command("serve")
@click.option("--http", "over_http", is_flag=True, help="Serve over HTTP, not stdin and stdout.")
@click.option("--host", default="127.0.0.1", show_default=True, help="With --http: the address.")
@click.option(
    "--port",
    default=8765,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="With --http: the port; 0 is any.",
)
@click.option(
    "--allow-host",
    "names",
    multiple=True,
    metavar="NAME",
    help="With --http: a further name by which clients call this server; repeatable.",
)
@click.option(
    "--rate",
    default=200.0,
    show_default=True,
    type=click.FloatRange(0),
    help="With --http: requests a second for each token; 0 is no limit.",
)
@click.option("--direct", is_flag=True, help="Work on the PostgreSQL itself, without a file.")
@click.option(
    "--toolsets",
    metavar="NAMES",
    help="What to offer: core, decisions, work, agents, authoring, or all.  [core]",
)
def serve_command(
    *, direct: bool, toolsets: str | None, over_http: bool, **address: object
) -> None:
    """Serve MCP over stdin and stdout, until stdin closes; or over HTTP, until a signal comes."""
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    if over_http:
        sys.exit(serve_http(toolsets, direct=direct, **address))
    wire = take_stdout()
    anyio = import_module("anyio")
    stdio = import_module("agent_mem.server.stdio")
    anyio.run(stdio.serve, settings(toolsets), wire, direct)


def serve_http(toolsets: str | None, **options: object) -> int:
    """Serve over HTTP; what stands against it is told in one sentence."""
    anyio = import_module("anyio")
    http = import_module("agent_mem.server.http")
    try:
        return anyio.run(http.serve, settings(toolsets), http.Options(**options))
    except AgentMemError as error:
        raise click.ClickException(str(error)) from None


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
