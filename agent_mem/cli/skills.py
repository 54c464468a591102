"""Skills: into the registry and out of it, and what a person says of those that came by sync."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from agent_mem.app import App
from agent_mem.cli import output
from agent_mem.errors import NotFound
from agent_mem.records.skill import Skill, slug
from agent_mem.skills.contents import manifest, reading, skill_md
from agent_mem.skills.folder import drafts, write
from agent_mem.skills.packing import packing
from agent_mem.skills.publishing import Draft, Published, publishing
from agent_mem.skills.registry import Registry, approving, knowing
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Store
from agent_mem.tools.registrations import maker

names = click.argument("names", metavar="NAME...", nargs=-1, required=True)
version = click.option("--version", metavar="VERSION", help="Only this version.")


@click.group("skills")
@click.option("--direct", is_flag=True, help="Work on AGENT_MEM_SERVER itself, without a file.")
@click.pass_context
def skills_command(context: click.Context, *, direct: bool) -> None:
    """List, import, export and approve skills (agentskills.io)."""
    context.obj = direct


@skills_command.command("list")
@output.as_json
@click.pass_obj
def list_command(direct: bool, as_json: bool) -> None:
    """List all versions of all skills, and which of them wait for approval here."""
    registry, used = output.run(lambda app: app.store.engine.read(counting(app)), direct=direct)
    told = [
        {
            "name": skill.skill_name,
            "version": skill.version,
            "state": state(registry, skill),
            "loads": used.get(str(skill.id), 0),
            "by": skill.registered_by or "unknown",
            "description": skill.description,
        }
        for skill in in_order(registry)
    ]
    if as_json:
        output.print_json({"skills": told})
        return
    rows = [(t["name"], t["version"], t["state"], t["loads"], t["by"]) for t in told]
    headings = ("skill", "version", "state", "loaded", "registered by")
    output.console().print(output.table(*headings, rows=rows))


def counting(app: App) -> Transaction[tuple[Registry, dict[str, int]]]:
    """Read all skills, and how often each version was loaded."""
    registry = yield from knowing(app.store)
    rows = yield app.store.query("skill_loads.counted")
    return registry, {str(row["skill_id"]): row["loads"] for row in rows}


def in_order(registry: Registry) -> list[Skill]:
    listed = dict.fromkeys(skill.skill_name for skill in registry.skills)
    return [skill for name in listed for skill in registry.versions(name)]


def state(registry: Registry, skill: Skill) -> str:
    if not skill.is_active:
        return "inactive"
    return "active" if registry.approved(skill) else "waits for approval"


@skills_command.command("import")
@click.argument(
    "folders", metavar="FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--version", metavar="VERSION", help="Publish as this version.")
@output.as_json
@click.pass_obj
def import_command(
    direct: bool, folders: Sequence[Path], version: str | None, as_json: bool
) -> None:
    """Publish the skill in each FOLDER, or all skills in it, such as `.claude/skills`.

    All of them or none. One that does not say its version gets the next when it has changed.
    """

    async def importing(app: App) -> list[Published]:
        user = os.environ.get("USER") or os.environ.get("USERNAME")
        by = maker(user or app.settings.agent)
        found = [
            replace(draft, version=version or draft.version, maker=by)
            for draft in drafts([folder.expanduser() for folder in folders])
        ]

        return await app.store.engine.write(publishing_all(app.store, found))

    done = output.run(importing, direct=direct)
    if as_json:
        output.print_json({"skills": [told(published) for published in done]})
        return
    for skill, status, missing in done:
        needs = f"; it needs {', '.join(missing)}, which is no skill here" if missing else ""
        click.echo(output.plain(f"{skill.skill_name} {skill.version}: {status}{needs}."))


def publishing_all(store: Store, drafts: list[Draft]) -> Transaction[list[Published]]:
    """Publish skills that may depend on each other."""
    done: list[Published] = []
    names = {draft.name for draft in drafts}
    for draft in drafts:
        published = yield from publishing(store, draft)
        missing = [name for name in published.missing if name not in names]
        done.append(published._replace(missing=missing))
    return done


def told(published: Published) -> dict[str, Any]:
    skill, status, missing = published
    return {
        "name": skill.skill_name,
        "version": skill.version,
        "status": status,
        "digest": skill.fingerprint(),
        "missing": missing,
    }


@skills_command.command("export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("names", metavar="[NAME...]", nargs=-1)
@version
@click.pass_obj
def export_command(direct: bool, folder: Path, names: Sequence[str], version: str | None) -> None:
    """Write skills into FOLDER, a folder each, byte for byte as they were imported.

    Of each the version that is used; what is there already and is something else stays.
    """

    async def exporting(app: App) -> list[Skill]:
        chosen, files = await app.store.engine.read(packing(app.store, names, version))
        for skill, contents in zip(chosen, files, strict=True):
            executable = frozenset(entry.path for entry in skill.files if entry.executable)
            write(folder / slug(skill.skill_name), contents, executable)
        return chosen

    for skill in output.run(exporting, direct=direct):
        click.echo(
            f"{output.plain(skill.skill_name)} {skill.version}: {folder / slug(skill.skill_name)}"
        )


@skills_command.command("show")
@click.argument("name")
@version
@click.option("--file", metavar="PATH", help="Only this file, of the newest version.")
@click.pass_obj
def show_command(direct: bool, name: str, version: str | None, file: str | None) -> None:
    """Show what a skill is: all of its SKILL.md, its files, and its digest; approved or not."""
    if file is not None:
        found = output.run(
            lambda app: app.store.engine.read(contents(app, name, version, file)), direct=direct
        )
        click.echo(output.plain(found.decode(errors="replace")), nl=False)
        return
    for skill in output.run(
        lambda app: app.store.engine.read(versions(app, name, version)), direct=direct
    ):
        show(skill)
        click.echo(output.plain(skill_md(skill)))


def contents(app: App, name: str, version: str | None, file: str) -> Transaction[bytes]:
    """Read one file of a skill's newest version, or of the one that is named.

    Raises:
        NotFound: there is none.
    """
    skill = (yield from versions(app, name, version))[-1]
    for entry in manifest(skill):
        if entry.path == file:
            return (yield from reading(app.store, skill, entry))
    raise NotFound(f"`{name}` {skill.version} has no file `{file}`.")


def versions(app: App, name: str, version: str | None) -> Transaction[list[Skill]]:
    """Find the versions of a skill.

    Raises:
        NotFound: there is none.
    """
    registry = yield from knowing(app.store)
    if found := [s for s in registry.versions(name) if version in (None, s.version)]:
        return found
    raise NotFound(f"There is no skill `{name}`{f' {version}' if version else ''}.")


def show(skill: Skill) -> None:
    """Print what is approved with a skill."""
    click.echo(
        output.plain(f"{skill.skill_name} {skill.version}, by {skill.registered_by or 'unknown'}")
    )
    click.echo(output.plain(f"  {skill.description}"))
    more = {"category": skill.category, "needs": ", ".join(skill.dependencies)}
    spec = json.dumps(skill.spec, ensure_ascii=False) if skill.spec else None
    for what, value in (more | {"spec": spec}).items():
        if value:
            click.echo(output.plain(f"  {what}: {value}"))
    click.echo(f"  {skill.fingerprint()}")
    for entry in manifest(skill):
        click.echo(output.plain(f"  {entry.path}  {entry.size} bytes  {entry.digest}"))


@skills_command.command("approve")
@names
@version
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def approve_command(direct: bool, names: Sequence[str], version: str | None, yes: bool) -> None:
    """Let agents on this machine use what came from other machines, as it is now.

    It is shown first. What is changed afterwards has to be approved again.
    """

    async def approve(app: App, skill: Skill) -> None:
        await app.store.engine.write(approving(app.store, skill))

    for name in names:
        waiting = output.run(
            lambda app, n=name: app.store.engine.read(unapproved(app, n, version)), direct=direct
        )
        for skill in waiting:
            show(skill)
            if yes or click.confirm("Read it with `agent-mem skills show`. Approve it?"):
                output.run(lambda app, s=skill: approve(app, s), direct=direct)
                click.echo(
                    output.plain(f"{skill.skill_name} {skill.version} is approved on this machine.")
                )


def unapproved(app: App, name: str, version: str | None) -> Transaction[list[Skill]]:
    """Find the versions of a skill that wait.

    Raises:
        NotFound: there is none.
    """
    found = yield from versions(app, name, version)
    registry = yield from knowing(app.store)
    if waiting := [skill for skill in found if not registry.approved(skill)]:
        return waiting
    raise NotFound(f"Nothing of the skill `{name}` waits for approval.")


@skills_command.command("deactivate")
@names
@version
@click.option("--undo", is_flag=True, help="Activate them again.")
@click.pass_obj
def deactivate_command(direct: bool, names: Sequence[str], version: str | None, undo: bool) -> None:
    """Let no agent use skills any more, on every machine; nothing of them is lost."""

    def switching(app: App) -> Transaction[int]:
        count = 0
        registry = yield from knowing(app.store)
        for name in names:
            for skill in (yield from versions(app, name, version)):
                if skill.is_active != undo:
                    if registry.approved(skill):  # it may have been so as it was stamped
                        yield from approving(app.store, skill)
                    yield from app.store.saving(skill.model_copy(update={"is_active": undo}))
                    count += 1
        return count

    count = output.run(lambda app: app.store.engine.write(switching(app)), direct=direct)
    click.echo(f"Versions that are {'active again' if undo else 'inactive now'}: {count}.")
