"""Several servers on one file: what one writes, the others see and their subscribers are told."""

import logging
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import anyio
import anyio.lowlevel
import pytest
from conftest import Server
from helpers_wire import wired
from mcp import Client, MCPDeprecationWarning, MCPError, StdioServerParameters
from mcp.server.subscriptions import ResourceUpdated, ServerEvent
from mcp.types import INTERNAL_ERROR, ResourceUpdatedNotification, SubscribeRequestParams

from agent_mem.config import Settings
from agent_mem.records.memory import Memory
from agent_mem.server.changes import Changes
from agent_mem.server.kernel import kernel
from agent_mem.server.opening import Opening
from agent_mem.storage.statements import Statement, Transaction

pytestmark = pytest.mark.anyio

TOPIC = "memory://topics/harbour"
OTHER = "memory://topics/garden"
HARBOUR = Memory(agent_name="a", content="The ferry leaves at six.", topic="harbour")
SOON = 20
"""Seconds in which a subscriber is told."""


async def remember(client: Client, content: str, topic: str = "harbour") -> None:
    done = await client.call_tool("remember", {"content": content, "topic": topic})
    assert not done.is_error


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_two_servers_see_each_others_writes_at_the_next_call(
    mode: Literal["auto", "legacy"], server: Server
) -> None:
    async with server(mode=mode) as one, server(mode=mode) as other:
        for writer, reader, content in (
            (one, other, "The ferry leaves at six."),
            (other, one, "The crane is being painted."),
        ):
            await remember(writer, content)
            found = await reader.call_tool("recall", {"query": content})
            assert content in str(found.structured_content)


async def rewritten(client: Client) -> str:
    """Remember the same once more; give the id of the memory."""
    arguments = {"content": "The ferry leaves at six.", "topic": "harbour"}
    done = await client.call_tool("remember", arguments)
    assert done.structured_content is not None
    return done.structured_content["id"]


@pytest.mark.parametrize("uri", [TOPIC, "memory://topics", "memory://item/{}"])
async def test_a_listener_is_told_of_what_another_process_writes(uri: str, server: Server) -> None:
    async with server() as one, server() as other:
        uri = uri.format(await rewritten(other))
        async with one.listen(resource_subscriptions=[uri]) as events:
            await rewritten(other)
            with anyio.fail_after(SOON):
                told = await anext(aiter(events))

    assert told == ResourceUpdated(uri=uri)


async def test_a_listener_is_told_even_if_it_was_there_before_the_file(
    server: Server, settings: Settings
) -> None:
    async with server() as one, server() as other:
        assert not settings.db.exists()
        async with one.listen(resource_subscriptions=[TOPIC]) as events:
            await rewritten(other)
            with anyio.fail_after(SOON):
                assert await anext(aiter(events)) == ResourceUpdated(uri=TOPIC)


async def test_who_listens_again_is_told_again(server: Server) -> None:
    async with server() as one, server() as other:
        for _ in range(2):
            async with one.listen(resource_subscriptions=[TOPIC]) as events:
                await rewritten(other)
                with anyio.fail_after(SOON):
                    assert await anext(aiter(events)) == ResourceUpdated(uri=TOPIC)


async def test_a_listener_of_lists_alone_leaves_the_database_closed(
    server: Server, settings: Settings
) -> None:
    async with (
        server() as client,
        client.listen(tools_list_changed=True, resources_list_changed=True),
    ):
        await client.list_tools()

        assert not settings.db.exists()


async def test_a_subscriber_before_2026_is_told_of_what_another_process_writes(
    env: dict[str, str], server: Server
) -> None:
    send, told = anyio.create_memory_object_stream[object](100)
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "agent_mem", "serve"], env=env
    )

    async def tell(message: object) -> None:
        await send.send(message)

    client = Client(parameters, mode="legacy", message_handler=tell)

    async with send, told, client as one, server(mode="legacy") as other:
        with pytest.warns(MCPDeprecationWarning):
            await one.subscribe_resource(TOPIC)  # pyright: ignore[reportDeprecated] - that is what is tested
        await rewritten(other)
        with anyio.fail_after(SOON):
            notice = await told.receive()

    assert isinstance(notice, ResourceUpdatedNotification)
    assert notice.params.uri == TOPIC


async def test_who_unsubscribed_is_told_no_more(
    env: dict[str, str], server: Server, tmp_path: Path
) -> None:
    told: list[str] = []
    async with wired(env, tmp_path) as wire, server() as other:
        await wire.hello()
        for uri in (TOPIC, OTHER):
            await wire.ask("resources/subscribe", {"uri": uri})
        await wire.ask("resources/unsubscribe", {"uri": TOPIC})
        for content in ("The roses are cut.", "The hedge is cut."):
            await remember(other, f"{content} The ferry is late.", "harbour")
            await remember(other, content, "garden")
            with anyio.fail_after(SOON):
                told.append((await wire.read())["params"]["uri"])

    assert told == [OTHER, OTHER]


