"""Many processes write one agent's state at once, and none undoes what another has written."""

import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from helpers_wire import Wire, wired

from agent_mem.config import Settings

pytestmark = pytest.mark.anyio

PROCESSES = 8
EACH = 63
WRITES = PROCESSES * EACH
ON = {"AGENT_MEM_TOOLSETS": "agents", "AGENT_MEM_EMBEDDER": "none"}
FIRST: dict[str, Any] = {"revision": None, "state": {"sum": 0, "by": {}}}


@asynccontextmanager
async def servers(env: dict[str, str], folder: Path) -> AsyncGenerator[list[Wire]]:
    """Start real servers on one file."""
    async with AsyncExitStack() as opened:
        started = [
            await opened.enter_async_context(wired(env | ON, folder)) for _ in range(PROCESSES)
        ]
        for wire in started:
            await wire.hello()
            await wire.use("load_state")  # the file is opened by the first call
        yield started


def one_more(state: dict[str, Any], writer: str) -> dict[str, Any]:
    """Add one to the sum, and to what the writer has added: neither can be done without reading."""
    by = {**state["by"], writer: state["by"].get(writer, 0) + 1}
    return {"sum": state["sum"] + 1, "by": by}


async def save(wire: Wire, seen: dict[str, Any], writer: str) -> dict[str, Any]:
    read = {} if seen["revision"] is None else {"read": seen["revision"]}
    return await wire.use("save_state", state=one_more(seen["state"], writer), agent="team", **read)


async def write(wire: Wire, number: int, refusals: Counter[int]) -> None:
    """Write as often as is due; what is refused is done again with what the refusal gave."""
    seen: dict[str, Any] = FIRST
    done, writer = 0, f"writer {number}"
    while done < EACH:
        result = await save(wire, seen, writer)
        given = result["structuredContent"]
        if result["isError"]:
            refusals[number] += 1
            assert given["current"]["revision"] > (seen["revision"] or 0)
            # The sum counts the revisions: what is given is the whole of the current one.
            assert given["current"]["state"]["sum"] == given["current"]["revision"]
            seen = given["current"]
        else:
            assert given["revision"] == (seen["revision"] or 0) + 1
            done += 1
            seen = {"revision": given["revision"], "state": one_more(seen["state"], writer)}


async def test_eight_processes_write_five_hundred_revisions_without_a_gap_or_a_lost_update(
    env: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    refusals: Counter[int] = Counter()
    async with servers(env, tmp_path) as wires:
        async with anyio.create_task_group() as tasks:
            for number, wire in enumerate(wires):
                tasks.start_soon(write, wire, number, refusals)
        last = (await wires[0].use("load_state", agent="team"))["structuredContent"]

    assert last["revision"] == last["state"]["sum"] == WRITES > 500
    assert last["state"]["by"] == {f"writer {n}": EACH for n in range(PROCESSES)}
    assert "lost" not in last
    assert refusals.total() > WRITES // 10  # else they have not met
    with closing(sqlite3.connect(settings.db)) as file:
        rows = file.execute("SELECT revision, id, parent_id FROM agent_state ORDER BY revision")
        numbers, ids, parents = zip(*rows.fetchall(), strict=True)
    assert numbers == tuple(range(1, WRITES + 1))
    assert parents == (None, *ids[:-1])
