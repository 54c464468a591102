"""Several owners of one server: each sees what is their own, whatever they guess."""

import base64
import json
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from helpers_http import BOTH, LEGACY, LONG, Web, bearer, web
from mcp import Client, MCPDeprecationWarning
from mcp.server.subscriptions import ResourceUpdated, ToolsListChanged
from mcp.types import ResourceUpdatedNotification

from agent_mem.config import Settings
from agent_mem.server.kernel import kernel
from agent_mem.server.owners import Asked, AskedChanges, Owners
from agent_mem.server.tokens import Tokens

pytestmark = pytest.mark.anyio

TOPIC = "memory://topics/harbour"
NAME = "heliotrope"
"""What ana calls her things: bo may guess it."""
HIDDEN = "saffron"
"""A word that is in all that ana has, and in nothing that bo asks."""


@pytest.fixture
async def shared(env: dict[str, str], settings: Settings) -> AsyncGenerator[tuple[Web, str, str]]:
    """Serve two owners, who have these tokens."""
    tokens = Tokens(settings)
    ana, bo = (tokens.add(name, name, "admin") for name in ("ana", "bo"))
    async with web(env, "--toolsets", "all") as started:
        yield started, ana, bo


async def filled(one: Web, ana: str) -> dict[str, str]:
    """Write one of everything for ana; give the ids."""

    async def made(tool: str, **given: object) -> dict[str, Any]:
        answer = await one.call(tool, ana, **given)
        assert not answer.get("isError"), answer
        return answer["structuredContent"]

    said = {"said": HIDDEN}
    memory = await made("remember", content=f"The {NAME} is {HIDDEN}.", topic=NAME, agent="ana")
    decision = await made("log_decision", question=f"Which {NAME}?", selected=[HIDDEN])
    session = await made("save_session", summary=f"About {HIDDEN}.", session=NAME)
    event = await made("log_event", type="note", content=f"{HIDDEN} fell.", session=NAME)
    solution = await made("record_solution", problem=f"No {NAME}", solution=f"Buy {HIDDEN}.")
    await made("register_agent", agent="ana", role=HIDDEN)
    signal = await made("send_signal", to=["bo"], type="info", payload=said)
    await made("save_state", agent="ana", state=said)
    await made("update_task", task=f"Water the {HIDDEN}")
    await made("log_work", action=NAME, success=True, output=said)
    await made("register_skill", name=NAME, description=f"Grows {HIDDEN}")
    return {
        "memory": memory["id"],
        "decision": decision["id"],
        "session": session["session"],
        "event": event["id"],
        "solution": solution["id"],
        "signal": signal["id"],
    }


