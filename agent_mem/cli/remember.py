"""Remember something from the shell."""

import click

from agent_mem.cli import output

REMEMBER = output.tool("remember")
DONE = {
    "new": "Remembered",
    "reinforced": "Known already, and reinforced",
    "correction": "Remembered as a correction",
    "repeated": "Remembered before under this key",
}


@click.command("remember")
@output.arguments(REMEMBER, "content")
@output.as_json
def remember_command(as_json: bool, **options: object) -> None:
    """Remember TEXT for every later conversation; `-` reads it from stdin."""
    answer = output.run(lambda app: REMEMBER(app, output.given(options)))
    if as_json:
        output.print_json(answer)
        return
    click.echo(f"{DONE[answer['status']]}: {answer['id']}")
    for similar in answer.get("similar", []):
        click.echo(f"Says nearly the same: {similar['id']}  {output.plain(similar['text'])}")
