"""How well decisions turned out: means, percentiles, calibration. The database has summed up."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

TENTHS: Final = 10
UNSAID: Final = -1
"""Stands for a confidence that was not said, or an outcome that is not known."""


class Group(NamedTuple):
    """Decisions with a confidence in one tenth that turned out alike, summed up."""

    tenth: int
    came: int
    """1 worked, 0 failed."""
    n: int
    said: float
    """The sum of the confidences."""
    missed: float
    """The sum of the squares by which they missed what came."""
    rated: int
    quality: float
    timed: int

    @property
    def known(self) -> bool:
        return self.came != UNSAID

    @property
    def judged(self) -> bool:
        return self.known and self.tenth != UNSAID


class Bin(NamedTuple):
    """The forecasts between two confidences: what was said on average, and how often it was so."""

    low: float
    high: float
    n: int
    said: float
    right: float


def nearest_rank(percent: int, n: int) -> int:
    """Give the place, from 1, of the least of n values that so many percent do not exceed."""
    return max(-(-percent * n // 100), 1)  # rounded up


def mean(total: float, n: int) -> float | None:
    return total / n if n else None


def brier(groups: Iterable[Group]) -> float | None:
    """Give the mean squared error of the confidences (Brier 1950): 0 is best, 0.25 is a coin's."""
    some = [group for group in groups if group.judged]
    return mean(sum(group.missed for group in some), sum(group.n for group in some))


def reliability(groups: Iterable[Group]) -> list[Bin]:
    """Compare what was said with what came, in tenths of confidence; empty ones are left out."""
    binned: dict[int, list[Group]] = {}
    for group in groups:
        if group.judged:
            binned.setdefault(group.tenth, []).append(group)
    return [of_tenth(tenth, some) for tenth, some in sorted(binned.items())]


def of_tenth(tenth: int, groups: Sequence[Group]) -> Bin:
    n = sum(group.n for group in groups)
    return Bin(
        low=tenth / TENTHS,
        high=(tenth + 1) / TENTHS,
        n=n,
        said=sum(group.said for group in groups) / n,
        right=sum(group.n for group in groups if group.came) / n,
    )
