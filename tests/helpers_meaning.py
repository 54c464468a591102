"""What tests of meaning share: memories that have no word of the question, and waiting."""

import sys
from collections.abc import Callable

import anyio
import pytest

from agent_mem.app import App
from agent_mem.recall.embedding import waiting
from agent_mem.recall.search import Request
from agent_mem.records.memory import Memory

BUILTIN = "all-MiniLM-L6-v2"
MEMORIES = (
    "Llamas graze in the valley.",
    "The database listens on port 6432.",
    "Ana drinks green tea at noon.",
)
QUESTION = "Which animals eat grass?"
"""It has no word of the first memory, which answers it."""


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what other tasks bring about."""
    with anyio.fail_after(30):
        while not holds():  # noqa: ASYNC110 - of what other processes do too, there is no event
            await anyio.sleep(0.01)


async def remember(app: App, *texts: str) -> None:
    await app.store.put(*(Memory(agent_name="a", content=text) for text in texts))


async def recall(app: App, query: str = QUESTION) -> list[str]:
    """Give the texts that are found, best first."""
    return [found.about.text for found in (await app.finder.search(Request(query))).hits]


async def recalled(app: App, text: str) -> None:
    """Wait until a text is the first that is found by its meaning."""
    with anyio.fail_after(30):
        while (await recall(app))[:1] != [text]:  # noqa: ASYNC110 - as above
            await anyio.sleep(0.01)


async def queued(app: App, model: str = BUILTIN) -> int:
    """Count what waits for a model."""
    return await app.store.engine.read(waiting(app.store, model))


def without_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a machine for which there is no onnxruntime."""
    monkeypatch.delitem(sys.modules, "agent_mem.recall.encoder", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
