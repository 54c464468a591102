"""What says nearly the same as something else."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final
from uuid import UUID

from agent_mem.recall.candidates import CANDIDATES
from agent_mem.recall.frequencies import Corpus
from agent_mem.recall.matching import Match
from agent_mem.recall.query import parse
from agent_mem.recall.search import Request
from agent_mem.recall.words import terms
from agent_mem.records.memory import Memory
from agent_mem.records.record import now
from agent_mem.storage.statements import Row, Transaction
from agent_mem.storage.store import Store

SIMILAR: Final = 0.6
"""The share of common words (Jaccard) from which a new memory is said to be like an older one."""
MOST_SIMILAR: Final = 5
LONGEST: Final = 8
"""How many of its longest words find what is like a memory."""
ALIKE: Final = Corpus({}, 1, 0)
"""Words that all tell as much."""
POSTINGS: Final = 1_000
"""Passages that full text may rank for it; whoever writes a memory waits."""


def resembling(store: Store, memory: Memory) -> Transaction[list[Memory]]:
    """Find memories that say nearly the same as one that is about to be written."""
    words = set(terms(memory.content))
    if not words:
        return []
    # Long words are rare (Zipf 1935), so few passages have one of them.
    longest = sorted(words, key=len)[-LONGEST:]
    match = telling((yield store.query("passages.frequencies", terms=longest)))
    if match is None:
        return []
    request = Request("", kinds=("memory",), project=memory.project)
    filters = request.filters(parse("", now()))
    asked = {**match.params(ALIKE), "limit": CANDIDATES, **filters}
    rows = yield store.query("passages.matching", **asked)
    near = {row["record_id"]: None for row in rows if within(row["terms"], words) >= SIMILAR}
    found: list[Memory] = []
    for key in list(near)[:MOST_SIMILAR]:
        other = yield from store.getting(Memory, UUID(key))
        found += [other] if other and overlap(words, set(terms(other.content))) >= SIMILAR else []
    return found


def telling(counted: Sequence[Row]) -> Match | None:
    """Ask for the rarest of some words; where all are common, for all; None if there are none."""
    rarest = sorted((row["doc"], row["term"]) for row in counted)
    words = [word for _, word in rarest]
    sums = accumulate(count for count, _ in rarest)
    few = [word for word, postings in zip(words, sums, strict=True) if postings <= POSTINGS]
    if few:
        return Match(few, few)
    return Match(words[:1], words, len(words)) if words else None


def within(some: str, others: set[str]) -> float:
    """Compare a passage's words with a longer text's: the share of them that it has, too."""
    mine = some.split()
    return sum(word in others for word in mine) / (len(mine) or 1)


def overlap(one: set[str], other: set[str]) -> float:
    """Compare two sets of words (Jaccard 1901): what they share of what they have together."""
    return len(one & other) / (len(one | other) or 1)
