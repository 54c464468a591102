"""The webhook that is called when the sync fails and when it recovers, and is in nobody's way."""

import json
import logging
import platform
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, cast

import anyio
import pytest
from click.testing import CliRunner, Result
from helpers_sync import line, machine, sync, syncer
from pydantic import SecretStr

from agent_mem import config
from agent_mem.app import App
from agent_mem.cli.main import main
from agent_mem.cli.trial import free_port
from agent_mem.errors import InvalidInput, ServerUnreachable
from agent_mem.records.memory import Memory
from agent_mem.storage import alarm

pytestmark = pytest.mark.anyio

SECRET = "T000-hunter22"  # noqa: S105 - looked for in what is said
FERRY = Memory(agent_name="a", content="The ferry leaves at six.")
Run = Callable[..., Result]


class Chat(ThreadingHTTPServer):
    """What takes the calls, and can be told what to answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Called)
        self.calls: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.status = 200
        self.hangs = False
        self.ended = Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hooks/{SECRET}"


class Called(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        chat = cast("Chat", self.server)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        chat.paths.append(self.path)
        chat.calls.append(json.loads(body))
        if chat.hangs:
            chat.ended.wait(30)
            return
        self.send_response(chat.status)
        self.send_header("Location", f"{chat.url}/elsewhere")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Write no log."""


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Generator[Chat]:
    with Chat() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("AGENT_MEM_SYNC_WEBHOOK", server.url)
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("AGENT_MEM_EMBEDDER", "none")
    return lambda *arguments: CliRunner().invoke(main, arguments)


def away() -> str:
    return f"postgresql://me:secret@127.0.0.1:{free_port()}/x"


def test_passes_of_a_scheduler_tell_a_failure_once_and_that_it_is_over(
    run: Run, chat: Chat, monkeypatch: pytest.MonkeyPatch, server_url: str
) -> None:
    assert run("remember", FERRY.content).exit_code == 0
    url = away()
    monkeypatch.setenv("AGENT_MEM_SERVER", url)
    for _ in range(3):
        assert run("sync").exit_code == 75
    (call,) = chat.calls
    assert chat.paths == [f"/hooks/{SECRET}"]
    assert call["status"] == "failing"
    assert call["error"].startswith("PostgreSQL cannot be reached: ")
    assert call["machine"] == platform.node()
    assert call["file"].endswith("memory.db")
    assert (call["owner"], call["waiting"]) == ("me", 1)
    assert call["since"].startswith("20")
    assert call["text"] == (
        f"agent-mem on {call['machine']} ({call['file']}, owner me): the sync fails since"
        f" {call['since']}: {call['error']} Records waiting: 1."
    )
    assert "secret" not in json.dumps(call)

    monkeypatch.setenv("AGENT_MEM_SERVER", server_url)
    for _ in range(2):
        assert run("sync").exit_code == 0
    (_, over) = chat.calls
    assert (over["status"], over["waiting"]) == ("recovered", 0)
    assert (over["since"], over["error"]) == (call["since"], call["error"])
    assert "the sync works again. It failed since 20" in over["text"]


def test_another_reason_is_news(
    run: Run, chat: Chat, monkeypatch: pytest.MonkeyPatch, server_url: str
) -> None:
    monkeypatch.setenv("AGENT_MEM_SERVER", away())
    run("sync")
    monkeypatch.setenv("AGENT_MEM_SERVER", server_url.replace("plain:plain", "plain:wrong"))
    for _ in range(2):
        assert run("sync").exit_code == 1

    assert [call["status"] for call in chat.calls] == ["failing"] * 2
    assert "password authentication failed" in chat.calls[1]["error"]


