"""Load a pack: agents, skills, and which agent may use them in which order."""

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import click

from agent_mem.app import App
from agent_mem.cli import output
from agent_mem.cli.progress import embed
from agent_mem.errors import NotFound
from agent_mem.records.agent import Agent, agent_id
from agent_mem.records.behavior import Behavior, behavior_id
from agent_mem.records.binding import Binding
from agent_mem.records.record import Record, named_id
from agent_mem.records.skill import Skill, slug
from agent_mem.skills.fence import headed
from agent_mem.skills.registry import approving
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Store

PACKS = {
    file.name.removesuffix(".json").replace("_", "-"): file
    for file in sorted((files("agent_mem") / "seeds").iterdir(), key=lambda file: file.name)
    if file.name.endswith(".json")
}

COUNTED = {
    "registered": "agents",
    "behaviors": "behaviors",
    "skills": "skills",
    "bindings": "bindings",
}
"""What a pack consists of, and what that is called."""


@click.command("seed", epilog=f"Packs: {', '.join(PACKS)}.")
@click.argument("pack")
@output.as_json
def seed_command(pack: str, as_json: bool) -> None:
    """Load a PACK of agents or of skills; loading it again changes nothing."""

    async def seeding(app: App) -> dict[str, Any]:
        answer = await load(app, pack)
        if answer["new"]:
            await embed(app, hidden=as_json)
        return answer

    answer = output.run(seeding)
    if as_json:
        output.print_json(answer)
        return
    counts = {name: answer[name] for name in COUNTED if name in answer}
    loaded = " and ".join(f"{count} {COUNTED[name]}" for name, count in counts.items())
    new = f"{answer['new']} of them new" if answer["new"] else "nothing changed"
    click.echo(f"The pack {pack} has {loaded}: {new}.")
    rows = [(agent, ", ".join(names)) for agent, names in answer["agents"].items()]
    what = "skills in their order" if "skills" in answer else "what it can do"
    output.console().print(output.table("agent", what, rows=rows))


async def load(app: App, name: str) -> dict[str, Any]:
    """Write what is not there yet of a pack, all or nothing.

    Raises:
        NotFound: there is no such pack.
    """
    if name not in PACKS:
        raise NotFound(f"There is no pack `{name}`; there is {', '.join(PACKS)}.")
    pack: dict[str, Any] = json.loads(PACKS[name].read_text(encoding="utf-8"))
    loaded = parts(app.store.owner, pack)
    records = [record for part in loaded.values() for record in part]
    ranks: dict[str, list[str]] = {a: list(ranks) for a, ranks in pack.get("bindings", {}).items()}
    able = {entry["agent_name"]: entry["capabilities"] for entry in pack.get("agents", [])}
    return {
        "pack": name,
        **{part: len(found) for part, found in loaded.items() if found},
        "new": await app.store.engine.write(adding(app.store, records)),
        "agents": able | ranks,
    }


def parts(owner: str, pack: dict[str, Any]) -> dict[str, list[Record]]:
    """Make the records of a pack, by what they are."""
    taught = {entry["skill_name"]: skill(owner, entry) for entry in pack.get("skills", [])}
    return {
        "registered": [agent(owner, entry) for entry in pack.get("agents", [])],
        "behaviors": [behavior(owner, entry) for entry in pack.get("behaviors", [])],
        "skills": [*taught.values()],
        "bindings": [*bindings(owner, pack.get("bindings", {}), taught)],
    }


def adding(store: Store, records: list[Record]) -> Transaction[int]:
    """Write the records that are not there; what is there stays, since hosts approved it so.

    Whoever loads a pack approves its skills as they are in it.
    """
    new = 0
    for record in records:
        there = yield from store.getting(type(record), record.id)
        if there is None:
            yield from store.saving(record)
            new += 1
        if isinstance(record, Skill):
            yield from approving(store, record)
    return new


def agent(owner: str, entry: dict[str, Any]) -> Agent:
    return Agent(id=agent_id(owner, entry["agent_name"]), **entry)


def behavior(owner: str, entry: dict[str, Any]) -> Behavior:
    return Behavior(id=behavior_id(owner, entry["agent_name"], entry["name"]), **entry)


def skill(owner: str, entry: dict[str, Any]) -> Skill:
    """Make a skill: its instructions become a SKILL.md, its input an MCP tool's description."""
    name, description = entry["skill_name"], entry["description"]
    return Skill(
        id=named_id("skill", owner, name, entry["version"]),
        skill_name=name,
        description=description,
        category=entry["category"],
        version=entry["version"],
        dependencies=entry["dependencies"],
        spec={"name": name, "description": description, "inputSchema": entry["inputSchema"]},
        body=headed(slug(name), description) + "\n".join([*entry["instructions"], ""]),
    )


def bindings(
    owner: str, agents: dict[str, dict[str, int]], taught: dict[str, Skill]
) -> Iterator[Binding]:
    """Bind each agent to its skills."""
    for agent, ranks in agents.items():
        for name, priority in ranks.items():
            key = taught[name].id
            yield Binding(
                id=named_id("binding", owner, agent, str(key)),
                agent_name=agent,
                skill_id=key,
                priority=priority,
            )
