"""Signals between machines: delivered when a machine is there again, and processed once."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import anyio
import pytest
from conftest import Server, calling
from helpers_sync import Line, line, losers, machine, settle, sync
from mcp.server.subscriptions import ResourceUpdated

from agent_mem.app import App
from agent_mem.errors import ServerUnreachable
from agent_mem.records.receipt import Receipt
from agent_mem.records.record import now
from agent_mem.records.signal import Signal

pytestmark = pytest.mark.anyio

ARRIVES = 20
"""Seconds in which a signal gets from one machine to another, at most."""


class Team(NamedTuple):
    """Three machines with an agent each; the way of the last to the server can be closed."""

    ana: App
    bob: App
    cleo: App
    way: Line

    async def sync(self, *, cut: bool) -> None:
        """Make passes on all machines; that of the last fails while it is cut off."""
        for _ in range(2):
            await sync(self.ana, self.bob)
            with pytest.raises(ServerUnreachable) if cut else nullcontext():
                await sync(self.cleo)

    def apps(self) -> dict[str, App]:
        return {"ana": self.ana, "bob": self.bob, "cleo": self.cleo}


@pytest.fixture
async def team(tmp_path: Path, server_url: str) -> AsyncGenerator[Team]:
    async with AsyncExitStack() as opened:
        way = await opened.enter_async_context(line(server_url))
        urls = {"ana": server_url, "bob": server_url, "cleo": way.url}
        apps = {
            name: await opened.enter_async_context(machine(tmp_path / name, url, agent=name))
            for name, url in urls.items()
        }
        yield Team(**apps, way=way)


async def send(app: App, *to: str, **more: object) -> str:
    return (await calling(app)("send_signal", type="stop", to=list(to), **more))["id"]


async def take(app: App) -> list[str]:
    answer = await calling(app)("read_signals")
    return [signal["id"] for signal in answer.get("signals", [])]


async def process(app: App) -> list[str]:
    """Process what waits for a machine's agent; give the ids of what was not processed before."""
    done: list[str] = []
    for key in await take(app):
        answer = await calling(app)("ack_signal", signal=key, result={"by": app.settings.agent})
        done += [key] if answer["state"] == "processed" else []
    return done


async def sent_by(app: App, agent: str) -> dict[str, Any]:
    (signal,) = (await calling(app)("read_signals", sent=True, agent=agent))["signals"]
    return signal


@pytest.mark.parametrize("to", [("ana", "bob", "cleo"), ()])
async def test_of_three_agents_on_three_machines_each_processes_a_signal_once(
    to: tuple[str, ...], team: Team
) -> None:
    team.way.close()
    key = await send(team.ana, *to, agent="dora")
    processed: list[tuple[str, str]] = []

    async def work(*, cut: bool) -> None:
        await team.sync(cut=cut)
        for name, app in team.apps().items():
            processed.extend((name, done) for done in await process(app))

    for _ in range(3):
        await work(cut=True)
    assert processed == [("ana", key), ("bob", key)]
    left = (await sent_by(team.ana, "dora")).get("unprocessed")
    assert left == (["cleo"] if to else None)

    team.way.open()
    for _ in range(3):
        await work(cut=False)

    assert processed == [("ana", key), ("bob", key), ("cleo", key)]
    for app in team.apps().values():
        signal = await sent_by(app, "dora")
        results = {r["agent"]: r["result"]["by"] for r in signal["receipts"]}
        assert results == {"ana": "ana", "bob": "bob", "cleo": "cleo"}
        assert "unprocessed" not in signal


async def test_a_signal_that_expired_while_its_machine_was_away_is_not_delivered(
    team: Team,
) -> None:
    """Nobody waits a day here: the signal is written as one that was sent a day ago."""
    team.way.close()
    late = Signal(sender="ana", targets=["bob", "cleo"], signal_type="stop", expires_at=now())
    live = await send(team.ana, "cleo")
    await team.ana.store.put(late)
    await team.sync(cut=True)
    team.way.open()
    await team.sync(cut=False)

    assert await team.cleo.store.get(Signal, late.id)
    assert await take(team.bob) == []
    assert await take(team.cleo) == [live]


async def test_what_an_agent_has_processed_on_one_machine_comes_no_more_on_another(
    one: App, two: App
) -> None:
    key = await send(one, "ana")
    await settle(one, two)
    for app in (one, two):
        assert await calling(app)("read_signals", agent="ana", minutes=0)
    await calling(one)("ack_signal", signal=key, agent="ana", result={"on": "one"})
    await settle(one, two)

    assert "signals" not in await calling(two)("read_signals", agent="ana")
    again = await calling(two)("ack_signal", signal=key, agent="ana", result={"on": "two"})
    assert (again["state"], again["result"]) == ("repeated", {"on": "one"})


async def test_a_later_delivery_elsewhere_does_not_undo_that_a_signal_was_processed(
    one: App, two: App
) -> None:
    key = await send(one, "ana")
    await settle(one, two)
    await calling(one)("ack_signal", signal=key, agent="ana")
    taken = await calling(two)("read_signals", agent="ana")
    assert [signal["id"] for signal in taken["signals"]] == [key]
    await settle(one, two)
    for receipt in await two.store.find(
        Receipt, "signal_receipts.of_signal", signal_id=UUID(key), limit=9
    ):
        if receipt.processed_at is None:
            over = {"lease_until": now()}
            await two.store.put(receipt.model_copy(update=over))
    await settle(one, two)

    for app in (one, two):
        assert "signals" not in await calling(app)("read_signals", agent="ana")


async def test_of_two_receipts_that_machines_gave_apart_one_holds_and_the_other_is_kept(
    one: App, two: App
) -> None:
    """One agent's name is used on two machines that cannot hear of each other."""
    key = await send(one, "ana")
    await settle(one, two)
    for app, where in ((one, "one"), (two, "two")):
        await calling(app)("ack_signal", signal=key, agent="ana", result={"on": where})
    await settle(one, two)

    for app in (one, two):
        (receipt,) = (await sent_by(app, "agent"))["receipts"]
        assert receipt["result"] == {"on": "two"}
        (lost,) = await losers(app)
        assert lost.record == "signal_receipts"
        assert lost.body["result"] == {"on": "one"}


async def test_a_listener_on_another_machine_is_told_of_a_signal(
    server: Server, server_url: str, tmp_path: Path
) -> None:
    """Two real servers, a file each, synced by themselves."""
    mine = "memory://agents/ana/signals"
    on = {
        "AGENT_MEM_TOOLSETS": "agents",
        "AGENT_MEM_EMBEDDER": "none",
        "AGENT_MEM_SERVER": server_url,
    }
    async with (
        server(**on) as one,
        server(**on, AGENT_MEM_DB=str(tmp_path / "other.db")) as other,
        one.listen(resource_subscriptions=[mine]) as events,
    ):
        done = await other.call_tool("send_signal", {"type": "stop"})
        assert done.structured_content is not None
        with anyio.fail_after(ARRIVES):
            assert await anext(aiter(events)) == ResourceUpdated(uri=mine)
        waits = await one.call_tool("read_signals", {"agent": "ana"})

    assert waits.structured_content is not None
    ids = [signal["id"] for signal in waits.structured_content["signals"]]
    assert ids == [done.structured_content["id"]]