def test_without_a_webhook_nobody_is_called(
    run: Run, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AGENT_MEM_SYNC_WEBHOOK")
    monkeypatch.setenv("AGENT_MEM_SERVER", away())

    assert run("sync").exit_code == 75
    assert chat.calls == []


@asynccontextmanager
async def following(app: App) -> AsyncGenerator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(syncer(app).run)
        yield
        tasks.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not condition():  # noqa: ASYNC110 - a thread is waited for
            await anyio.sleep(0.02)


async def arrived(app: App) -> None:
    with anyio.fail_after(20):
        while await app.store.get(Memory, FERRY.id) is None:  # noqa: ASYNC110 - another machine writes
            await anyio.sleep(0.02)


async def test_a_running_server_tells_a_failure_once_and_that_it_is_over(
    tmp_path: Path, server_url: str, chat: Chat
) -> None:
    hook = SecretStr(chat.url)
    async with line(server_url) as way, machine(tmp_path, way.url, sync_webhook=hook) as app:
        way.close()
        async with following(app):
            await until(lambda: bool(chat.calls))
            with anyio.fail_after(20):
                while not await way.turned_away(3)():  # noqa: ASYNC110 - it is in other tasks
                    await anyio.sleep(0.02)
            failing = [call for call in chat.calls if call["status"] == "failing"]
            assert len({call["error"] for call in failing}) == len(failing)
            way.open()
            await until(lambda: chat.calls[-1]["status"] == "recovered")
        assert [call["status"] for call in chat.calls].count("recovered") == 1


async def test_a_webhook_that_hangs_is_in_nobodys_way(
    tmp_path: Path, server_url: str, chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    chat.hangs = True
    hook = SecretStr(chat.url)
    async with (
        line(server_url) as way,
        machine(tmp_path / "one", way.url, sync_webhook=hook) as one,
        machine(tmp_path / "two", server_url) as two,
    ):
        way.close()
        async with following(one):
            await until(lambda: bool(chat.calls))
            way.open()
            await two.store.put(FERRY)
            await sync(two)
            await arrived(one)
            assert "AGENT_MEM_SYNC_WEBHOOK" not in caplog.text  # it still waits for its answer
            await until(lambda: "gave no answer within 5 seconds" in caplog.text)


async def failing(folder: Path, url: str) -> None:
    """Make a pass that fails, with a webhook."""
    async with machine(folder, away(), sync_webhook=SecretStr(url)) as app:
        with pytest.raises(ServerUnreachable):
            await sync(app)


@pytest.mark.parametrize("status", [301, 307, 404, 500])
async def test_a_webhook_that_does_not_take_it_is_logged_and_no_redirect_followed(
    tmp_path: Path, chat: Chat, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    chat.status = status
    caplog.set_level(logging.DEBUG)
    await failing(tmp_path, chat.url)

    assert chat.paths == [f"/hooks/{SECRET}"]
    assert f"AGENT_MEM_SYNC_WEBHOOK: 127.0.0.1 answered {status}." in caplog.text
    assert SECRET not in caplog.text


async def test_what_is_taken_is_not_logged(
    tmp_path: Path, chat: Chat, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    chat.status = 204
    await failing(tmp_path, chat.url)

    assert len(chat.calls) == 1
    assert "AGENT_MEM_SYNC_WEBHOOK" not in caplog.text
    assert SECRET not in caplog.text


async def test_a_webhook_that_cannot_be_reached_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await failing(tmp_path, f"http://127.0.0.1:{free_port()}/{SECRET}")

    assert "AGENT_MEM_SYNC_WEBHOOK: 127.0.0.1 cannot be reached (ConnectError)." in caplog.text
    assert SECRET not in caplog.text


async def test_a_pass_by_hand_waits_for_a_webhook_that_hangs_but_not_for_long(
    tmp_path: Path, chat: Chat, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarm, "PATIENCE", 0.2)
    chat.hangs = True
    with anyio.fail_after(10):
        await failing(tmp_path, chat.url)

    assert "127.0.0.1 gave no answer within 0.2 seconds." in caplog.text


@pytest.mark.parametrize(
    "address", [SECRET, f"ftp://host/{SECRET}", f"https:///{SECRET}", f"http://host:x/{SECRET}"]
)
def test_an_address_that_makes_no_sense_is_told_without_it(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("AGENT_MEM_SYNC_WEBHOOK", address)

    with pytest.raises(InvalidInput) as raised:
        config.read()
    assert str(raised.value) == "AGENT_MEM_SYNC_WEBHOOK: write https://host/path."
