"""Write everything to an archive, and read one: for backups, and for moving to another machine."""

import sys
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from agent_mem.app import App
from agent_mem.cli import output
from agent_mem.cli.progress import embed, progress
from agent_mem.errors import InvalidInput
from agent_mem.storage.archive import dump, load, replacing
from agent_mem.storage.health import family
from agent_mem.storage.lines import Header

STDOUT = Path("-")


@click.command("export")
@click.argument("file", default="-", type=click.Path(path_type=Path))
@output.as_json
def export_command(file: Path, as_json: bool) -> None:
    """Write everything, what was forgotten too, to the archive FILE; `-`, the default, is stdout.

    FILE is there when it is complete, or stays as it was.
    """

    async def exporting(app: App) -> Header:
        refuse_the_database(app, file)
        with opened(file) as stream:
            return await dump(app.store, stream, seen)

    with progress("Exporting", hidden=as_json) as seen:
        header = output.run(exporting)
    if file == STDOUT:
        return
    rows = sum(header.counts.values())
    if as_json:
        output.print_json({"file": str(file), "rows": rows, **header.model_dump(mode="json")})
    else:
        click.echo(f"Rows of the owner {header.owner!r} in {file}: {rows}.")


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@output.as_json
def import_command(file: Path, as_json: bool) -> None:
    """Read the archive FILE into this memory; what is here and as late stays.

    Nothing is written unless every line of FILE is sound. Importing again changes nothing.
    What was read is then embedded; stopped there, `agent-mem reembed` goes on.
    """
    rows = 0

    async def importing(app: App) -> Counter[str]:
        with progress("Importing", hidden=as_json) as seen:

            def counting(done: int, of: int) -> None:
                nonlocal rows
                rows = of
                seen(done, of)

            written = await load(app.store, file, counting)
        await embed(app, hidden=as_json)
        return written

    written = output.run(importing)
    had = rows - written.total()
    if as_json:
        output.print_json({"rows": rows, "written": written.total(), "records": dict(+written)})
    else:
        click.echo(f"Rows in {file}: {rows}; written: {written.total()}; here already: {had}.")


@contextmanager
def opened(file: Path) -> Generator[BinaryIO]:
    """Open stdout, or a file that takes its place when it is complete."""
    if file == STDOUT:
        yield sys.stdout.buffer
    else:
        with replacing(file) as stream:
            yield stream


def refuse_the_database(app: App, file: Path) -> None:
    """Keep a slip from replacing the memory by its archive.

    Raises:
        InvalidInput: the file is the database, or belongs to it.
    """
    if file.resolve() in family(app.settings.db.expanduser().resolve()):
        raise InvalidInput(f"{file} is the memory itself: export it to another file.")
