"""Long work in the shell: a bar on stderr while it lasts, and what is left of it."""

from collections.abc import Generator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import Progress

from agent_mem.app import App
from agent_mem.cli import output
from agent_mem.storage.archive import Seen


@contextmanager
def progress(what: str, *, hidden: bool) -> Generator[Seen]:
    """Show a bar on stderr, if that is a terminal."""
    console = Console(stderr=True)
    off = hidden or not console.is_terminal
    with Progress(console=console, disable=off, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


async def embed(app: App, *, hidden: bool) -> int:
    """Embed what waits; what cannot be embedded is told on stderr, and found by words."""
    with progress("Embedding", hidden=hidden) as seen:
        done = await app.finder.meaning.embed(seen)
    for text in app.finder.meaning.left:
        click.echo(output.plain(text), err=True)
    return done
