"""What goes wrong in a run of `chaos.py`, and when: drawn from a seed, written down, read again."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal, NamedTuple

MACHINES: Final = 3
PROCESSES: Final = 3
"""Two that write, and the last one syncs."""
What = Literal["kill", "cut", "refuse", "stall", "crash"]
EVERY: Final[dict[What, float]] = {
    "kill": 0.4,
    "cut": 0.35,
    "refuse": 2.5,
    "stall": 2.5,
    "crash": 4.0,
}
"""Seconds from one to the next, on average."""
LONGEST: Final = 1.0
"""Seconds that a fault lasts, at most."""
BYTES: Final = 6_000
"""After how many bytes a connection is cut, at most: in the middle of a message."""


class Fault(NamedTuple):
    """One thing that goes wrong."""

    at: float
    """Seconds after the run began."""
    what: What
    machine: int
    """Whom it happens to; a crash is the server's."""
    n: int
    """Which process is killed, or after how many bytes a connection is cut."""
    answer: bool
    """Cut what the server says, not what it is told: then it has done what it was asked to."""
    seconds: float
    """How long it lasts."""


class Run(NamedTuple):
    """What is needed to do the same again."""

    seed: int
    seconds: float
    control: bool
    """Whether versions are given by a sequence: then rows must be missed."""
    faults: tuple[Fault, ...]


def drawn(seed: int, seconds: float, *, control: bool) -> Run:
    """Draw a run: the same seed gives the same faults."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    faults = [fault for what in EVERY for fault in of_kind(what, seconds, rng)]
    return Run(seed, seconds, control, tuple(sorted(faults)))


def of_kind(what: What, seconds: float, rng: random.Random) -> Iterable[Fault]:
    """Draw when something goes wrong, at least once."""
    times = [rng.uniform(seconds / 4, seconds * 3 / 4)]
    at = rng.expovariate(1 / EVERY[what])
    while at < seconds:
        times.append(at)
        at += rng.expovariate(1 / EVERY[what])
    for at in times:
        machine = rng.randrange(MACHINES)
        n = rng.randrange(PROCESSES) if what == "kill" else rng.randrange(BYTES)
        yield Fault(at, what, machine, n, rng.choice([False, True]), rng.uniform(0.1, LONGEST))


def write(path: Path, run: Run) -> None:
    """Write a run's faults, a line each, after a line that says which run it is."""
    head = {"seed": run.seed, "seconds": run.seconds, "control": run.control}
    lines = [head, *(fault._asdict() for fault in run.faults)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def read(path: Path) -> Run:
    """Read a run that was written down."""
    head, *lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return Run(**head, faults=tuple(Fault(**line) for line in lines))
