"""Look for what is wrong with this installation, and how to mend it."""

from collections.abc import Generator
from contextlib import contextmanager
from functools import partial

import anyio
import click
from anyio.to_thread import run_sync

from agent_mem.app import open_app
from agent_mem.cli import output
from agent_mem.config import read
from agent_mem.errors import AgentMemError
from agent_mem.recall.survey import checkup, mending, rewriting
from agent_mem.storage.comparison import CLOSELY
from agent_mem.storage.contents import inside, mend
from agent_mem.storage.health import Cure, Finding, outside, tighten

COLOURS = {"ok": "green", "warn": "yellow", "bad": "red"}


@click.command("doctor")
@click.option("--mend", "mending", is_flag=True, help="Mend what can be mended without loss.")
@click.option("--thorough", is_flag=True, help="Look at every row, however many there are.")
@output.as_json
def doctor_command(mending: bool, thorough: bool, as_json: bool) -> None:
    """Look for what is wrong with this memory, and how to mend it.

    Where there are very many rows, not all are compared with the index one by one. The exit code
    is 1 if anything is bad.
    """
    most = None if thorough else CLOSELY
    found, mended = anyio.run(partial(visit, mending=mending, most=most))
    healthy = all(finding.level != "bad" for finding in found)
    if as_json:
        findings = [{"check": f.check, "level": f.level, "text": f.text} for f in found]
        output.print_json({"healthy": healthy, "findings": findings, "mended": mended})
    else:
        for text in mended:
            click.echo(f"{click.style('done', fg='green')}  {output.plain(text)}")
        for f in found:
            level = click.style(f"{f.level:4}", fg=COLOURS[f.level])
            click.echo(f"{level}  {f.check:11}  {output.plain(f.text)}")
    click.get_current_context().exit(0 if healthy else 1)


async def visit(*, mending: bool, most: int | None) -> tuple[list[Finding], list[str]]:
    """Look; if asked to, mend and look again. Tell what is, and what was done."""
    found = await examine(most)
    cures: set[Cure] = {finding.cure for finding in found if finding.cure}
    if not mending or not cures:
        return found, []
    failed: list[Finding] = []
    done: list[str] = []
    with telling(failed):
        await treat(cures, done)
    return [*await examine(most), *failed], done


async def examine(most: int | None) -> list[Finding]:
    """Look at the file from outside, and if it can be opened, at what it holds."""
    found: list[Finding] = []
    with telling(found):
        settings = read()
        found += await run_sync(outside, settings.db.expanduser().resolve())
        if not any(finding.stops for finding in found):
            async with open_app(settings) as app:
                found += await inside(app.store, most)
                path = settings.db.expanduser().resolve()
                found += await checkup(app.store, path, app.finder.meaning)
    return found


async def treat(cures: set[Cure], done: list[str]) -> None:
    """Mend what can be mended without loss."""
    settings = read()
    path = settings.db.expanduser().resolve()
    if "modes" in cures:
        tighten(path)
        done.append("The files are yours alone.")
    if cures - {"modes"}:
        async with open_app(settings) as app:
            done += await mend(app.store, cures)
            if "vectors" in cures:
                count = await app.store.engine.write(mending(app.store))
                done.append(f"Vectors were asked for or removed (passages: {count}).")
            if "files" in cures:
                count = await rewriting(app.store, path)
                done.append(f"The files of the vector indexes were made anew (indexes: {count}).")


@contextmanager
def telling(found: list[Finding]) -> Generator[None]:
    """Take what keeps a look from being finished as one more thing that was found."""
    try:
        yield
    except AgentMemError as error:
        found.append(Finding("memory", "bad", str(error)))
    except OSError as error:
        found.append(Finding("memory", "bad", f"{error.filename}: {error.strerror}."))
