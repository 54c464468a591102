"""Nothing goes over the network: everything works where every connection is refused."""

import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest
from helpers_wire import customized, text_of, wired

from agent_mem.tools import TOOLS

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        sys.platform == "win32", reason="the event loop of Windows wakes itself over TCP"
    ),
]

# Python tells its audit hooks of every name looked up and every connection or datagram.
OFFLINE = """
import sys

NETWORK = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind", "socket.getaddrinfo",
           "socket.gethostbyname", "socket.getnameinfo")

def refuse(event, arguments):
    if event.startswith(NETWORK):
        with open({tried!r}, "a") as file:
            print(event, arguments[1:], file=file)
        raise ConnectionRefusedError("there is no network")

sys.addaudithook(refuse)
"""

NOBODY = str(uuid4())
CALLS: dict[str, dict[str, Any]] = {
    "remember": {"content": "Ana drinks green tea.", "topic": "tea", "session": "s"},
    "recall": {"query": "What does Ana drink?"},
    "log_event": {"type": "error", "content": "The kettle timed out.", "session": "s"},
    "log_decision": {"question": "Which tea?", "selected": ["green"]},
    "find_solution": {"problem": "The kettle timed out."},
    "record_solution": {"problem": "The kettle timed out.", "solution": "Descale it."},
    "save_session": {"summary": "Tea was made.", "session": "s"},
    "restore_session": {},
    "list_skills": {},
    "load_skill": {"name": "brewing"},
    "list_behaviors": {},
    "run_behavior": {"name": "consolidate"},
    "review_decisions": {},
    "list_patterns": {},
    "share_pattern": {"pattern": NOBODY, "shared_with": ["*"]},
    "check_work": {"action": "Descale the kettle", "claim": True},
    "log_work": {"action": "Descale the kettle", "success": True},
    "update_task": {"task": "Buy tea", "status": "doing"},
    "list_tasks": {},
    "register_agent": {"role": "Makes tea."},
    "list_agents": {},
    "save_state": {"state": {"kettle": "on"}},
    "load_state": {"compare": 1},
    "checkpoint_state": {"label": "hot"},
    "rollback_state": {"to": "hot"},
    "send_signal": {"type": "tea", "to": ["agent"]},
    "read_signals": {},
    "register_behavior": {
        "name": "tea",
        "action": "digest",
        "trigger": "daily",
        "schedule": "9:00",
    },
    "register_skill": {"name": "pouring", "description": "How tea is poured."},
    "bind_skill": {"skill": "pouring"},
    "forget": {"topic": "tea"},
}


@pytest.fixture
def tried(tmp_path: Path) -> Path:
    """Where every attempt to reach the network is written."""
    return tmp_path / "tried.txt"


@pytest.fixture
def offline(env: dict[str, str], tmp_path: Path, tried: Path) -> dict[str, str]:
    return customized(env, tmp_path / "site", OFFLINE.format(tried=str(tried)))


@pytest.mark.parametrize(
    "attempt",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import urllib.request; urllib.request.urlopen('http://192.0.2.1')",
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))",
    ],
)
def test_an_attempt_to_reach_the_network_would_be_seen(
    attempt: str, offline: dict[str, str], tried: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", attempt], env=offline, capture_output=True, check=False
    )

    assert b"there is no network" in done.stderr
    assert tried.read_text(encoding="utf-8").startswith("socket.")


async def test_every_tool_and_resource_works_without_a_network_and_none_tries_it(
    offline: dict[str, str], tmp_path: Path, tried: Path
) -> None:
    async with wired(offline | {"AGENT_MEM_TOOLSETS": "all"}, tmp_path) as wire:
        await wire.hello()
        results = {name: await wire.use(name, **arguments) for name, arguments in CALLS.items()}
        decided = results["log_decision"]["structuredContent"]["id"]
        results["log_outcome"] = await wire.use("log_outcome", decision=decided, success=True)
        sent = results["send_signal"]["structuredContent"]["id"]
        results["ack_signal"] = await wire.use("ack_signal", signal=sent)
        listed = (await wire.ask("resources/list", {}))["result"]["resources"]
        reads = [await wire.ask("resources/read", {"uri": each["uri"]}) for each in listed]
        await wire.stdin.aclose()
        with anyio.fail_after(30):
            assert await wire.process.wait() == 0

    assert results.keys() == {tool.name for tool in TOOLS}
    assert {name for name, result in results.items() if result["isError"]} == {
        "load_skill",
        "rollback_state",
        "share_pattern",
    }
    assert text_of(results["load_skill"]).startswith("There is no skill `brewing`")
    assert text_of(results["share_pattern"]).startswith(f"There is no pattern `{NOBODY}`")
    assert text_of(results["rollback_state"]).endswith("nothing is to be undone.")
    assert "green tea" in text_of(results["recall"])
    assert all("result" in answer for answer in reads)
    assert not tried.exists()
