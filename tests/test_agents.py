"""The registry: who works here, what each can do, and what is known of it."""

import json
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import Call, Server
from mcp import Client
from mcp.types import TextResourceContents

from agent_mem.app import App
from agent_mem.cli.main import main
from agent_mem.cli.seed import load
from agent_mem.errors import InvalidInput
from agent_mem.records.agent import Agent
from agent_mem.records.behavior import Behavior
from agent_mem.tools import TOOLS

pytestmark = pytest.mark.anyio

ON = {"AGENT_MEM_TOOLSETS": "agents", "AGENT_MEM_EMBEDDER": "none"}
ANA: dict[str, Any] = {
    "role": "Reviews what others wrote.",
    "directives": ["Claim a review first.", "Be kind."],
    "capabilities": ["review", "SQL"],
    "config": {"model": "small", "limits": {"files": 20}},
}
BRAINOPS = [
    "CodeReviewer",
    "ContextKeeper",
    "CustomerSuccess",
    "DatabaseGuardian",
    "DeploymentManager",
    "SystemMonitor",
    "WorkflowOrchestrator",
]


async def listed(call: Call, **which: object) -> list[str]:
    answer = await call("list_agents", **which)
    return [line["agent"] for line in answer.get("agents", [])]


async def test_an_agent_is_registered_with_all_that_is_said_of_it(call: Call) -> None:
    answer = await call("register_agent", agent="ana", **ANA)

    (line,) = (await call("list_agents"))["agents"]

    assert answer == {"agent": "ana", "new": True, **ANA}
    assert line == {"agent": "ana", **ANA}


async def test_registered_again_only_what_is_said_changes(app: App, call: Call) -> None:
    await call("register_agent", agent="ana", **ANA)

    changed = await call("register_agent", agent="ana", role="Rests.", directives=[])
    before = await app.store.find(Agent, "agents.listed", agent=None, limit=9)
    same = await call("register_agent", agent="ana", role="Rests.")
    after = await app.store.find(Agent, "agents.listed", agent=None, limit=9)

    assert changed == same
    assert changed == {
        "agent": "ana",
        "role": "Rests.",
        "capabilities": ANA["capabilities"],
        "config": ANA["config"],
    }
    assert before == after
    assert len(after) == 1


async def test_who_says_no_name_registers_itself(call: Call) -> None:
    assert (await call("register_agent", role="Helps."))["agent"] == "agent"


async def test_agents_are_listed_by_name_and_by_what_they_can_do(call: Call) -> None:
    for name, able in (("bob", ["sql"]), ("ana", ["review", "SQL"]), ("cleo", [])):
        await call("register_agent", agent=name, capabilities=able)

    assert await listed(call) == ["ana", "bob", "cleo"]
    assert await listed(call, agent="bob") == ["bob"]
    assert await listed(call, capability="Sql") == ["ana", "bob"]
    assert await listed(call, capability="Sql", limit=1) == ["ana"]
    assert await call("list_agents", capability="cook") == {
        "note": "No such agents are registered."
    }


async def test_the_list_tells_the_state_the_signals_and_the_last_sign_of_life(call: Call) -> None:
    await call("register_agent", agent="ana")
    await call("register_agent", agent="bob")
    await call("save_state", agent="ana", state={"n": 1})
    for _ in range(2):
        await call("send_signal", type="note", to=["bob"], agent="who is not registered")

    ana, bob = (await call("list_agents"))["agents"]

    assert (ana["revision"], "signals" in ana) == (1, False)
    assert len(ana["last_seen"]) == len("2026-05-01 12:30")
    assert bob == {"agent": "bob", "signals": 2}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"role": "x" * 2001}, "`role` is longer than 2000 characters."),
        ({"capabilities": ["x"] * 51}, "`capabilities`: list should have at most 50 items"),
        ({"config": "words"}, "`config`: input should be a valid dictionary."),
        ({"agent": " "}, "`agent` is blank: say something."),
    ],
)
async def test_what_makes_no_sense_is_refused_and_nobody_registered(
    wrong: dict[str, object], sentence: str, call: Call
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await call("register_agent", **wrong)

    assert str(refused.value).startswith(sentence)
    assert await listed(call) == []


async def read(client: Client, uri: str) -> Any:  # noqa: ANN401 - any JSON
    (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    return json.loads(content.text)


async def test_an_agent_is_read_by_its_address_with_its_state(server: Server) -> None:
    async with server(**ON) as client:
        await client.call_tool("register_agent", {"agent": "ana b", "role": "Helps."})
        await client.call_tool("save_state", {"agent": "ana b", "state": {"n": 1}})
        await client.call_tool("save_state", {"agent": "bob", "state": {"n": 2}})
        (line,) = await read(client, "memory://agents")
        ana = await read(client, line["uri"])
        bob = await read(client, "memory://agents/bob")

    assert (line["agent_name"], line["uri"]) == ("ana b", "memory://agents/ana%20b")
    assert ana["registered"]["role"] == "Helps."
    assert (ana["state"]["revision"], ana["state"]["state"]) == (1, {"n": 1})
    assert (bob["registered"], bob["state"]["state"], bob["memories"]) == (None, {"n": 2}, [])


async def test_the_toolset_is_small_and_says_how_it_is_used(server: Server) -> None:
    async with server(**ON) as client:
        tools = await client.list_tools()
        said = client.instructions or ""
    async with server(AGENT_MEM_TOOLSETS="all") as client:
        all_said = client.instructions or ""

    wire = tools.model_dump(mode="json", by_alias=True, exclude_none=True)
    size = len(json.dumps(wire, ensure_ascii=False, separators=(",", ":")).encode())
    assert [tool.name for tool in tools.tools] == [t.name for t in TOOLS if t.toolset == "agents"]
    assert size <= 6_000
    assert "read_signals" in said
    assert "check_work" not in said
    assert len(all_said.encode()) < 2048


async def test_the_agents_of_a_team_are_loaded_and_stay_as_they_were_changed(
    app: App, call: Call
) -> None:
    first = await load(app, "brainops")
    await call("register_agent", agent="CodeReviewer", role="Reads along.")
    again = await load(app, "brainops")
    (reviewer,) = (await call("list_agents", agent="CodeReviewer"))["agents"]

    assert (first["registered"], first["behaviors"], first["new"]) == (7, 11, 18)
    assert again["new"] == 0
    assert sorted(first["agents"]) == BRAINOPS == await listed(call)
    assert reviewer["role"] == "Reads along."
    assert await listed(call, capability="pattern_recognition") == ["ContextKeeper"]


async def test_no_agent_of_the_team_claims_to_do_what_nothing_here_does(
    app: App, call: Call
) -> None:
    await load(app, "brainops")
    (manager,) = (await call("list_agents", agent="DeploymentManager"))["agents"]
    behaviors = await app.store.find(Behavior, "behaviors.all", agent="DeploymentManager")

    assert "no way to build, deploy or roll back from here" in manager["directives"][0]
    assert not any("deploy" in behavior.action for behavior in behaviors)


def test_the_command_tells_what_the_team_can_do() -> None:
    told = CliRunner().invoke(main, ["seed", "brainops"]).stdout

    assert told.startswith("The pack brainops has 7 agents and 11 behaviors: 18 of them new.\n")
    assert "what it can do" in told
    assert "DeploymentManager      deployment_log, decision_log" in told
