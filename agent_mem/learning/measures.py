"""How well decisions turned out: means, percentiles, calibration."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Final, NamedTuple

BINS: Final = 10
EDGES: Final = [number / BINS for number in range(1, BINS)]

Forecast = tuple[float, bool]
"""How sure an agent said it was, and whether it was right."""


class Bin(NamedTuple):
    """The forecasts between two confidences: what was said on average, and how often it was so."""

    low: float
    high: float
    n: int
    said: float
    right: float


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
