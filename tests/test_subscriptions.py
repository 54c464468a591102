"""Several servers on one file: what one writes, the others see and their subscribers are told."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream
from conftest import Server
from helpers_wire import Wire, text_of, wired
from mcp import Client

from agent_mem.config import Settings
from agent_mem.server.changes import Changes
from agent_mem.server.opening import Opening
from agent_mem.storage.statements import Statement, Transaction

pytestmark = pytest.mark.anyio

TOPIC = "memory://topics/harbour"
OTHER = "memory://topics/garden"
SOON = 2
"""Seconds in which a subscriber is told."""


async def remember(client: Client, content: str, topic: str = "harbour") -> None:
    done = await client.call_tool("remember", {"content": content, "topic": topic})
    assert not done.is_error


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_two_servers_see_each_others_writes_at_the_next_call(
    mode: str, server: Server
) -> None:
    async with server(mode=mode) as one, server(mode=mode) as other:
        for writer, reader, content in (
            (one, other, "The ferry leaves at six."),
            (other, one, "The crane is being painted."),
        ):
            await remember(writer, content)
            found = await reader.call_tool("recall", {"query": content})
            assert content in text_of(found.model_dump())


@pytest.mark.parametrize("uri", [TOPIC, "memory://topics", "memory://item/{id}"])
async def test_a_listener_is_told_of_what_another_process_writes(uri: str, server: Server) -> None:
    async with server() as one, server() as other:
        made = await other.call_tool("remember", {"content": "x", "topic": "harbour"})
        uri = uri.format(**(made.structured_content or {}))
        async with one.listen(resource_subscriptions=[uri]) as events:
            await remember(other, "x")
            with anyio.fail_after(SOON):
                told = await anext(aiter(events))

    assert told.uri == uri  # pyright: ignore[reportAttributeAccessIssue] - a resource's event