def running(sql: str) -> Transaction[None]:
    yield Statement(sql, {})


class Warned(logging.Handler):
    """Waits for a warning."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.came = anyio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        assert record.getMessage() == "What changed cannot be read now."
        self.came.set()


async def test_changes_are_told_again_after_a_time_when_they_could_not_be_read(
    settings: Settings,
) -> None:
    told: list[ServerEvent] = []
    warned = Warned()
    logger = logging.getLogger("agent_mem.server.changes")
    logger.addHandler(warned)
    async with Opening(settings) as opening, anyio.create_task_group() as tasks:
        store = (await opening()).store
        changes = Changes(opening)
        tasks.start_soon(changes.watch)
        changes.subscribe(told.append)
        await changes.begin()
        await store.engine.write(running("ALTER TABLE changes RENAME TO away"))
        with anyio.fail_after(SOON):
            await warned.came.wait()
        await store.engine.write(running("ALTER TABLE away RENAME TO changes"))
        await store.put(HARBOUR)
        await until_told(told)
        tasks.cancel_scope.cancel()
    logger.removeHandler(warned)


async def test_what_is_written_right_after_the_subscription_is_told(settings: Settings) -> None:
    told: list[ServerEvent] = []
    async with Opening(settings) as opening, anyio.create_task_group() as tasks:
        changes = Changes(opening)
        changes.subscribe(told.append)
        await changes.begin()
        await (await opening()).store.put(HARBOUR)
        tasks.start_soon(changes.watch)
        await until_told(told)
        tasks.cancel_scope.cancel()


async def until_told(told: list[ServerEvent]) -> None:
    with anyio.fail_after(SOON):
        while ResourceUpdated(uri=TOPIC) not in told:
            await anyio.lowlevel.checkpoint()


async def test_a_change_is_told_once(settings: Settings) -> None:
    told: list[ServerEvent] = []
    async with Opening(settings) as opening:
        changes, store = Changes(opening), (await opening()).store
        changes.subscribe(told.append)
        await store.put(HARBOUR)

        place = await changes.tell(store, 0)
        first = len(told)
        again = await changes.tell(store, place)

    assert place == again > 0
    assert first == len(told)
    assert ResourceUpdated(uri=TOPIC) in told


async def test_a_resource_that_cannot_be_read_is_told_in_a_sentence(settings: Settings) -> None:
    settings.db.parent.mkdir()
    settings.db.write_bytes(b"no database at all, but something else " * 100)
    async with (
        Opening(settings) as opening,
        Client(kernel(opening, Changes(opening))) as client,
    ):
        with pytest.raises(MCPError, match="agent-mem doctor") as told:
            await client.read_resource("memory://topics")

    assert told.value.error.code == INTERNAL_ERROR


class Session:
    """A client's session, as far as it is told of changes; one that is stuck never takes it."""

    def __init__(self, *, stuck: bool = False) -> None:
        self._stuck = stuck
        self.told: list[str] = []

    async def send_resource_updated(self, uri: str) -> None:
        if self._stuck:
            await anyio.sleep_forever()
        self.told.append(uri)


def asking(session: Session, number: int) -> Any:  # noqa: ANN401 - as much of a context as is needed
    request = SimpleNamespace(headers={"mcp-session-id": str(number)})
    return SimpleNamespace(session=session, request=request)


async def test_a_session_that_is_stuck_keeps_no_other_from_being_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_mem.server.changes.PATIENCE", 0.01)
    stuck, well = Session(stuck=True), Session()
    params = SubscribeRequestParams(uri=TOPIC)
    async with Opening(settings) as opening:
        changes = Changes(opening)
        for number, session in enumerate((stuck, well)):
            await changes.add(asking(session, number), params)
        with anyio.fail_after(SOON):
            await changes.updated(TOPIC)
            monkeypatch.setattr("agent_mem.server.changes.PATIENCE", 60)
            await changes.updated(TOPIC)

    assert well.told == [TOPIC, TOPIC]


async def test_subscriptions_that_are_left_behind_take_bounded_memory(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_mem.server.changes.MOST", 2)
    sessions = [Session() for _ in range(3)]
    async with Opening(settings) as opening:
        changes = Changes(opening)
        for number, session in enumerate(sessions):
            await changes.add(asking(session, number), SubscribeRequestParams(uri=TOPIC))
        await changes.updated(TOPIC)

    assert [session.told for session in sessions] == [[], [TOPIC], [TOPIC]]
