"""Write a client's configuration, so that it starts this installation's server."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from difflib import unified_diff
from pathlib import Path
from shutil import which

import click

from agent_mem.cli import rewriting
from agent_mem.cli.client_entry import NAME, Entry, Place
from agent_mem.cli.clients import CLIENTS, Machine, present, server_command, user_file
from agent_mem.config import Settings
from agent_mem.config import read as read_settings
from agent_mem.errors import AgentMemError, InvalidInput

PREFIX = "AGENT_MEM_"
FILES = {"AGENT_MEM_DB", "AGENT_MEM_CONFIG"}
SHOWN = {"type", "command"} | {
    f"{PREFIX}{name.upper()}"
    for name, setting in Settings.model_fields.items()
    if "SecretStr" not in str(setting.annotation)
}
"""What a diff may show the values of."""
COLOURS = {"+": "green", "-": "red", "@": "cyan"}
PATIENCE = 60.0
"""Seconds for a client's own command."""


@click.command("install")
@click.argument("client", type=click.Choice(list(CLIENTS)), required=False)
@click.option("--project", is_flag=True, help="For the folder you are in, not for all you do.")
@click.option("--toolsets", metavar="NAMES", help="What to offer, as in `agent-mem serve`.")
@click.option(
    "--env",
    "given",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="A setting for the server; without a value, the one that is set here; repeatable.",
)
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--undo", is_flag=True, help="Put back what was there before.")
def install_command(
    *,
    client: str | None,
    project: bool,
    toolsets: str | None,
    given: Sequence[str],
    dry_run: bool,
    undo: bool,
) -> None:
    """Write a client's configuration, so that it starts this server.

    Without a CLIENT, tell which ones are on this machine, and what each is configured to start.
    Another run changes only what it is given; the rest of the entry, and of the file, stays.
    """
    try:
        if client is None:
            overview(Machine())
            return
        place = find(client, Machine(), project=project)
        if undo:
            take_back(place, dry_run=dry_run)
        else:
            put_in(place, wanted(place, toolsets, settings(given, toolsets)), dry_run=dry_run)
    except AgentMemError as error:
        raise click.ClickException(str(error)) from None


def overview(machine: Machine) -> None:
    """Tell of each client what it is configured to start."""
    for name, client in CLIENTS.items():
        path = user_file(name, machine)
        try:
            state = standing(Place(client, path, rewriting.read(path)).entry)
        except InvalidInput as error:
            state = str(error)
        if not present(name, machine):
            state = "not found on this machine"
        click.echo(f"{name:<16}{state}\n{'':16}{click.style(str(path), dim=True)}")


def standing(entry: Entry | None) -> str:
    """Tell what an entry starts, and whether that is still there."""
    if entry is None:
        return "found, not configured"
    command = str(entry.get("command", ""))
    gone = "" if which(command) else ", which is not there any more: run this for it again"
    return f"starts {command}{gone}"


def find(name: str, machine: Machine, *, project: bool) -> Place:
    """Read the client's file.

    Raises:
        InvalidInput: the client has no such file, or it cannot be read.
    """
    client = CLIENTS[name]
    if project and client.project is None:
        raise InvalidInput(f"{client.title} has no configuration for one project.")
    path = Path.cwd() / client.project if project and client.project else user_file(name, machine)
    return Place(client, path, rewriting.read(path))


def settings(given: Sequence[str], toolsets: str | None) -> dict[str, str]:
    """Read the settings that a server is to get; they are checked as it would do it.

    Raises:
        InvalidInput: there is no such setting, or its value makes no sense.
    """
    names = {f"{PREFIX}{name.upper()}": name for name in Settings.model_fields}
    env: dict[str, str] = {}
    for item in given:
        name, told, value = item.partition("=")
        if name not in names:
            raise InvalidInput(f"There is no setting {name!r}: docs/settings.md lists them.")
        value = value if told else os.environ.get(name, "")
        if not value:
            raise InvalidInput(f"{name} has no value here: write {name}=VALUE.")
        # The client starts the server in a folder of its own choice.
        env[name] = str(Path(value).expanduser().absolute()) if name in FILES else value
    more = {} if toolsets is None else {"toolsets": toolsets}
    read_settings(**{names[name]: value for name, value in env.items()}, **more)
    return env


