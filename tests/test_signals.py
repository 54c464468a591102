"""Signals: for agents by name or for all, in order, until each has processed it once."""

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import anyio
import pytest
from conftest import Call, Server
from mcp import Client, MCPDeprecationWarning, StdioServerParameters
from mcp.server.subscriptions import ResourceUpdated
from mcp.types import ResourceUpdatedNotification, TextResourceContents

from agent_mem.app import App
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.records.receipt import Receipt
from agent_mem.records.record import now, uuid7
from agent_mem.records.signal import Signal
from agent_mem.tools.signals import FIRST, LONGEST

pytestmark = pytest.mark.anyio

ON = {"AGENT_MEM_TOOLSETS": "all", "AGENT_MEM_EMBEDDER": "none"}
WAITING = "memory://agents/{}/signals"
SOON = 20
"""Seconds in which a subscriber is told."""


async def send(call: Call, *to: str, type: str = "note", **more: object) -> str:  # noqa: A002 - the tool's
    return (await call("send_signal", type=type, to=list(to), **more))["id"]


async def read(call: Call, agent: str, **more: object) -> list[str]:
    """Take what waits for an agent; give the ids."""
    answer = await call("read_signals", agent=agent, **more)
    return [signal["id"] for signal in answer.get("signals", [])]


async def look(call: Call, agent: str) -> list[str]:
    return await read(call, agent, minutes=0)


async def expire(app: App, key: str, model: type[Signal | Receipt] = Signal, **when: Any) -> None:  # noqa: ANN401 - fields
    """Let a signal, or what is said of it, be as if some time had passed."""
    record = await app.store.get(model, UUID(key))
    assert record is not None
    await app.store.put(record.model_copy(update=when or {"expires_at": now()}))


async def deliveries(app: App, key: str) -> list[Receipt]:
    rows = await app.store.find(Receipt, "signal_receipts.of_signal", signal_id=key, limit=9)
    return [row for row in rows if row.processed_at is None]


async def test_a_signal_says_what_it_is_from_whom_and_until_when(call: Call) -> None:
    before = datetime.now(UTC)
    answer = await call("send_signal", type="deploy_failed", payload={"pr": 17}, to=["ana"])

    (signal,) = (await call("read_signals", agent="ana"))["signals"]

    assert signal.pop("sent")
    expires = datetime.fromisoformat(f"{signal.pop('expires')}Z")
    assert timedelta(hours=24) - (expires - before) < timedelta(seconds=5)
    assert signal == {
        "id": answer["id"],
        "type": "deploy_failed",
        "sender": "agent",
        "to": ["ana"],
        "payload": {"pr": 17},
    }


async def test_a_signal_for_some_is_for_them_alone(call: Call) -> None:
    key = await send(call, "ana", "bob", "ana")

    assert await look(call, "ana") == await look(call, "bob") == [key]
    assert await look(call, "agent") == await look(call, "an") == []


async def test_a_signal_for_nobody_by_name_is_for_all_but_its_sender(call: Call) -> None:
    key = (await call("send_signal", type="note", agent="ana"))["id"]

    assert await look(call, "bob") == await look(call, "who comes later") == [key]
    assert await look(call, "ana") == []


async def test_an_agent_may_send_itself_a_signal_by_name(call: Call) -> None:
    key = await send(call, "agent")

    assert await look(call, "agent") == [key]


@pytest.mark.parametrize("name", ['"', "a,b", "[]", "%", "日本", "' OR 1=1 --"])
async def test_any_name_can_be_a_target_and_is_no_other(call: Call, name: str) -> None:
    key = await send(call, name)

    assert await look(call, name) == [key]
    assert await look(call, "a") == []


async def test_signals_wait_in_the_order_in_which_they_were_sent(call: Call) -> None:
    keys = [await send(call, "ana", agent=f"sender {n % 3}") for n in range(7)]

    assert await read(call, "ana", limit=3) == keys[:3]
    assert await read(call, "ana", limit=3) == keys[3:6]
    assert await read(call, "ana", limit=3) == keys[6:]


async def test_what_waits_beyond_and_what_is_under_way_is_counted(call: Call) -> None:
    for _ in range(5):
        await send(call, "ana")

    looked = await call("read_signals", agent="ana", limit=2, minutes=0)
    first = await call("read_signals", agent="ana", limit=2)
    second = await call("read_signals", agent="ana", limit=2)
    third = await call("read_signals", agent="ana", limit=2)
    last = await call("read_signals", agent="ana", limit=2)

    assert (looked["left"], "under_way" in looked) == (3, False)
    assert (first["left"], "under_way" in first) == (3, False)
    assert (second["left"], second["under_way"]) == (1, 2)
    assert ("left" in third, third["under_way"]) == (False, 4)
    assert last == {"under_way": 5, "note": "No signals wait for you."}


async def test_only_one_type_may_be_asked_for(call: Call) -> None:
    await send(call, "ana", type="note")
    wanted = await send(call, "ana", type="review")

    assert await read(call, "ana", type="review") == [wanted]


