"""Signals between agents: delivered until they are processed, and processed once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from agent_mem.app import App
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.records.fields import Json, Name, Names
from agent_mem.records.receipt import Receipt
from agent_mem.records.record import named_id, now
from agent_mem.records.signal import Signal
from agent_mem.records.work import plain
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import decode
from agent_mem.tools.scope import Agent, known_id
from agent_mem.tools.tool import Result

MOST = 1000
FIRST = 10
LONGEST = 300
"""Characters of a payload that are shown where a session begins."""


class Sent(Result):
    id: UUID
    expires: str
    repeated: bool | None
    unregistered: list[str]
    """Of those that it is for: a name may be wrong."""


async def send_signal(
    app: App,
    *,
    type: Annotated[Name, Field(description="deploy_failed, review_please, ...")],  # noqa: A002 - what a caller calls it
    payload: Annotated[Json | None, Field(description="What they need to know")] = None,
    to: Annotated[Names | None, Field(description="Agents; default: all but you")] = None,
    hours: Annotated[float, Field(gt=0, le=8760, description="How long it waits")] = 24,
    key: Annotated[Name | None, Field(description="Makes a retry harmless")] = None,
    agent: Agent = None,
) -> Sent:
    """Send a signal to other agents, on this machine or others. Each processes it once.

    read_signals with `sent` tells what became of it.
    """
    sender = agent or app.settings.agent
    targets = list(dict.fromkeys(to or []))
    signal = Signal(
        sender=sender,
        targets=targets,
        signal_type=type,
        payload=payload or {},
        expires_at=now() + timedelta(hours=hours),
    )
    if key:
        name = named_id("signal", app.store.owner, sender, key)
        signal = signal.model_copy(update={"id": name})

    def sending() -> Transaction[Sent]:
        before = yield from app.store.getting(Signal, signal.id, forgotten=True)
        if before is None:
            yield from app.store.saving(signal)
        known = {row["agent_name"] for row in (yield app.store.query("agents.listed", **ALL))}
        return Sent(
            id=signal.id,
            expires=second((before or signal).expires_at),
            repeated=True if before else None,
            unregistered=[name for name in targets if name not in known],
        )

    return await app.store.engine.write(sending())


ALL: dict[str, Any] = {"agent": None, "limit": MOST}


class SignalLine(Result):
    id: UUID
    type: str
    sender: str
    to: list[str]
    sent: str
    expires: str
    payload: dict[str, Any]
    receipts: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    unprocessed: list[str] = Field(default_factory=list)
    """Agents that it names, and that have not processed it."""


class SignalList(Result):
    signals: list[SignalLine]
    left: int | None = None
    """How many more wait."""
    under_way: int | None = None
    """How many were given out, and are neither processed nor given back."""
    note: str | None = None


async def read_signals(
    app: App,
    *,
    type: Annotated[Name | None, Field(description="Only this type")] = None,  # noqa: A002 - what a caller calls it
    limit: Annotated[int, Field(ge=1, le=50)] = 10,
    minutes: Annotated[
        float, Field(ge=0, le=1440, description="How long they are yours; 0: only look")
    ] = 10,
    sent: Annotated[
        bool, Field(description="Those that you sent, and what became of them")
    ] = False,
    agent: Agent = None,
) -> SignalList:
    """Take the signals that wait for you, in order. Process each, then call ack_signal.

    Nobody else of your name gets them meanwhile. What is not acknowledged in time comes again.
    """
    who = agent or app.settings.agent
    which = {"agent": who, "type": type, "limit": limit}
    if sent:
        return await app.store.engine.read(listing(app, which))
    if minutes:
        taking = delivering(app, which, timedelta(minutes=minutes))
        return await app.store.engine.write(taking)
    return await app.store.engine.read(looking(app, which))


def waiting(app: App, which: dict[str, Any]) -> Transaction[list[Signal]]:
    """List what waits for an agent, in the order in which it was sent."""
    rows = yield app.store.query("signals.waiting", **which, now=now())
    return [decode(Signal, row) for row in rows]


def in_brief(app: App, agent: str | None) -> Transaction[list[dict[str, Any]]]:
    """Tell what waits for an agent, the first of it; it takes that with read_signals."""
    which = {"agent": agent or app.settings.agent, "type": None, "limit": FIRST}
    return [
        {
            "id": str(signal.id),
            "type": signal.signal_type,
            "from": signal.sender,
            "sent": second(signal.created_at),
            **({"payload": short(signal.payload)} if signal.payload else {}),
        }
        for signal in (yield from waiting(app, which))
    ]


def short(payload: dict[str, Any]) -> dict[str, Any] | str:
    """Show a payload as it is, or the beginning of a long one."""
    text = plain(payload)
    return payload if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def looking(app: App, which: dict[str, Any]) -> Transaction[SignalList]:
    found = yield from waiting(app, which)
    return (yield from listed(app, which["agent"], found, given=0))


def delivering(app: App, which: dict[str, Any], lease: timedelta) -> Transaction[SignalList]:
    """Give what waits to one of an agent's name, until the lease runs out."""
    found = yield from waiting(app, which)
    for signal in found:
        receipt = Receipt.of(signal, which["agent"])
        yield from app.store.saving(receipt.model_copy(update={"lease_until": now() + lease}))
    return (yield from listed(app, which["agent"], found, given=len(found)))