def asked_for(ids: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """List all ways to read what ana has, by its id, its name, or what it is about."""
    tools: dict[str, list[dict[str, Any]]] = {
        "recall": [{"query": ""}, {"query": NAME}, {"query": "", "topic": NAME}],
        "restore_session": [{"session": NAME}, {"session": ids["session"]}, {}],
        "find_solution": [{"problem": f"No {NAME}"}],
        "list_skills": [{}],
        "load_skill": [{"name": NAME}],
        "review_decisions": [{}, {"decision": ids["decision"]}],
        "list_tasks": [{}],
        "list_agents": [{"agent": "ana"}],
        "load_state": [{"agent": "ana"}],
        "check_work": [{"action": NAME}],
        "read_signals": [{"sent": True}],
    }
    calls = [
        ("tools/call", {"name": name, "arguments": given})
        for name, each in tools.items()
        for given in each
    ]
    uris = [
        f"memory://topics/{NAME}",
        "memory://sessions/latest",
        f"memory://sessions/{NAME}",
        f"memory://sessions/{ids['session']}",
        f"memory://decisions/{ids['decision']}",
        "memory://agents",
        "memory://agents/ana",
        "memory://agents/bo/signals",
        *(f"memory://item/{ids[kind]}" for kind in ("memory", "decision", "event", "solution")),
    ]
    return [*calls, *(("resources/read", {"uri": uri}) for uri in uris)]


def cursor(after: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([after]).encode()).decode()


async def test_whatever_one_owner_guesses_shows_nothing_of_the_other(
    shared: tuple[Web, str, str],
) -> None:
    one, ana, bo = shared
    ids = await filled(one, ana)
    lists: list[tuple[str, dict[str, Any]]] = [
        ("resources/list", {"cursor": cursor(NAME[:-1])}),
        ("resources/list", {}),
        (
            "completion/complete",
            {
                "ref": {"type": "ref/resource", "uri": "memory://topics/{topic}"},
                "argument": {"name": "topic", "value": NAME[:2]},
            },
        ),
    ]

    for method, params in asked_for(ids):
        hers = (await one.post(method, params, bo)).text
        assert HIDDEN not in hers, (method, params)
        mine = (await one.post(method, params, ana)).text
        assert HIDDEN in mine, (method, params)
    for method, params in lists:
        assert NAME not in (await one.post(method, params, bo)).text
        assert NAME in (await one.post(method, params, ana)).text


async def test_whatever_one_owner_does_changes_nothing_of_the_other(
    shared: tuple[Web, str, str],
) -> None:
    one, ana, bo = shared
    ids = await filled(one, ana)
    attempts: list[tuple[str, dict[str, Any]]] = [
        ("forget", {"id": ids["memory"]}),
        ("forget", {"topic": NAME}),
        ("remember", {"content": "Nothing.", "supersedes": ids["memory"]}),
        ("log_outcome", {"decision": ids["decision"], "success": False}),
        ("ack_signal", {"signal": ids["signal"], "agent": "bo"}),
        ("rollback_state", {"agent": "ana", "to": 1}),
        ("bind_skill", {"skill": NAME, "agent": "ana"}),
        ("register_skill", {"name": NAME, "description": "Mine."}),
        ("save_state", {"agent": "ana", "state": {"said": "Mine."}}),
    ]

    refused = [
        (await one.call(tool, bo, **given)).get("isError", False) for tool, given in attempts
    ]

    assert refused == [True] * 7 + [False] * 2
    for method, params in asked_for(ids):
        text = (await one.post(method, params, ana)).text
        assert HIDDEN in text, (method, params)
        assert "Mine." not in text


async def test_a_listener_hears_of_nothing_that_another_owner_does(
    shared: tuple[Web, str, str],
) -> None:
    one, ana, bo = shared
    send, heard = anyio.create_memory_object_stream[object](100)

    async def hear(message: object) -> None:
        await send.send(message)

    async with (
        send,
        heard,
        one.talking(ana, mode="legacy", message_handler=hear) as before,
        one.talking(ana) as client,
        client.listen(resource_subscriptions=[TOPIC, "memory://topics/garden"]) as events,
        one.talking(bo) as other,
        other.listen(resource_subscriptions=[TOPIC]) as others,
    ):
        for uri in (TOPIC, "memory://topics/garden"):
            with pytest.warns(MCPDeprecationWarning):
                await before.subscribe_resource(uri)  # pyright: ignore[reportDeprecated] - that is what is tested
        await one.call("remember", bo, content="The crane is red.", topic="harbour")
        with anyio.fail_after(LONG):
            assert await anext(aiter(others)) == ResourceUpdated(uri=TOPIC)
        await one.call("remember", ana, content="The roses are cut.", topic="garden")
        with anyio.fail_after(LONG):
            first = await anext(aiter(events))
            told = await heard.receive()

    assert first == ResourceUpdated(uri="memory://topics/garden")
    assert isinstance(told, ResourceUpdatedNotification)
    assert told.params.uri == "memory://topics/garden"


async def test_a_session_is_nobodys_but_its_owners(shared: tuple[Web, str, str]) -> None:
    one, ana, bo = shared
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": LEGACY,
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    sent = {"accept": BOTH, "mcp-protocol-version": LEGACY}
    began = await one.client.post(one.url, json=message, headers={**sent, **bearer(ana)})
    sent["mcp-session-id"] = began.headers["mcp-session-id"]
    asked = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}

    found = {
        who: (await one.client.post(one.url, json=asked, headers=sent | shown)).status_code
        for who, shown in {"bo": bearer(bo), "nobody": {}, "ana": bearer(ana)}.items()
    }
    ended = await one.client.delete(one.url, headers=sent | bearer(bo))
    still = await one.client.post(one.url, json=asked, headers=sent | bearer(ana))

    assert began.status_code == 200
    assert found == {"bo": 404, "nobody": 401, "ana": 200}
    assert (ended.status_code, still.status_code) == (404, 200)


