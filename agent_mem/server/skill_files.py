"""The files of skills as resources `skill://{name}/{path}`, byte for byte.

They are those of the skills that this server's agent may use.
"""

import base64
from typing import Final
from urllib.parse import quote, unquote

from mcp.types import BlobResourceContents, Resource, ResourceTemplate, TextResourceContents

from agent_mem.app import App
from agent_mem.records.skill import NAME, SKILL_MD, Skill, slug
from agent_mem.skills.contents import manifest, media_type, reading
from agent_mem.skills.registry import permitted

SCHEME: Final = "skill://"
TEMPLATE: Final = ResourceTemplate(
    uri_template="skill://{name}/{+path}", name="skill", description="A file of a skill"
)


async def served(app: App) -> dict[str, Skill]:
    """List by their addresses the skills that this server's agent may use."""
    may = await app.store.engine.read(permitted(app.store, app.settings.agent))
    found = {slug(skill.skill_name): skill for skill, _ in may}
    return {name: found[name] for name in sorted(found) if NAME.fullmatch(name)}


def uri_of(name: str, path: str) -> str:
    return f"{SCHEME}{name}/{quote(path)}"


async def resources(app: App) -> list[Resource]:
    """List the skills as resources."""
    return [
        Resource(
            uri=uri_of(name, SKILL_MD),
            name=name,
            description=skill.description,
            mime_type=media_type(SKILL_MD),
        )
        for name, skill in (await served(app)).items()
    ]


async def contents(app: App, uri: str) -> TextResourceContents | BlobResourceContents:
    """Read a file of a skill.

    Raises:
        LookupError: there is none at this address.
    """
    name, _, path = uri.removeprefix(SCHEME).partition("/")
    skill = (await served(app))[name]
    entry = {entry.path: entry for entry in manifest(skill)}[unquote(path)]
    data = await app.store.engine.read(reading(app.store, skill, entry))
    kind = media_type(entry.path)
    try:
        return TextResourceContents(uri=uri, text=data.decode(), mime_type=kind)
    except UnicodeDecodeError:
        return BlobResourceContents(uri=uri, blob=base64.b64encode(data).decode(), mime_type=kind)
