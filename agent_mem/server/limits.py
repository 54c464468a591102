"""How often somebody may ask: a token bucket each, in bounded memory."""

import math
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Final

MOST: Final = 10_000
"""Buckets that are kept; whoever has asked for nothing for longest begins anew."""
BURST: Final = 2.0
"""Seconds' worth of requests that may come at once."""


class Limits:
    """One bucket for each name, which fills at a steady rate.

    Args:
        rate: requests a second; 0 is no limit.
        clock: seconds that only grow.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What was left in each, and when."""

    def take(self, name: str) -> int:
        """Take one request from a bucket; returns 0, or after how many seconds to ask again."""
        if not self._rate:
            return 0
        now, full = self._clock(), max(1.0, self._rate * BURST)
        left, before = self._buckets.pop(name, (full, now))
        left = min(full, left + (now - before) * self._rate)
        taken = 1 if left >= 1 else 0
        self._buckets[name] = (left - taken, now)
        if len(self._buckets) > MOST:
            self._buckets.popitem(last=False)
        return 0 if taken else math.ceil((1 - left) / self._rate)
