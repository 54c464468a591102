"""A success rate that was counted, and how far the true one may be from it."""

import math
from statistics import NormalDist
from typing import Final, NamedTuple

Z: Final = NormalDist().inv_cdf(0.975)
"""Standard deviations on each side of the middle 95% of a normal distribution."""


class Interval(NamedTuple):
    low: float
    high: float


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
