"""Find what was remembered, from the shell; `--explain` shows what each score is made of."""

from dataclasses import fields
from functools import partial
from textwrap import indent
from typing import Any

import click
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from agent_mem.app import App
from agent_mem.cli import output
from agent_mem.recall.ranking import weights_of
from agent_mem.recall.search import Found, Request
from agent_mem.tools.recall import hit_of
from agent_mem.tools.tool import shown

RECALL = output.tool("recall")
INDENT = "    "


@click.command("recall")
@output.arguments(RECALL, "query")
@click.option("--explain", is_flag=True, help="Show each hit's score; all hits are shown.")
@output.as_json
def recall_command(as_json: bool, explain: bool, **options: object) -> None:
    """Find what was remembered, logged or decided; `-` reads TEXT from stdin."""
    arguments = output.given(options)
    answer, trouble = output.run(partial(found, arguments, explain=explain))
    if as_json:
        output.print_json(answer)
        return
    show(answer, output.console())
    if trouble:
        click.echo(output.plain(trouble))


async def found(
    arguments: dict[str, Any], app: App, *, explain: bool
) -> tuple[dict[str, Any], str | None]:
    """Find by meaning, too, and tell why if that is not possible."""
    await app.finder.meaning.load()
    answer = await (explained(app, arguments) if explain else RECALL(app, arguments))
    return answer, app.finder.meaning.trouble


async def explained(app: App, arguments: dict[str, Any]) -> dict[str, Any]:
    """Find the same hits as the tool does, each with its score and the features behind it."""
    checked = RECALL.check(arguments)
    wanted = {field.name: checked[field.name] for field in fields(Request) if field.name in checked}
    wanted["kinds"] = tuple(checked["kinds"] or ())
    wanted["project"] = app.where(checked["project"])
    results = await app.finder.search(Request(**wanted))
    return {"hits": [scored(found) for found in results.hits]}


def scored(found: Found) -> dict[str, Any]:
    return {**shown(hit_of(found)), "score": found.score, "features": found.features}


def show(answer: dict[str, Any], console: Console) -> None:
    """Print the hits, best first, and what was left out."""
    for n, hit in enumerate(answer.get("hits", []), 1):
        about = [hit[name] for name in ("when", "kind", "who", "topic") if name in hit]
        console.print(f"{n:2}. {output.plain(' · '.join(about))}", style="bold")
        for line in (hit["text"], f"why: {hit['why']}", f"id: {hit['id']}"):
            console.print(indent(output.plain(line), INDENT))
        if "features" in hit:
            console.print(Padding.indent(parts(hit), len(INDENT)))
    if "left_out" in answer:
        console.print(f"{answer['left_out']} more did not fit into --max-tokens.")
    if not answer.get("hits"):
        console.print("Nothing found. Try other words, or fewer filters.")


def parts(hit: dict[str, Any]) -> Table:
    """Show what a score is the sum of: each feature that speaks for the hit, or against it."""
    values: dict[str, float] = hit["features"]
    weights = weights_of(values)
    rows = [(name, value, weights[name], value * weights[name]) for name, value in values.items()]
    rows.sort(key=lambda row: -abs(row[3]))
    return output.table("feature", "value", "weight", f"score {hit['score']:.3f}", rows=rows)
