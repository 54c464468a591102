"""What tests share: a fresh memory, its tools in this process, and real servers beside it."""

import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from helpers_postgres import Cluster, running
from helpers_sync import machine
from mcp import Client, StdioServerParameters

from agent_mem.app import App, open_app
from agent_mem.config import Settings
from agent_mem.storage.postgres import Postgres
from agent_mem.tools import TOOLS

Call = Callable[..., Awaitable[dict[str, Any]]]
Server = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the tester's own memory and project out of every test."""
    for name in list(os.environ):
        if name.startswith(("AGENT_MEM_", "CLAUDE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AGENT_MEM_DB", str(tmp_path / "home" / "memory.db"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(db=tmp_path / "home" / "memory.db")


@pytest.fixture
async def app(settings: Settings) -> AsyncGenerator[App]:
    async with open_app(settings) as opened:
        yield opened


@pytest.fixture
def call(app: App) -> Call:
    """Run a tool as a client would, without a transport."""
    return calling(app)


def calling(app: App) -> Call:
    tools = {tool.name: tool for tool in TOOLS}

    async def run(name: str, /, **arguments: object) -> dict[str, Any]:
        return await tools[name](app, arguments)

    return run


@pytest.fixture
def env(settings: Settings) -> dict[str, str]:
    """Give a child process the same memory."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AGENT_MEM_", "CLAUDE_"))}
    return {**kept, "AGENT_MEM_DB": str(settings.db)}


@pytest.fixture
def server(env: dict[str, str]) -> Server:
    """Start a real server process over stdio, with the SDK's client on it."""

    @asynccontextmanager
    async def start(
        mode: Literal["auto", "legacy"] = "auto", **more: str
    ) -> AsyncGenerator[Client]:
        parameters = StdioServerParameters(
            command=sys.executable, args=["-m", "agent_mem", "serve"], env={**env, **more}
        )
        async with Client(parameters, mode=mode) as client:
            yield client

    return start


@pytest.fixture(scope="session")
def cluster() -> Generator[Cluster]:
    """Start a real PostgreSQL for the tests of this process, once one of them asks for it."""
    with running() as started:
        yield started


@pytest.fixture
def server_url(cluster: Cluster) -> Generator[str]:
    """Give the address of a fresh database, for a role that is not a superuser."""
    with cluster.database() as name:
        yield cluster.url(name)


@pytest.fixture
async def canonical(server_url: str) -> AsyncGenerator[Postgres]:
    async with Postgres.open(server_url, "me") as opened:
        yield opened


@pytest.fixture
def name(server_url: str) -> str:
    """Name the database of this test."""
    return server_url.rpartition("/")[2]


@pytest.fixture
async def one(tmp_path: Path, server_url: str) -> AsyncGenerator[App]:
    """Open a machine's file; its server is that of `two`."""
    async with machine(tmp_path / "one", server_url) as opened:
        yield opened


@pytest.fixture
async def two(tmp_path: Path, server_url: str) -> AsyncGenerator[App]:
    async with machine(tmp_path / "two", server_url) as opened:
        yield opened
