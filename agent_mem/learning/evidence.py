"""How sure a difference between two success rates is, also when many are looked at.

The confidence of a pattern is one minus its p-value by Fisher's exact test (Fisher 1935), adjusted
for all candidates that were looked at (Holm 1979). This is why:

- It is small for small samples, and exact there. One-sided, the p-value is the posterior
  probability that the difference goes the other way, under independent Beta priors that count one
  failure for the better group and one success for the other (Altham 1969, "Exact Bayesian analysis
  of a 2x2 contingency table, and Fisher's 'exact' significance test"): a Beta posterior whose prior
  is the sceptic's.
- It keeps its word whatever depends on whatever: where nothing but chance is at work, even one
  pattern with a confidence of 0.95 or more comes up in at most 5 of 100 looks. A mere posterior or
  a Wilson bound does not, once hundreds of candidates are looked at.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

NEGLIGIBLE: Final = 1e-17
"""A term of a sum that is this much smaller than the sum does not change it."""


class Tally(NamedTuple):
    """How often something was done, and how often it worked."""

    n: int
    successes: int

    @property
    def rate(self) -> float:
        return self.successes / self.n

    def without(self, some: "Tally") -> "Tally":
        return Tally(self.n - some.n, self.successes - some.successes)


def better(group: Tally, rest: Tally) -> float:
    """Give the chance that a group does at least so well if it is like the rest (Fisher 1935).

    It is the upper tail of the hypergeometric distribution.
    """
    successes = group.successes + rest.successes
    total = group.n + rest.n
    term = math.exp(
        choose(group.n, group.successes) + choose(rest.n, rest.successes) - choose(total, successes)
    )
    tail = 0.0
    for k in range(group.successes, min(group.n, successes) + 1):
        tail += term
        if term < tail * NEGLIGIBLE:
            break
        term *= (group.n - k) * (successes - k) / ((k + 1) * (rest.n - successes + k + 1))
    return min(tail, 1.0)


def worse(group: Tally, rest: Tally) -> float:
    """Give the chance that a group does at most so well if it is like the rest."""
    return better(failures(group), failures(rest))


def failures(tally: Tally) -> Tally:
    return Tally(tally.n, tally.n - tally.successes)


def choose(n: int, k: int) -> float:
    """Give the logarithm of a binomial coefficient."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def differing(group: Tally, others: Sequence[Tally]) -> float:
    """Give the p-value, on both sides, of a group that differs from each of some others.

    To claim all of several differences, the weakest one must hold (Berger 1982); if they are not
    all of one sign, nothing is claimed.
    """
    signs = {(group.rate > rest.rate) - (group.rate < rest.rate) for rest in others}
    if len(signs) > 1 or 0 in signs:
        return 1.0
    tail = better if 1 in signs else worse
    return min(2 * max(tail(group, rest) for rest in others), 1.0)


def layered(layers: Sequence[int], p_values: Sequence[float]) -> list[float]:
    """Adjust p-values that come in layers: each layer gets the same share of the error."""
    found = [1.0] * len(p_values)
    for layer in set(layers):
        mine = [index for index, other in enumerate(layers) if other == layer]
        for index, p in zip(mine, adjusted([p_values[i] for i in mine]), strict=True):
            found[index] = min(1.0, p * len(set(layers)))
    return found


def adjusted(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for being many (Holm 1979), in the order that they came in."""
    found = [1.0] * len(p_values)
    least = 0.0
    for done, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        least = max(least, min(1.0, (len(p_values) - done) * p_values[index]))
        found[index] = least
    return found