def wanted(place: Place, toolsets: str | None, env: Mapping[str, str]) -> Entry:
    """Make the entry: this command, what is given now, and what was in it before."""
    command, *args = server_command()
    before = place.entry or {}
    kept = before.get("args", [])
    if toolsets is not None:
        args += ["--toolsets", toolsets]
    elif kept[: len(args)] == args:
        args = kept
    env = {**before.get("env", {}), **env}
    typed = {"type": "stdio"} if place.client.typed else {}
    entry = {**typed, **before, "command": command, "args": args}
    return {**entry, "env": env} if env else entry


def put_in(place: Place, entry: Entry, *, dry_run: bool) -> None:
    """Put the entry into the client's file."""
    if place.entry == entry:
        click.echo(f"{place.client.title} is configured already: {place.path}.")
        return
    new = place.changed(entry)
    show(place, new)
    if dry_run:
        return
    copy = rewriting.backup(place.path)
    if place.entry is None or not copy.exists():
        rewriting.keep(place.path, place.text)
    if not by_itself(place, entry):
        rewriting.replace(place.path, place.text, new)
    saved = f" What it was is in {copy}." if rewriting.read(copy) else ""
    click.echo(f"Written.{saved} Start {place.client.title} anew to use it.")


def take_back(place: Place, *, dry_run: bool) -> None:
    """Put back what was there before: the entry that was, or none."""
    if place.entry is None:
        click.echo(f"There is nothing to undo: {place.path} does not start agent-mem.")
        return
    new, before = place.without()
    show(place, new)
    if dry_run:
        return
    if not by_itself(place, before):
        rewriting.replace(place.path, place.text, new)
    rewriting.remove(rewriting.backup(place.path))
    click.echo(f"Undone. Start {place.client.title} anew.")


def show(place: Place, new: str | None) -> None:
    """Show what changes, without passwords, keys, and what other servers are given."""
    texts = (place.veiled(place.text, SHOWN), place.veiled(new, SHOWN))
    lines = list(unified_diff(*texts, str(place.path), str(place.path), n=2, lineterm=""))
    for line in lines or ["(what changes is not shown: it is secret)"]:
        click.secho(line, fg=COLOURS.get(line[0]))


def by_itself(place: Place, entry: Entry | None) -> bool:
    """Let Claude Code change its own file, which it writes all the time; tell whether it did.

    Not where a secret would be seen in the list of processes, nor what its command has no
    options for: the file is then replaced as any other.

    Raises:
        InvalidInput: it did not do it.
    """
    command = which("claude") if place.path.name == ".claude.json" else None
    env: dict[str, str] = (entry or {}).get("env", {})
    if command is None or env.keys() - SHOWN or (entry or {}).keys() - {*SHOWN, "args", "env"}:
        return False
    run([command, "mcp", "remove", "-s", "user", NAME])
    if entry is not None:
        pairs = [part for name, value in env.items() for part in ("-e", f"{name}={value}")]
        server = [entry["command"], *entry["args"]]
        run([command, "mcp", "add", "-s", "user", NAME, *pairs, "--", *server])
    now = Place(place.client, place.path, rewriting.read(place.path)).entry
    if now and not now.get("env"):
        now.pop("env", None)
    if now != entry:
        raise InvalidInput(f"`claude mcp` did not do it: see {place.path}, and run this again.")
    return True


def run(command: list[str]) -> None:
    """Run a client's own command; what became of it is read from its file."""
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)  # noqa: S603 - it is on the user's path
