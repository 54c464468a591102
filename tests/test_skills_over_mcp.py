"""Skills over MCP (SEP-2640): what hosts list, verify and read, in both eras, and page by page."""

import base64
import hashlib
from typing import Any, Literal
from urllib.parse import quote

import pytest
from conftest import Call, Server
from helpers_skills import FOLDER, published, skill_md
from mcp import Client, MCPError
from mcp.types import INVALID_PARAMS, Request, Result, TextResourceContents
from pydantic import ConfigDict

from agent_mem.app import App
from agent_mem.records.skill import Skill
from agent_mem.skills.folder import drafts
from agent_mem.skills.publishing import Draft, publishing

pytestmark = pytest.mark.anyio


class Anything(Result):
    model_config = ConfigDict(extra="allow")


class Asked(Request[dict[str, Any], str]):
    method: str
    params: dict[str, Any]


async def ask(client: Client, method: str, /, **params: object) -> dict[str, Any]:
    answer = await client.session.send_request(Asked(method=method, params=params), Anything)
    return answer.model_dump(by_alias=True, exclude_none=True)


async def refused(client: Client, method: str, /, **params: object) -> int:
    with pytest.raises(MCPError) as error:
        await ask(client, method, **params)
    return error.value.error.code


@pytest.fixture
async def taught(app: App) -> App:
    """Have the skills of the folder, and one with a name that an address has to quote."""
    odd = Draft(name="odd", description="d", body=skill_md("odd"), files={"a b/é.bin": b"\xff"})
    for draft in (*drafts([FOLDER]), odd):
        await app.store.engine.write(publishing(app.store, draft))
    return app


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_host_lists_verifies_and_reads_the_skills(
    taught: App, server: Server, mode: Literal["auto", "legacy"]
) -> None:
    await published(
        taught,
        Skill(skill_name="Not a Name", description="d"),
        Skill(skill_name="unreadable", description="d", body="---\nname: [\n---\n"),
        Skill(skill_name="in_words", description="With: marks"),
    )
    async with server(mode=mode) as client:
        declared = client.server_capabilities.extensions
        listed = await ask(client, "skills/list")
        names = [skill["frontmatter"]["name"] for skill in listed["skills"]]

        # The earlier era has no word for extensions; their methods answer all the same.
        told = {"io.modelcontextprotocol/skills": {"directoryRead": True}}
        assert declared == (told if mode == "auto" else None)
        assert names == ["code-review", "in-words", "odd", "release-notes", "tide-tables"]
        assert ("ttlMs" in listed, listed.get("cacheScope")) == (
            (True, "private") if mode == "auto" else (False, None)
        )
        for skill in listed["skills"]:
            assert (await ask(client, "skills/get", uri=skill["uri"]))["skill"] == skill
            for file in skill["resources"]:
                data = await bytes_of(client, file["uri"])
                assert len(data) == file["size"]
                assert file["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert listed["skills"][0]["frontmatter"]["metadata"] == {
            "version": "2.1.0",
            "category": "code",
        }
        await walk(client)
        resources = (await client.list_resources()).resources
        assert [r.name for r in resources if r.uri.startswith("skill://")] == [
            *names,
            "unreadable",
        ]


async def bytes_of(client: Client, uri: str) -> bytes:
    (found,) = (await client.read_resource(uri)).contents
    if isinstance(found, TextResourceContents):
        return found.text.encode()
    return base64.b64decode(found.blob)


async def walk(client: Client) -> None:
    """Look into folders, and ask for what is not there."""
    method = "resources/directory/read"
    root = (await ask(client, method, uri="skill://code-review"))["resources"]
    assert root == [
        {"uri": "skill://code-review/SKILL.md", "name": "SKILL.md", "mimeType": "text/markdown"},
        {
            "uri": "skill://code-review/references",
            "name": "references",
            "mimeType": "inode/directory",
        },
        {"uri": "skill://code-review/scripts", "name": "scripts", "mimeType": "inode/directory"},
    ]
    quoted = quote("skill://odd/a b", safe=":/")
    inside = (await ask(client, method, uri=f"{quoted}/"))["resources"]
    assert [(one["name"], one["uri"]) for one in inside] == [("é.bin", f"{quoted}/%C3%A9.bin")]
    for uri in ("skill://code-review/SKILL.md", "skill://x", "skill://code-review/x", "x"):
        assert await refused(client, method, uri=uri) == INVALID_PARAMS
    for uri in ("skill://x/SKILL.md", "skill://code-review", "skill://code-review/../x"):
        assert await refused(client, "skills/get", uri=uri) == INVALID_PARAMS
        assert await refused(client, "resources/read", uri=uri) == INVALID_PARAMS
    assert await refused(client, "skills/list", cursor="?") == INVALID_PARAMS


async def test_skills_are_listed_page_by_page_and_only_those_of_the_agent(
    app: App, call: Call, server: Server
) -> None:
    await published(app, *(Skill(skill_name=f"s{n:03}", description="d") for n in range(101)))
    async with server() as client:
        pages: list[list[str]] = []
        cursor: dict[str, object] = {}
        while not pages or cursor:
            page = await ask(client, "skills/list", **cursor)
            pages.append([skill["uri"] for skill in page["skills"]])
            cursor = {"cursor": page["nextCursor"]} if "nextCursor" in page else {}
        await call("bind_skill", skill="s007")
        mine = await ask(client, "skills/list")

    assert [len(page) for page in pages] == [50, 50, 1]
    assert [uri for page in pages for uri in page] == [
        f"skill://s{n:03}/SKILL.md" for n in range(101)
    ]
    assert [skill["uri"] for skill in mine["skills"]] == ["skill://s007/SKILL.md"]


async def test_a_memory_that_cannot_be_read_is_told(server: Server) -> None:
    async with server(AGENT_MEM_DB="/proc/none/memory.db") as client:
        with pytest.raises(MCPError, match="set AGENT_MEM_DB to a file that can be written"):
            await ask(client, "skills/list")