async def test_to_look_takes_nothing_away(app: App, call: Call) -> None:
    key = await send(call, "ana")

    assert await look(call, "ana") == await look(call, "ana") == [key]
    assert await deliveries(app, key) == []


async def test_what_one_of_a_name_has_taken_no_other_gets_until_its_time_is_over(
    app: App, call: Call
) -> None:
    key = await send(call, "ana", "bob")
    assert await read(call, "ana") == [key]
    assert await read(call, "ana") == []
    assert await read(call, "bob") == [key]
    (ana, _) = await deliveries(app, key)
    assert ana.lease_until is not None
    assert timedelta(minutes=9) < ana.lease_until - now() <= timedelta(minutes=10)

    await expire(app, str(ana.id), Receipt, lease_until=now())

    assert await read(call, "ana") == [key]
    assert await read(call, "bob") == []


async def test_what_is_processed_comes_no_more_and_the_sender_hears_what_came_of_it(
    app: App, call: Call
) -> None:
    key = await send(call, "ana", "bob")
    await read(call, "ana")
    answer = await call("ack_signal", signal=key, result={"merged": True}, agent="ana")
    for receipt in await deliveries(app, key):
        await expire(app, str(receipt.id), Receipt, lease_until=now())

    (sent,) = (await call("read_signals", sent=True))["signals"]

    assert (answer["state"], answer["result"]) == ("processed", {"merged": True})
    assert await look(call, "ana") == []
    assert await look(call, "bob") == [key]
    assert sent["receipts"] == [
        {"agent": "ana", "when": answer["when"], "result": {"merged": True}}
    ]
    assert sent["unprocessed"] == ["bob"]


async def test_what_was_sent_is_listed_the_latest_first(call: Call) -> None:
    first, second = await send(call, "ana"), await send(call, type="other")
    await send(call, "ana", agent="bob")
    await call("ack_signal", signal=first, agent="ana")

    listed = (await call("read_signals", sent=True))["signals"]
    some = (await call("read_signals", sent=True, type="note"))["signals"]
    none = await call("read_signals", sent=True, agent="ana")

    assert [signal["id"] for signal in listed] == [second, first]
    assert [signal["id"] for signal in some] == [first]
    assert "unprocessed" not in listed[0]
    assert "unprocessed" not in some[0]
    assert none == {"note": "You sent no such signals."}


async def test_a_signal_is_processed_once_and_whoever_comes_second_is_told(call: Call) -> None:
    key = await send(call, "ana")
    await call("ack_signal", signal=key, result={"by": "first"}, agent="ana")

    again = await call("ack_signal", signal=key, result={"by": "second"}, agent="ana")
    (sent,) = (await call("read_signals", sent=True))["signals"]

    assert (again["state"], again["result"]) == ("repeated", {"by": "first"})
    assert [receipt["result"] for receipt in sent["receipts"]] == [{"by": "first"}]


async def test_an_expired_signal_is_never_delivered(app: App, call: Call) -> None:
    key, all_of_you = await send(call, "ana"), await send(call)
    await expire(app, key)
    await expire(app, all_of_you)

    assert await read(call, "ana") == []
    assert "signals" not in await call("restore_session", agent="ana")
    with pytest.raises(InvalidInput, match="has expired: it counts no more"):
        await call("ack_signal", signal=key, agent="ana")


async def test_a_signal_that_expires_while_it_is_processed_still_gets_its_receipt(
    app: App, call: Call
) -> None:
    key = await send(call, "ana", "bob")
    await read(call, "ana")
    await expire(app, key)

    answer = await call("ack_signal", signal=key, result={"ok": 1}, agent="ana")

    assert answer["state"] == "processed"
    with pytest.raises(InvalidInput, match="has expired"):
        await call("ack_signal", signal=key, agent="bob")


async def test_the_sender_says_how_long_a_signal_waits(app: App, call: Call) -> None:
    key = await send(call, "ana", hours=0.5)
    signal = await app.store.get(Signal, UUID(key))
    assert signal is not None
    assert signal.expires_at is not None

    assert timedelta(minutes=29) < signal.expires_at - now() <= timedelta(minutes=30)


async def test_the_same_key_sends_one_signal(call: Call) -> None:
    first = await call("send_signal", type="note", to=["ana"], key="k", payload={"n": 1})
    again = await call("send_signal", type="note", to=["ana"], key="k", payload={"n": 2})
    other = await call("send_signal", type="note", to=["ana"], key="k", agent="bob")

    assert again == {**first, "repeated": True}
    assert await look(call, "ana") == [first["id"], other["id"]]


async def test_a_name_that_is_not_registered_is_pointed_out_and_served_all_the_same(
    call: Call,
) -> None:
    await call("register_agent", agent="ana")

    answer = await call("send_signal", type="note", to=["ana", "anna"])

    assert answer["unregistered"] == ["anna"]
    assert await look(call, "anna") == [answer["id"]]


async def test_only_who_is_meant_can_acknowledge(call: Call) -> None:
    key, to_all = await send(call, "ana"), await send(call)

    for signal, agent in ((key, "bob"), (to_all, "agent"), (str(uuid7()), "ana")):
        with pytest.raises(NotFound, match=f"There is no signal `{signal}` for `{agent}`"):
            await call("ack_signal", signal=signal, agent=agent)
    with pytest.raises(NotFound, match="There is no signal `x`: an id has 36 characters"):
        await call("ack_signal", signal="x", agent="ana")

    assert await look(call, "ana") == [key, to_all]