async def test_on_the_server_itself_each_sees_their_own_rows(
    env: dict[str, str], settings: Settings, server_url: str
) -> None:
    tokens = Tokens(settings)
    ana, bo = (tokens.add(name, name, "write") for name in ("ana", "bo"))
    async with web({**env, "AGENT_MEM_SERVER": server_url}, "--direct") as one:
        kept = await one.call("remember", ana, content=f"The crane is {HIDDEN}.", topic="harbour")
        uri = f"memory://item/{kept['structuredContent']['id']}"
        found = {
            who: [
                HIDDEN in str(await one.call("recall", token, query="crane")),
                HIDDEN in (await one.post("resources/read", {"uri": uri}, token)).text,
                "harbour" in (await one.post("resources/list", {}, token)).text,
            ]
            for who, token in {"ana": ana, "bo": bo}.items()
        }

    assert found == {"ana": [True] * 3, "bo": [False] * 3}
    assert not settings.db.exists()


async def test_the_memory_that_was_not_asked_for_longest_is_closed_and_opened_again(
    settings: Settings,
) -> None:
    owners = Owners(settings, most=1)
    async with owners.run():
        async with owners.holding("ana"):
            first = owners.asking
            await first.opening()
            async with owners.holding("bo"):  # ana is asked for meanwhile, and stays
                assert owners.asking is not first
            assert owners.asking is first
        async with owners.holding("bo"):
            bo = owners.asking
            await bo.opening()
        async with owners.holding("ana"):
            again = owners.asking
            assert (await again.opening()).settings.owner == "ana"

    assert again is not first
    assert not owners.running


async def test_what_is_published_and_subscribed_is_that_of_whoever_asks(
    settings: Settings,
) -> None:
    owners, heard = Owners(settings), list[tuple[str, object]]()
    changes = AskedChanges(owners)
    send, told = anyio.create_memory_object_stream[object](100)

    async def tell(message: object) -> None:
        await send.send(message)

    async with owners.run(), send, told, owners.holding("bo"):
        owners.asking.changes.subscribe(lambda event: heard.append(("bo", event)))
        async with owners.holding("ana"):
            owners.asking.changes.subscribe(lambda event: heard.append(("ana", event)))
            server = kernel(Asked(owners), changes)
            async with Client(server, mode="legacy", message_handler=tell) as client:
                for uri in (TOPIC, "memory://topics"):
                    with pytest.warns(MCPDeprecationWarning):
                        await client.subscribe_resource(uri)  # pyright: ignore[reportDeprecated] - that is what is tested
                with pytest.warns(MCPDeprecationWarning):
                    await client.unsubscribe_resource(TOPIC)  # pyright: ignore[reportDeprecated] - as above
                await changes.publish(ToolsListChanged())
                for uri in (TOPIC, "memory://topics"):
                    await owners.asking.changes.updated(uri)
                with anyio.fail_after(LONG):
                    first = await told.receive()

    assert heard[0] == ("ana", ToolsListChanged())
    assert {who for who, _ in heard} == {"ana"}
    assert isinstance(first, ResourceUpdatedNotification)
    assert first.params.uri == "memory://topics"
