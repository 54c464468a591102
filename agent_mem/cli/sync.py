"""Sync by hand, or by whatever starts programs at their time."""

import signal
import sys
from datetime import datetime
from uuid import UUID

import anyio
import click

from agent_mem.app import App
from agent_mem.cli import output, units
from agent_mem.cli.progress import progress
from agent_mem.cli.sync_log import log_command, lost_command
from agent_mem.errors import AgentMemError, InvalidInput, ServerUnreachable
from agent_mem.recall.carrying import Carrier
from agent_mem.records import RECORDS
from agent_mem.records.record import NOBODY
from agent_mem.storage.sync.outgoing import Choice, reading
from agent_mem.storage.sync.syncer import Syncer

UNREACHABLE = 75
"""The exit code when the server cannot be reached now (`EX_TEMPFAIL`): it is worth another try."""
UNSET = "No server is set: AGENT_MEM_SERVER=postgresql://user:password@host/database."


@click.group("sync", invoke_without_command=True)
@click.option("--daemon", is_flag=True, help="Go on for ever, a pass every INTERVAL seconds.")
@click.option("--interval", default=300, show_default=True, type=click.IntRange(1))
@click.option("--session-id", type=UUID, metavar="ID", help="Send only what is of this session.")
@click.option("--since", metavar="TIME", help="Send only what changed since (ISO 8601).")
@click.option("--dry-run", is_flag=True, help="Tell what would be sent, and send nothing.")
@click.option(
    "--unit",
    type=click.Choice(sorted(units.UNITS)),
    help="Print what starts `sync --daemon` with the machine.",
)
@output.as_json
@click.pass_context
def sync_command(
    context: click.Context,
    *,
    daemon: bool,
    interval: int,
    session_id: UUID | None,
    since: str | None,
    dry_run: bool,
    unit: str | None,
    as_json: bool,
) -> None:
    """Make one pass: send what is new to AGENT_MEM_SERVER, and take what others have sent.

    The exit code is 75 if the server cannot be reached now, and 1 if it refuses.
    """
    if context.invoked_subcommand:
        return
    if unit:
        click.echo(units.UNITS[unit](sys.executable, interval))
        return
    choice = Choice(session_id, moment(since))
    if dry_run:
        told = output.run(lambda app: waiting(app, choice))
    elif daemon:
        told = output.run(lambda app: daemonic(app, choice, interval))
    else:
        told = passed(choice, hidden=as_json)
    if as_json:
        output.print_json(told)
    else:
        click.echo(sentence(told))


@sync_command.command("retry")
def retry_command() -> None:
    """Have what was set aside tried again in the next pass."""
    count = output.run(lambda app: syncer(app).retry())
    click.echo(f"Set aside, and to be tried again: {count}.")


sync_command.add_command(log_command)
sync_command.add_command(lost_command)


def moment(text: str | None) -> datetime | None:
    """Read a time; without a zone it is the machine's own."""
    try:
        return datetime.fromisoformat(text).astimezone() if text else None
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time: write 2026-11-20T10:00Z.") from None


def syncer(app: App) -> Syncer:
    return linked(app)[0]


def linked(app: App) -> tuple[Syncer, Carrier]:
    """Give what moves records, and vectors.

    Raises:
        InvalidInput: no server is set.
    """
    if app.syncer is None or app.carrier is None:
        raise InvalidInput(UNSET)
    return app.syncer, app.carrier


def passed(choice: Choice, *, hidden: bool) -> dict[str, int]:
    """Make one pass; where the server cannot be reached, leave with the code that says so."""
    away: list[str] = []

    async def once(app: App) -> dict[str, int]:
        try:
            return await one(app, choice, hidden=hidden)
        except ServerUnreachable as error:
            away.append(str(error))
            return {}

    told = output.run(once)
    if away:
        click.echo(f"Error: {output.plain(away[0])}", err=True)
        sys.exit(UNREACHABLE)
    return told


async def one(app: App, choice: Choice, *, hidden: bool) -> dict[str, int]:
    syncer, carrier = linked(app)
    (row,) = await app.store.rows("local.waiting")
    with progress("Syncing", hidden=hidden) as seen:
        done = await syncer.once(choice, lambda sent, _: seen(sent, row["n"]))
    await carrier.once()
    return {"sent": done.sent, "received": done.received}


async def daemonic(app: App, choice: Choice, interval: int) -> dict[str, int]:
    """Make passes until told to end; one that fails is told, and the next one comes."""
    syncer(app)
    moved = {"sent": 0, "received": 0}
    async with anyio.create_task_group() as tasks:
        if sys.platform != "win32":  # pragma: no branch - the loop there hears no signals
            tasks.start_soon(end_on_signal, tasks.cancel_scope)
        while True:
            try:
                told = await one(app, choice, hidden=True)
                moved = {name: count + told[name] for name, count in moved.items()}
                click.echo(sentence(told), err=True)
            except AgentMemError as error:
                click.echo(output.plain(str(error)), err=True)
            await anyio.sleep(interval)
    return moved


async def end_on_signal(scope: anyio.CancelScope) -> None:
    """Break off what is under way: what was moved stays so."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()


def sentence(told: dict[str, int]) -> str:
    return "; ".join(f"{name}: {value}" for name, value in told.items()) + "."


async def waiting(app: App, choice: Choice) -> dict[str, int]:
    """Count what would be sent, by table."""
    counts: dict[str, int] = {}
    for model in RECORDS:
        after: object = NOBODY
        while batch := await app.store.engine.read(reading(app.store, model, after)):
            after = batch.due[-1]["id"]
            counts[model.TABLE] = counts.get(model.TABLE, 0) + len(batch.waiting(choice))
    return {name: n for name, n in counts.items() if n} or {"waiting": 0}
