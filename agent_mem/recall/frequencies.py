"""How common the words are: what BM25 has to know of all that is searched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log
from typing import Final

from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Store

K1: Final = 0.9
B: Final = 0.3
KEPT: Final = 10_000
"""Words whose counts are remembered, at most."""
STALE: Final = 0.1
"""How much the number of passages may change until the counts are asked for again."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """The words of a query among all passages."""

    frequencies: Mapping[str, int]
    """In how many passages each term of the query occurs."""
    total: int
    """How many passages there are."""
    average: float
    """Their mean number of terms."""

    def frequency(self, term: str) -> int:
        """Tell in how many passages a term occurs."""
        return self.frequencies.get(term, 0)

    def weight(self, term: str) -> float:
        """Give a term's inverse document frequency, Lucene's, which is never negative."""
        return rarity(min(self.frequency(term), self.total), self.total)

    def gain(self, term: str, count: int, size: int) -> float:
        """Give what a term adds to the BM25 of a passage (Robertson and Zaragoza 2009).

        Args:
            term: one of the query's.
            count: how often the passage has it.
            size: how many terms the passage has.
        """
        damping = K1 * (1 - B + B * size / (self.average or 1))
        return self.weight(term) * count * (K1 + 1) / (count + damping)

    def bm25(self, held: Sequence[str]) -> float:
        """Rank a passage by its terms."""
        counts = {term: held.count(term) for term in self.frequencies}
        return sum(self.gain(term, n, len(held)) for term, n in counts.items() if n)


@lru_cache(KEPT)
def rarity(df: int, total: int) -> float:
    """Tell how rare a term is; kept, since it is asked for each passage that has the term."""
    return log(1 + (total - df + 0.5) / (df + 0.5))


class Frequencies:
    """Counts of the words that were asked for, kept as long as they are about right.

    Full text counts a word by going through all that have it: milliseconds, if it is common.
    """

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._total = 0

    def corpus(self, store: Store, words: Sequence[str]) -> Transaction[Corpus]:
        """Count some words, those anew that are not known."""
        (size,) = yield store.query("passages.totals")
        total = size["passages"]
        known = self._known
        if abs(total - self._total) > STALE * self._total or len(known) > KEPT:
            known = self._known = {}  # another thread may still read the old ones
            self._total = total
        missing = [word for word in words if word not in known]
        if missing:
            rows = yield store.query("passages.frequencies", terms=missing)
            known |= {row["term"]: row["doc"] for row in rows}
        found = {word: known[word] for word in words if word in known}
        return Corpus(found, total, size["terms"] / max(total, 1))
