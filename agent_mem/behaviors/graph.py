"""Workflows: behaviors of one agent that depend on each other."""

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from agent_mem.errors import InvalidInput
from agent_mem.records.behavior import Behavior

MOST = 50
"""Behaviors of one workflow."""


def needed(goal: Behavior, known: Iterable[Behavior]) -> dict[str, Behavior]:
    """Collect all that a behavior depends on, and itself, by their names.

    Raises:
        InvalidInput: one of them is not there, or they are too many.
    """
    named = {behavior.name: behavior for behavior in known} | {goal.name: goal}
    found: dict[str, Behavior] = {}
    waiting = [goal.name]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        if name not in named:
            raise InvalidInput(
                f"`depends_on`: {goal.agent_name} has no behavior `{name}`; register it first."
            )
        found[name] = named[name]
        waiting += found[name].depends_on
    if len(found) > MOST:
        raise InvalidInput(f"A workflow has at most {MOST} behaviors.")
    return found


def order(goal: Behavior, known: Iterable[Behavior]) -> list[Behavior]:
    """List what has to run before a behavior, the first first.

    Raises:
        InvalidInput: one of them is not there, or they depend on each other in a circle.
    """
    found = needed(goal, known)
    steps: Mapping[str, list[str]] = {name: sorted(b.depends_on) for name, b in found.items()}
    try:
        names = list(TopologicalSorter(steps).static_order())
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise InvalidInput(f"`depends_on` goes in a circle: {circle}.") from None
    return [found[name] for name in names if name != goal.name]
