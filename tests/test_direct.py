"""`serve --direct`: a machine without a file works on the server itself, beside those with one."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from helpers_sync import sync
from mcp import Client, StdioServerParameters
from mcp.server.subscriptions import ResourceUpdated

from agent_mem.app import App
from agent_mem.records.memory import Memory

pytestmark = pytest.mark.anyio

TOPIC = "memory://topics/harbour"
HARBOUR = Memory(agent_name="a", content="The ferry leaves at six.", topic="harbour")
SOON = 20


@asynccontextmanager
async def serving(env: dict[str, str], **more: str) -> AsyncGenerator[Client]:
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-m", "agent_mem", "serve", "--direct"],
        env={**env, "AGENT_MEM_EMBEDDER": "none", **more},
    )
    async with Client(parameters) as client:
        yield client


async def test_a_session_on_the_server_itself_makes_no_file(
    env: dict[str, str], server_url: str, one: App
) -> None:
    async with serving(env, AGENT_MEM_SERVER=server_url) as client:
        done = await client.call_tool(
            "remember", {"content": HARBOUR.content, "topic": HARBOUR.topic}
        )
        assert not done.is_error
        found = await client.call_tool("recall", {"query": "when does the ferry leave"})
        assert HARBOUR.content in str(found.structured_content)
        topic = await client.read_resource(TOPIC)
        assert HARBOUR.content in str(topic.contents)

    assert not Path(env["AGENT_MEM_DB"]).exists()
    await sync(one)
    (mine,) = await one.store.find(Memory, "memories.of_topic", topic="harbour", limit=9)
    assert mine.content == HARBOUR.content


async def test_a_listener_there_is_told_of_what_a_machine_has_sent(
    env: dict[str, str], server_url: str, one: App
) -> None:
    async with (
        serving(env, AGENT_MEM_SERVER=server_url) as client,
        client.listen(resource_subscriptions=[TOPIC]) as events,
    ):
        await one.store.put(HARBOUR.model_copy(update={"topic": "garden"}), HARBOUR)
        await sync(one)
        with anyio.fail_after(SOON):
            assert await anext(aiter(events)) == ResourceUpdated(uri=TOPIC)


async def test_without_an_address_each_call_says_what_to_set(env: dict[str, str]) -> None:
    async with serving(env) as client:
        done = await client.call_tool("recall", {"query": "ferry"})

    assert done.is_error
    assert "Set AGENT_MEM_SERVER" in str(done.content)
