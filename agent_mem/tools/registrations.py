import platform
import re
from dataclasses import replace
from importlib import import_module
from typing import Annotated
from uuid import UUID

from anyio.to_thread import run_sync
from pydantic import Field

from agent_mem.app import App
from agent_mem.records.fields import Content, Json, Line, Name, Names
from agent_mem.skills.publishing import FIRST, Draft, publishing
from agent_mem.tools.tool import Result

SkillName = Annotated[Name, Field(max_length=64, pattern="^[a-z0-9]+([_-][a-z0-9]+)*$")]


class SkillRegistered(Result):
    id: UUID
    name: str
    version: str
    status: str
    missing: list[str]
    """Of its dependencies, those that are no skills here."""


async def register_skill(
    app: App,
    *,
    name: Annotated[
        SkillName | None, Field(description="Such as git-workflow; by default the frontmatter's")
    ] = None,
    description: Annotated[
        Annotated[Line, Field(max_length=1024)] | None,
        Field(description="What it does, and when to use it; by default the frontmatter's"),
    ] = None,
    body: Annotated[Content | None, Field(description="SKILL.md, or only its instructions")] = None,
    category: Name | None = None,
    version: Annotated[
        Name | None, Field(description="A new one for each change; the first is 1.0.0")
    ] = None,
    spec: Annotated[
        Json | None,
        Field(description="MCP-compatible description; bind_skill checks by its `config_schema`"),
    ] = None,
    dependencies: Annotated[Names | None, Field(description="Skills that it needs")] = None,
    active: Annotated[bool, Field(description="Whether agents may load it")] = True,
) -> SkillRegistered:
    """Register a skill: instructions that agents can load. A published version is never changed."""
    given = Draft(
        name=name or "",
        description=description or "",
        body=body,
        category=category,
        version=version,
        spec=spec or {},
        dependencies=dependencies or [],
        active=active,
        maker=maker(app.settings.agent),
    )
    # Here, since what reads YAML and schemas takes long to load.
    module = await run_sync(import_module, "agent_mem.skills.drafting")
    draft: Draft = module.completed(given)
    draft = replace(draft, version=draft.version or FIRST)
    done = await app.store.engine.write(publishing(app.store, draft))
    return SkillRegistered(
        id=done.skill.id,
        name=draft.name,
        version=done.skill.version,
        status=done.status,
        missing=done.missing,
    )


def maker(name: str) -> str:
    """Say who registers something here, and on which machine."""
    return re.sub(r"[^\w.@-]+", "-", f"{name}@{platform.node()}")[:200]
