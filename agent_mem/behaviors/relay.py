"""Tell other agents what was found: each insight as one signal, however often this is run."""

from typing import Annotated

from pydantic import Field

from agent_mem.app import App
from agent_mem.behaviors.action import Outcome, Params, Task
from agent_mem.records.fields import Names, Share
from agent_mem.records.insight import Insight
from agent_mem.records.record import named_id
from agent_mem.records.signal import Signal
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import decode

TYPE = "insight"


class Relaying(Params):
    """Which insights are told, and whom."""

    to: Names = Field(default_factory=list)
    """Agents; without any it is all but the one that tells."""
    least: Share = 0.7
    """From this relevance on."""
    top: Annotated[int, Field(ge=1, le=200)] = 20
    """How many at most."""


async def relay(app: App, task: Task) -> Outcome:
    """Send what was not sent yet; run again, it finds nothing more to do."""
    params = Relaying.model_validate(task.params.model_dump())
    asked = {
        "least": params.least,
        "since": task.since,
        "project": params.project,
        "limit": params.top,
    }

    def relaying() -> Transaction[list[str]]:
        sent: list[str] = []
        for row in (yield app.store.query("insights.weightiest", **asked)):
            signal = telling(task, params, decode(Insight, row))
            sent += [str(signal.id)] if (yield from sending(app, signal)) else []
        return sent

    sent = await app.store.engine.write(relaying())
    return Outcome({"sent": len(sent), "signals": sent}, [])


def sending(app: App, signal: Signal) -> Transaction[bool]:
    """Send a signal whose id says what it is about, unless it was sent before."""
    if (yield from app.store.getting(Signal, signal.id, forgotten=True)):
        return False
    yield from app.store.saving(signal)
    return True


def telling(task: Task, params: Relaying, insight: Insight) -> Signal:
    """Make the signal of an insight: the same on every machine, so that it is sent once."""
    return Signal(
        id=named_id("relayed", str(task.behavior.id), str(insight.id)),
        sender=task.behavior.agent_name,
        targets=params.to,
        signal_type=TYPE,
        payload={
            "insight": str(insight.id),
            "from": insight.agent_name,
            "topic": insight.topic,
            "content": insight.content,
            "relevance": insight.relevance,
            **({"project": insight.project} if insight.project else {}),
        },
    )