async def test_a_session_begins_with_what_waits(call: Call) -> None:
    first = await send(call, "ana", payload={"n": 1})
    await send(call, "ana", payload={"long": "x" * 1000})
    empty = await send(call, "ana")
    for _ in range(FIRST):
        await send(call, "ana")

    told = (await call("restore_session", agent="ana"))["signals"]
    await call("ack_signal", signal=first, agent="ana")
    then = (await call("restore_session", agent="ana"))["signals"]

    assert len(told) == FIRST
    assert told[0].pop("sent")
    assert told[0] == {"id": first, "type": "note", "from": "agent", "payload": {"n": 1}}
    assert told[1]["payload"] == '{"long": "' + "x" * (LONGEST - 10) + "…"
    assert (told[2]["id"], "payload" in told[2]) == (empty, False)
    assert [signal["id"] for signal in then[:2]] == [told[1]["id"], empty]


async def test_without_an_agent_a_session_begins_with_what_waits_for_oneself(call: Call) -> None:
    await send(call, "ana")
    mine = await send(call, "agent", agent="ana")

    assert [s["id"] for s in (await call("restore_session"))["signals"]] == [mine]


async def test_an_expired_signal_and_its_receipts_are_pruned(app: App, call: Call) -> None:
    old, lately, live = [await send(call, "ana") for _ in range(3)]
    for key in (old, lately, live):
        await call("ack_signal", signal=key, agent="ana")
    long_ago = now() - timedelta(days=31)
    await expire(app, old, expires_at=long_ago)
    await expire(app, lately)
    gone = str(Receipt.key(UUID(old), "ana"))
    await expire(app, gone, Receipt, expires_at=long_ago + timedelta(days=30))

    removed = (await call("run_behavior", name="prune"))["output"]["removed"]

    assert sorted(removed["signals"]) == sorted([old, lately])
    assert removed["signal_receipts"] == [gone]


async def waiting(client: Client, agent: str) -> list[str]:
    """Read the resource of what waits."""
    (content,) = (await client.read_resource(WAITING.format(agent))).contents
    assert isinstance(content, TextResourceContents)
    return [signal["id"] for signal in json.loads(content.text)]


async def signalled(client: Client, *to: str) -> str:
    done = await client.call_tool("send_signal", {"type": "note", "to": list(to), "agent": "eve"})
    assert done.structured_content is not None
    return done.structured_content["id"]


@pytest.mark.parametrize("to", [("ana b", "bob"), ()])
async def test_a_listener_is_told_when_a_signal_waits_and_when_it_is_processed(
    to: tuple[str, ...], server: Server
) -> None:
    mine = WAITING.format("ana%20b")
    async with server(**ON) as one, server(**ON) as other:
        assert await waiting(one, "ana%20b") == []
        async with one.listen(resource_subscriptions=[mine, "memory://topics"]) as events:
            told = aiter(events)
            key = await signalled(other, *to)
            with anyio.fail_after(SOON):
                assert await anext(told) == ResourceUpdated(uri=mine)
            assert await waiting(one, "ana%20b") == [key]
            acknowledged = await other.call_tool("ack_signal", {"signal": key, "agent": "ana b"})
            assert not acknowledged.is_error
            with anyio.fail_after(SOON):
                assert await anext(told) == ResourceUpdated(uri=mine)
            assert await waiting(one, "ana%20b") == []


async def test_a_listener_is_not_told_of_what_is_for_another(server: Server) -> None:
    mine = WAITING.format("ana")
    async with (
        server(**ON) as one,
        server(**ON) as other,
        one.listen(resource_subscriptions=[mine]) as events,
    ):
        await signalled(other, "bob")
        key = await signalled(other, "ana")
        with anyio.fail_after(SOON):
            assert await anext(aiter(events)) == ResourceUpdated(uri=mine)
        assert await waiting(one, "ana") == [key]


@pytest.mark.parametrize("to", [("ana",), ()])
async def test_a_subscriber_before_2026_is_told_that_a_signal_waits(
    to: tuple[str, ...], env: dict[str, str], server: Server
) -> None:
    send_stream, told = anyio.create_memory_object_stream[object](100)
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "agent_mem", "serve"], env=env | ON
    )

    async def tell(message: object) -> None:
        await send_stream.send(message)

    client = Client(parameters, mode="legacy", message_handler=tell)
    mode: Literal["legacy"] = "legacy"
    async with send_stream, told, client as one, server(mode=mode, **ON) as other:
        with pytest.warns(MCPDeprecationWarning):
            await one.subscribe_resource(WAITING.format("ana"))  # pyright: ignore[reportDeprecated] - that is what is tested
        await signalled(other, *to)
        with anyio.fail_after(SOON):
            message = await told.receive()

    assert isinstance(message, ResourceUpdatedNotification)
    assert str(message.params.uri) == WAITING.format("ana")
