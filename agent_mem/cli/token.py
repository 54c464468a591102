"""The tokens by which clients of `agent-mem serve --http` show who they are."""

import re
from datetime import datetime, timedelta
from typing import Final, cast, get_args

import click

from agent_mem.cli.output import console, plain, table
from agent_mem.config import read
from agent_mem.errors import AgentMemError
from agent_mem.records.record import now
from agent_mem.server.scopes import Scope
from agent_mem.server.tokens import Tokens

UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class Commands(click.Group):
    """Tells what goes wrong in one sentence."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except AgentMemError as error:
            raise click.ClickException(plain(str(error))) from None


@click.command("token", cls=Commands)
def token_command() -> None:
    """Give out, list and revoke the tokens of the server over HTTP."""


def until(_: click.Context, __: click.Parameter, value: str | None) -> timedelta | None:
    """Read `30d`, `12h` or `2w`."""
    if value is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,4})([hdw])", value)
    if found is None:
        raise click.BadParameter("write a number and h, d or w, as in 30d")
    return int(found[1]) * UNITS[found[2]]


def named(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Take a name as the settings do."""
    if value is not None and not 0 < len(value.strip()) <= 200:  # noqa: PLR2004 - as config.Named
        raise click.BadParameter("write 1 to 200 characters")
    return value and value.strip()


@token_command.command("add")
@click.argument("name", callback=named)
@click.option("--owner", callback=named, help="Whose memory it opens.  [AGENT_MEM_OWNER]")
@click.option(
    "--scope",
    type=click.Choice(get_args(Scope)),
    default="write",
    show_default=True,
    help="What it may do.",
)
@click.option("--expires", callback=until, metavar="30d", help="When it ends.  [never]")
def add(name: str, owner: str | None, scope: str, expires: timedelta | None) -> None:
    """Make a token and print it: it is shown once, and kept nowhere."""
    settings = read()
    ends = now() + expires if expires else None
    made = Tokens(settings).add(name, owner or settings.owner, cast("Scope", scope), ends)
    click.echo(made)


@token_command.command("list")
def listed() -> None:
    """List the tokens, without their secrets."""
    rows = [
        (one.name, one.owner, one.scope, f"{one.created_at:%Y-%m-%d}", ending(one.expires_at))
        for one in Tokens(read()).known()
    ]
    console().print(table("name", "owner", "scope", "created", "ends", rows=rows))


def ending(when: datetime | None) -> str:
    return "never" if when is None else f"{when:%Y-%m-%d %H:%M}"


@token_command.command("revoke")
@click.argument("name")
def revoke(name: str) -> None:
    """Take a token back, from running servers too."""
    Tokens(read()).revoke(name)
    click.echo(f"Revoked {plain(name)}.")
