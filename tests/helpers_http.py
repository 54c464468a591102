"""A real server process over HTTP, spoken to by the SDK's client or in single requests."""

import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import anyio
import httpx2
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
BOTH = "application/json, text/event-stream"
LONG = 20.0
"""Seconds for what takes a second, where nothing else is done at the same time."""
META: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass
class Web:
    """A running server."""

    url: str
    process: Process
    client: httpx2.AsyncClient

    async def post(
        self, method: str, params: dict[str, Any], token: str | None = None, **headers: str
    ) -> httpx2.Response:
        """Ask for something in the protocol of 2026-07-28."""
        return await self.client.post(self.url, **request(method, params, token, headers))

    @asynccontextmanager
    async def streaming(
        self, method: str, params: dict[str, Any], token: str | None = None
    ) -> AsyncGenerator[AsyncGenerator[str]]:
        """Ask for something that is answered by a stream of events."""
        asked = request(method, params, token, {})
        async with self.client.stream("POST", self.url, **asked) as answer:
            lines = answer.aiter_lines()
            yield (line async for line in lines if line.startswith("data: "))

    async def call(self, tool: str, token: str | None = None, /, **given: object) -> dict[str, Any]:
        """Call a tool; give the whole result."""
        answer = await self.post("tools/call", {"name": tool, "arguments": given}, token)
        assert answer.status_code == httpx2.codes.OK, answer.text
        return answer.json()["result"]

    @asynccontextmanager
    async def talking(
        self,
        token: str | None = None,
        mode: Literal["auto", "legacy"] = "auto",
        **more: Any,  # noqa: ANN401 - the client's own
    ) -> AsyncGenerator[Client]:
        """Talk by the SDK's client."""
        async with httpx2.AsyncClient(headers=bearer(token), timeout=LONG) as http:
            transport = streamable_http_client(self.url, http_client=http)
            async with Client(transport, mode=mode, **more) as client:
                yield client

    async def ended(self, number: signal.Signals) -> int:
        """Tell the process to stop; give the code with which it did."""
        self.process.send_signal(number)
        with anyio.fail_after(LONG):
            return await self.process.wait()


def request(
    method: str, params: dict[str, Any], token: str | None, headers: dict[str, str]
) -> dict[str, Any]:
    """Make a request of the protocol of 2026-07-28."""
    named = params.get("name") or params.get("uri")
    sent = {
        "accept": BOTH,
        "mcp-protocol-version": MODERN,
        "mcp-method": method,
        **({"mcp-name": named} if isinstance(named, str) else {}),
        **bearer(token),
        **headers,
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
    return {"json": message, "headers": sent}


def bearer(token: str | None) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token is not None else {}


@asynccontextmanager
async def web(env: dict[str, str], *options: str) -> AsyncGenerator[Web]:
    """Start a server at a port that is free."""
    command = [sys.executable, "-m", "agent_mem", "serve", "--http", "--port", "0", *options]
    process = await anyio.open_process(command, env=env, stdin=None, stdout=None)
    assert process.stderr
    try:
        with anyio.fail_after(LONG):
            line = await BufferedByteReceiveStream(process.stderr).receive_until(b"\n", 10_000)
            if not line.startswith(b"Serving MCP at http://"):
                await process.wait()
                raise AssertionError(line)
        url = line.decode().split()[-1]
        async with httpx2.AsyncClient(timeout=LONG, trust_env=False) as client:
            yield Web(url, process, client)
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.send_signal(signal.SIGTERM if os.name == "posix" else signal.SIGINT)
                with anyio.move_on_after(LONG):
                    await process.wait()
            await process.aclose()
