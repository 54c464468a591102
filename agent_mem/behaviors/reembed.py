"""Embed what waits for the models that are set."""

from typing import Final

import anyio

from agent_mem.app import App
from agent_mem.behaviors.action import Outcome, Task

SHARE: Final = 0.8
"""The part of its time that it works: the rest is for what is under way."""


async def reembed(app: App, task: Task) -> Outcome:
    """Embed as much as its time allows; run again, it goes on."""
    meaning, embedded = app.finder.meaning, 0

    def seen(done: int, _: int) -> None:
        nonlocal embedded
        embedded = done

    with anyio.move_on_after(SHARE * task.behavior.timeout_s):
        await meaning.embed(seen)
    left = sum(space.waits for space in meaning.spaces)
    return Outcome({"embedded": embedded, "left": left, "why": meaning.left}, [])
