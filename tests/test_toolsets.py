"""Tools come in sets: a server offers those that are turned on, and no others."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import anyio
import pytest
from conftest import Call, Server
from helpers_wire import text_of, wired
from pydantic import SecretStr

from agent_mem.config import TOOLSETS, Settings, Toolset, read
from agent_mem.errors import InvalidInput
from agent_mem.tools import TOOLS

pytestmark = pytest.mark.anyio

SETS = get_args(Toolset)


def of(*toolsets: str) -> list[str]:
    return [tool.name for tool in TOOLS if tool.toolset in toolsets]


@pytest.mark.parametrize("name", SETS)
def test_every_toolset_has_tools(name: str) -> None:
    assert of(name)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("core", {"core"}),
        ("core,work", {"core", "work"}),
        (" Work , core,", {"core", "work"}),
        ("all", TOOLSETS),
        ("core,all", TOOLSETS),
    ],
)
def test_toolsets_are_names_with_commas(
    said: str, meant: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_MEM_TOOLSETS", said)

    assert read().toolsets == meant


def test_only_core_is_on_unless_more_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read().toolsets == {"core"}
    monkeypatch.setenv("AGENT_MEM_TOOLSETS", "")
    assert read().toolsets == {"core"}
    assert Settings(toolsets=frozenset({"work"})).toolsets == {"work"}


@pytest.mark.parametrize(("said", "wrong"), [("core,wrok", "wrok"), (",", ","), ("Core;work",) * 2])
def test_an_unknown_toolset_is_refused_in_one_sentence(
    said: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_MEM_TOOLSETS", said)

    with pytest.raises(InvalidInput) as refused:
        read()

    assert str(refused.value) == (
        f"AGENT_MEM_TOOLSETS: there is no toolset `{wrong.lower() if ';' in wrong else wrong}`:"
        f" choose from {', '.join(SETS)}, or all."
    )


def test_what_is_given_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_MEM_TOOLSETS", "all")

    assert read(toolsets="work").toolsets == {"work"}
    assert read(server=SecretStr("postgresql://x/y")).toolsets == TOOLSETS


async def test_a_server_offers_what_is_on_and_nothing_else(server: Server) -> None:
    async with server() as client:
        core = [tool.name for tool in (await client.list_tools()).tools]
        said = client.instructions or ""
    async with server(AGENT_MEM_TOOLSETS="work,core") as client:
        more = [tool.name for tool in (await client.list_tools()).tools]
        told = client.instructions or ""

    assert core == of("core")
    assert more == of("core", "work")
    assert len(more) > len(core)
    assert "check_work" not in said
    assert told.startswith(said)
    assert "check_work" in told
    assert len(told.encode()) < 2048


async def test_a_tool_that_is_off_is_unknown(env: dict[str, str], tmp_path: Path) -> None:
    command = (sys.executable, "-m", "agent_mem", "serve", "--toolsets", "core")
    async with wired(env | {"AGENT_MEM_TOOLSETS": "all"}, tmp_path, command) as wire:
        await wire.hello()
        off = await wire.answer(await wire.call("list_tasks"))
        made_up = await wire.answer(await wire.call("list_taxes"))

    assert off["error"]["code"] == made_up["error"]["code"] == -32602
    assert off["error"]["message"] == "Unknown tool: list_tasks"
    assert made_up["error"]["message"] == "Unknown tool: list_taxes"


async def test_a_tool_that_is_on_works(env: dict[str, str], tmp_path: Path) -> None:
    command = (sys.executable, "-m", "agent_mem", "serve", "--toolsets", "work")
    async with wired(env, tmp_path, command) as wire:
        await wire.hello()
        listed = (await wire.ask("tools/list", {}))["result"]["tools"]
        told = text_of(await wire.use("list_tasks"))

    assert [tool["name"] for tool in listed] == of("work")
    assert "No such tasks" in told


def test_a_server_with_an_unknown_toolset_does_not_start(env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "agent_mem", "serve", "--toolsets", "core,magic"]
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: AGENT_MEM_TOOLSETS: there is no toolset `magic`:")
    assert len(done.stderr.splitlines()) == 1


async def test_in_this_process_every_tool_can_be_called(call: Call) -> None:
    with anyio.fail_after(30):
        assert (await call("list_tasks"))["note"]
