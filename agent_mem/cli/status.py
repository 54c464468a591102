"""Tell what is stored, and where."""

from collections.abc import Iterator
from typing import Any

import click

from agent_mem import __version__
from agent_mem.app import App
from agent_mem.cli import output
from agent_mem.recall.survey import survey
from agent_mem.records import RECORDS
from agent_mem.storage import statements
from agent_mem.storage.migrations import steps
from agent_mem.storage.sqlite import facts
from agent_mem.storage.statements import Statement, Transaction
from agent_mem.storage.sync.standing import place, standing

KILO = 1024


@click.command("status")
@output.as_json
def status_command(as_json: bool) -> None:
    """Tell what is stored, and where."""
    found = output.run(status)
    if as_json:
        output.print_json(found)
        return
    console = output.console()
    for name, value in sentences(found).items():
        console.print(f"{name:8}  {output.plain(value)}")
    rows = [(name.replace("_", " "), n) for name, n in found["records"].items()]
    console.print(output.table("stored", "count", rows=rows))


async def status(app: App) -> dict[str, Any]:
    """Read the figures, all at one moment."""
    settings = app.settings
    path = settings.db.expanduser().absolute()
    return {
        "version": __version__,
        "file": str(path),
        **facts(path),
        "owner": settings.owner,
        "agent": settings.agent,
        "project": settings.project,
        "embedder": settings.embedder,
        "models": [
            m._asdict() for m in await survey(app.store, path.resolve(), app.finder.meaning)
        ],
        **await app.store.engine.read(figures(app)),
    }


def figures(app: App) -> Transaction[dict[str, Any]]:
    """Count the records, the steps of the schema, and what waits."""
    records: dict[str, int] = {}
    for model in RECORDS:
        (row,) = yield Statement(statements.count(model), {"owner": app.store.owner})
        records[model.TABLE] = row["n"]
    ledger = yield app.store.query("ledger.all")
    sync = yield from standing(app.store)
    server = app.settings.server
    known = len(steps(app.store.engine.dialect))
    return {
        "records": records,
        "schema": {"applied": len(ledger), "known": known},
        "sync": {"server": server and place(server.get_secret_value()), **sync},
    }


def sentences(found: dict[str, Any]) -> dict[str, str]:
    """Say the figures in words."""
    schema = found["schema"]
    return {
        "version": found["version"],
        "file": f"{found['file']} ({size(found['bytes'])})",
        "SQLite": f"{found['sqlite']}, {schema['applied']} of {schema['known']} schema steps done",
        "owner": found["owner"],
        "agent": found["agent"],
        "project": found["project"] or "everywhere",
        "recall": "; ".join([*alone(found["embedder"]), *map(capable, found["models"])]),
        "sync": "; ".join(following(found["sync"])),
    }


def following(sync: dict[str, Any]) -> Iterator[str]:
    """Say how far the file and the server have got with each other."""
    yield f"with {sync['server']}" if sync["server"] else "with no server (AGENT_MEM_SERVER)"
    yield f"records waiting for it: {sync['waiting']}"
    if sync["synced_at"]:
        yield f"last done at {sync['synced_at'][:19]}Z"
    if sync["trouble"]:
        yield f"failing since {sync['trouble']['at'][:19]}Z: {sync['trouble']['error']}"
    if set_aside := sync["refused"] + sync["aside"]:
        first = sync["set_aside"][0]
        yield f"set aside: {set_aside}, such as {first} (`agent-mem sync retry`)"


def alone(embedder: str) -> list[str]:
    return ["by words alone, as AGENT_MEM_EMBEDDER says"] if embedder == "none" else []


def capable(model: dict[str, Any]) -> str:
    """Say of a model what it does for recall."""
    if model["trouble"]:
        return f"{model['model']} does not work: {model['trouble']}"
    done = f"{model['embedded']} of {model['passages']} passages embedded"
    file = f", in an index of {size(model['bytes'])}" if model["bytes"] else ""
    return f"{model['model']}{'' if model['set'] else ' (not in use)'}: {done}{file}"


def size(count: int) -> str:
    """Write a number of bytes in the largest unit that it fills."""
    value, units = float(count), ["bytes", "KiB", "MiB", "GiB"]
    while value >= KILO and len(units) > 1:
        value /= KILO
        units.pop(0)
    return f"{value:.1f} {units[0]}" if units[0] != "bytes" else f"{count} bytes"
