"""What the sync has done: its last passes, and what lost where two machines changed one record."""

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import click

from agent_mem.app import App
from agent_mem.cli import output
from agent_mem.records import RECORDS
from agent_mem.records.loser import Loser
from agent_mem.records.record import Record
from agent_mem.records.sync_pass import SyncPass
from agent_mem.storage.statements import Row, Transaction
from agent_mem.storage.store import decode

INDENT = "    "
MODELS = {model.TABLE: model for model in RECORDS}

limited = click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many."
)


@click.command("log")
@limited
@output.as_json
def log_command(limit: int, as_json: bool) -> None:
    """List the last passes that moved something or failed, of all machines."""
    passes = output.run(lambda app: app.store.find(SyncPass, "memory_sync_log.latest", limit=limit))
    told = [of_pass(one) for one in passes]
    if as_json:
        output.print_json(told)
    elif told:
        output.console().print(output.table(*told[0], rows=(one.values() for one in told)))
    else:
        click.echo("No pass has moved anything yet, and none has failed.")


def of_pass(one: SyncPass) -> dict[str, Any]:
    return {
        "begun": f"{one.sync_started_at:%Y-%m-%d %H:%M:%SZ}",
        "machine": one.sync_source,
        "status": one.status,
        "sent": one.meta.get("sent", 0),
        "received": one.meta.get("received", 0),
        "error": one.error_message or "",
    }


@click.command("lost")
@click.argument("key", metavar="[ID]", type=UUID, required=False)
@limited
@output.as_json
def lost_command(key: UUID | None, limit: int, as_json: bool) -> None:
    """List what lost where two machines changed one record, newest first; of all, or of ID."""
    lost = output.run(lambda app: losers(app, key, limit))
    if as_json:
        output.print_json([of_loser(one) for one in lost])
    elif lost:
        show(lost)
    else:
        click.echo("Nothing was lost.")


async def losers(app: App, key: UUID | None, limit: int) -> list[Loser]:
    if key is None:
        return await app.store.find(Loser, "record_history.latest", limit=limit)
    rows = await app.store.engine.read(of_record(app, key, limit))
    return [decode(Loser, row) for row in rows][:limit]


def of_record(app: App, key: UUID, limit: int) -> Transaction[list[Row]]:
    """Look in all tables, of which hardly more than one has the id."""
    rows: list[Row] = []
    for table in MODELS:
        params = {"record": table, "record_id": key, "limit": limit}
        rows += yield app.store.query("record_history.of_record", **params)
    return rows


def of_loser(one: Loser) -> dict[str, Any]:
    return {
        "record": one.record,
        "id": str(one.record_id),
        "written": f"{one.created_at:%Y-%m-%d %H:%M:%SZ}",
        "reason": one.reason,
        "body": one.body,
    }


def show(lost: Iterable[Loser]) -> None:
    console = output.console()
    for n, one in enumerate(lost, 1):
        about = of_loser(one)
        head = f"{n:2}. {about['written']} · {one.record}"
        console.print(output.plain(head), style="bold")
        for line in (said(one), f"why: {one.reason}", f"id: {one.record_id}"):
            console.print(INDENT + output.plain(line).replace("\n", "\n" + INDENT))


def said(one: Loser) -> str:
    """Give what a record said: as recall does if it can be found there, else all that it holds."""
    forgotten = "(forgotten) " if one.body.get("deleted_at") else ""
    try:
        findable = MODELS[one.record].model_validate(one.body).findable()
    except (KeyError, ValueError):  # a newer program's
        findable = None
    own = {name: value for name, value in one.body.items() if name not in Record.model_fields}
    return forgotten + (findable.text if findable else json.dumps(own, ensure_ascii=False))
