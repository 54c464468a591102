"""How well decisions turned out: rates with their intervals, percentiles, calibration."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from statistics import NormalDist, fmean
from typing import Final, NamedTuple

Z: Final = NormalDist().inv_cdf(0.975)
"""Standard deviations on each side of the middle 95% of a normal distribution."""
BINS: Final = 10
EDGES: Final = [number / BINS for number in range(1, BINS)]

Forecast = tuple[float, bool]
"""How sure an agent said it was, and whether it was right."""


class Interval(NamedTuple):
    low: float
    high: float


class Bin(NamedTuple):
    """The forecasts between two confidences: what was said on average, and how often it was so."""

    low: float
    high: float
    n: int
    said: float
    right: float


def wilson(successes: int, n: int) -> Interval:
    """Give the 95% interval of a rate (Wilson 1927): it fits small samples, and stays in [0, 1]."""
    if n == 0:
        return Interval(0.0, 1.0)
    rate, spread = successes / n, Z * Z / n
    middle = (rate + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * math.sqrt(rate * (1 - rate) / n + spread / (4 * n))
    return Interval(
        0.0 if successes == 0 else middle - half, 1.0 if successes == n else middle + half
    )


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """Give the least of sorted values that so many percent do not exceed (nearest rank)."""
    rank = -(-percent * len(ordered) // 100)  # rounded up
    return ordered[max(rank, 1) - 1] if ordered else None


def mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def brier(forecasts: Sequence[Forecast]) -> float | None:
    """Give the mean squared error of the confidences (Brier 1950): 0 is best, 0.25 is a coin's."""
    return mean([(said - came) ** 2 for said, came in forecasts])


def reliability(forecasts: Iterable[Forecast]) -> list[Bin]:
    """Compare what was said with what came, in tenths of confidence; empty ones are left out."""
    binned: dict[int, list[Forecast]] = {}
    for forecast in forecasts:
        binned.setdefault(bisect_right(EDGES, forecast[0]), []).append(forecast)
    return [
        Bin(
            low=number / BINS,
            high=(number + 1) / BINS,
            n=len(some),
            said=fmean([said for said, _ in some]),
            right=fmean([came for _, came in some]),
        )
        for number, some in sorted(binned.items())
    ]