def listed(app: App, agent: str, found: Sequence[Signal], *, given: int) -> Transaction[SignalList]:
    (count,) = yield app.store.query("signals.counted", agent=agent, now=now())
    under_way = count["leased"] - given
    left = count["unprocessed"] - under_way - len(found)
    return SignalList(
        signals=[line(signal) for signal in found],
        left=left or None,
        under_way=under_way or None,
        note=None if found else "No signals wait for you.",
    )


def listing(app: App, which: dict[str, Any]) -> Transaction[SignalList]:
    """List what an agent has sent, with what became of it."""
    lines: list[SignalLine] = []
    for row in (yield app.store.query("signals.sent", **which)):
        signal = decode(Signal, row)
        rows = yield app.store.query("signal_receipts.of_signal", signal_id=signal.id, limit=MOST)
        receipts = [decode(Receipt, row) for row in rows]
        processed = [receipt for receipt in receipts if receipt.processed_at]
        done = {receipt.agent_name for receipt in processed}
        one = line(signal)
        one.receipts = [told(receipt) for receipt in processed]
        one.unprocessed = [name for name in signal.targets if name not in done]
        lines.append(one)
    return SignalList(signals=lines, note=None if lines else "You sent no such signals.")


def line(signal: Signal) -> SignalLine:
    return SignalLine(
        id=signal.id,
        type=signal.signal_type,
        sender=signal.sender,
        to=signal.targets,
        sent=second(signal.created_at),
        expires=second(signal.expires_at),
        payload=signal.payload,
    )


def told(receipt: Receipt) -> dict[str, Any]:
    result = {"result": receipt.result} if receipt.result else {}
    return {"agent": receipt.agent_name, "when": second(receipt.processed_at), **result}


class Acknowledged(Result):
    signal: UUID
    agent: str
    state: str
    """processed; or repeated, if it was before."""
    when: str
    result: dict[str, Any]


async def ack_signal(
    app: App,
    *,
    signal: Annotated[Name, Field(description="Its id")],
    result: Annotated[Json | None, Field(description="What you did with it")] = None,
    agent: Agent = None,
) -> Acknowledged:
    """Say that you have processed a signal, and with what result: you do not get it again.

    `repeated` means that it was processed before; the first result stays.
    """
    who = agent or app.settings.agent
    key = known_id(signal, "signal")

    def acknowledging() -> Transaction[Acknowledged]:
        found = yield from app.store.getting(Signal, key)
        if found is None or not found.addresses(who):
            raise NotFound(f"There is no signal `{key}` for `{who}`: read_signals gives them.")
        before = yield from app.store.getting(Receipt, Receipt.key(key, who))
        receipt = before or (yield from processing(app, found, who, result or {}))
        return Acknowledged(
            signal=key,
            agent=who,
            state="repeated" if before else "processed",
            when=second(receipt.processed_at),
            result=receipt.result,
        )

    return await app.store.engine.write(acknowledging())


def processing(app: App, signal: Signal, agent: str, result: Json) -> Transaction[Receipt]:
    """Note that an agent has processed a signal.

    Raises:
        InvalidInput: the signal had expired before it was delivered.
    """
    at = now()
    if signal.expires_at and signal.expires_at <= at:
        rows = yield app.store.query("signal_receipts.of_signal", signal_id=signal.id, limit=MOST)
        if not any(decode(Receipt, row).agent_name == agent for row in rows):
            raise InvalidInput(f"The signal `{signal.id}` has expired: it counts no more.")
    changes = {"id": Receipt.key(signal.id, agent), "processed_at": at, "result": result}
    return (yield from app.store.saving(Receipt.of(signal, agent).model_copy(update=changes)))


def second(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S") if at else ""
