"""Several processes are one agent: each signal goes to one, and comes again if that dies."""

import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
from helpers_wire import Wire, wired

pytestmark = pytest.mark.anyio

ON = {"AGENT_MEM_TOOLSETS": "agents", "AGENT_MEM_EMBEDDER": "none", "AGENT_MEM_AGENT": "ana"}
PROCESSES = 3
SIGNALS = 60
BRIEFLY = 0.03
"""Minutes of a lease that a test can wait for."""


@pytest.fixture
async def wires(env: dict[str, str], tmp_path: Path) -> AsyncGenerator[list[Wire]]:
    async with AsyncExitStack() as opened:
        started = [
            await opened.enter_async_context(wired(env | ON, tmp_path)) for _ in range(PROCESSES)
        ]
        for wire in started:
            await wire.hello()
            await use(wire, "list_agents")  # the file is opened by the first call
        yield started


async def use(wire: Wire, name: str, /, **arguments: object) -> dict[str, Any]:
    result = await wire.use(name, **arguments)
    assert not result["isError"]
    return result["structuredContent"]


async def process(wire: Wire, done: Counter[int], number: int) -> None:
    """Process signals until none waits."""
    while signals := (await use(wire, "read_signals", limit=1)).get("signals"):
        for signal in signals:
            answer = await use(wire, "ack_signal", signal=signal["id"], result={"by": number})
            assert answer["state"] == "processed"
            done[number] += 1


async def test_of_several_processes_one_gets_each_signal(wires: list[Wire]) -> None:
    sent = [
        (await use(wires[0], "send_signal", type="job", payload={"n": n}, to=["ana"]))["id"]
        for n in range(SIGNALS)
    ]
    done: Counter[int] = Counter()
    async with anyio.create_task_group() as tasks:
        for number, wire in enumerate(wires):
            tasks.start_soon(process, wire, done, number)

    listed = await use(wires[0], "read_signals", sent=True, limit=50)

    assert done.total() == SIGNALS
    assert len(+done) > 1  # else they have not met
    assert [signal["id"] for signal in listed["signals"]] == sent[:-51:-1]
    assert all(len(signal["receipts"]) == 1 for signal in listed["signals"])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
async def test_what_a_killed_process_had_taken_comes_again(wires: list[Wire]) -> None:
    one, other, _ = wires
    sent = await use(one, "send_signal", type="job", to=["ana"])
    (taken,) = (await use(one, "read_signals", minutes=BRIEFLY))["signals"]
    one.process.kill()
    await one.process.wait()

    looks = 0
    with anyio.fail_after(10):
        while not (found := (await use(other, "read_signals")).get("signals")):
            looks += 1

    assert looks > 0
    assert [signal["id"] for signal in found] == [taken["id"]] == [sent["id"]]
