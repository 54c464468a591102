"""Skills over MCP (SEP-2640): the skills of this server's agent, for hosts that verify them.

Each file is a resource `skill://{name}/{path}`. What is listed has its digest, and is what
`resources/read` gives, byte for byte.
"""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote

from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    PaginatedRequestParams,
)

from agent_mem.errors import AgentMemError, InvalidInput
from agent_mem.records.skill import SKILL_MD, Entry, Skill
from agent_mem.server.cursors import after_of, cursor_of
from agent_mem.server.extension import FolderParams, SkillParams
from agent_mem.server.opening import Opening
from agent_mem.server.skill_files import SCHEME, served, uri_of
from agent_mem.skills.contents import manifest, media_type, skill_md
from agent_mem.skills.frontmatter import read

PAGE: Final = 50
MODERN: Final = "2026-07-28"
"""The era in which answers say for how long they hold."""
CACHED: Final = {"ttlMs": 60_000, "cacheScope": "private"}
FOLDER: Final = "inode/directory"


def described(name: str, skill: Skill) -> dict[str, Any]:
    """Describe a skill as hosts verify it: its frontmatter as JSON, and its files' digests."""
    files = [
        {"uri": uri_of(name, entry.path), "digest": entry.digest, "size": entry.size}
        for entry in manifest(skill)
    ]
    front = read(skill_md(skill)).values
    return {"uri": uri_of(name, SKILL_MD), "frontmatter": front, "resources": files}


def inside(name: str, entries: list[Entry], folder: str) -> dict[str, dict[str, Any]]:
    """List what is directly in a folder: files, and folders."""
    start = f"{folder}/" if folder else ""
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry.path.startswith(start):
            first, deeper, _ = entry.path.removeprefix(start).partition("/")
            kind = FOLDER if deeper else media_type(first)
            uri = uri_of(name, start + first)
            found[first] = {"uri": uri, "name": first, "mimeType": kind}
    return dict(sorted(found.items()))


class Skills:
    """The handlers of `skills/list`, `skills/get` and `resources/directory/read`."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening

    async def list(
        self, ctx: ServerRequestContext[object], params: PaginatedRequestParams
    ) -> dict[str, Any]:
        """List a page of the skills, by name."""
        after = after_of(params.cursor) if params.cursor is not None else ""
        left = [(name, skill) for name, skill in (await self._served()).items() if name > after]
        page = [described(name, skill) for name, skill in left[:PAGE]]
        more = {"nextCursor": cursor_of(left[PAGE - 1][0])} if len(left) > PAGE else {}
        return {"skills": page, **more, **cached(ctx)}

    async def get(self, ctx: ServerRequestContext[object], params: SkillParams) -> dict[str, Any]:
        """Describe one skill."""
        for name, skill in (await self._served()).items():
            if params.uri == uri_of(name, SKILL_MD):
                return {"skill": described(name, skill), **cached(ctx)}
        raise MCPError(INVALID_PARAMS, f"There is no skill {params.uri[:200]}", {"uri": params.uri})

    async def children(
        self, ctx: ServerRequestContext[object], params: FolderParams
    ) -> dict[str, Any]:
        """List a folder of a skill; a skill has so few files that they are one page."""
        for name, skill in (await self._served()).items():
            for folder in folders(name, params.uri):
                if found := inside(name, manifest(skill), folder):
                    return {"resources": [*found.values()], **cached(ctx)}
        raise MCPError(INVALID_PARAMS, f"No folder is at {params.uri[:200]}", {"uri": params.uri})

    async def _served(self) -> dict[str, Skill]:
        try:
            found = await served(await self._opening())
        except AgentMemError as error:
            raise MCPError(INTERNAL_ERROR, str(error)) from error
        return {name: skill for name, skill in found.items() if in_format(name, skill)}


def in_format(name: str, skill: Skill) -> bool:
    """Look whether hosts can read a skill: before the format was checked, some were otherwise."""
    try:
        return read(skill_md(skill)).values.get("name") == name
    except InvalidInput:
        return False


def folders(name: str, uri: str) -> Iterator[str]:
    """Give the folder of a skill that an address names; nothing where it is of another skill."""
    root = SCHEME + name
    if uri.rstrip("/") == root:
        yield ""
    elif uri.startswith(f"{root}/"):
        yield unquote(uri.removeprefix(f"{root}/").rstrip("/"))


def cached(ctx: ServerRequestContext[object]) -> dict[str, Any]:
    return CACHED if ctx.protocol_version >= MODERN else {}
