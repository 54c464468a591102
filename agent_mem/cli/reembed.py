"""Embed what waits, or everything anew; and forget what a model made that is not used any more."""

import click

from agent_mem.app import App
from agent_mem.cli import output
from agent_mem.cli.progress import embed


@click.command("reembed")
@click.option("--all", "anew", is_flag=True, help="Make all vectors anew; the old serve till then.")
@click.option("--drop", metavar="MODEL", help="Forget the vectors of a MODEL that is not in use.")
@output.as_json
def reembed_command(anew: bool, drop: str | None, as_json: bool) -> None:
    """Embed what waits for the models that are set, or forget another model.

    Stopped at any time, it goes on where it was when it is run again. The exit code is 1 if a
    model cannot be used.
    """

    async def working(app: App) -> tuple[int, bool]:
        meaning = app.finder.meaning
        if drop:
            await meaning.drop(drop)
            return 0, False
        if anew:
            await meaning.renew()
        done = await embed(app, hidden=as_json)
        return done, any(space.error for space in meaning.spaces)

    done, failed = output.run(working)
    if as_json:
        output.print_json({"dropped": drop} if drop else {"embedded": done})
    elif drop:
        click.echo(f"The vectors of {drop} are forgotten.")
    else:
        click.echo(f"Passages embedded: {done}.")
    click.get_current_context().exit(int(failed))
