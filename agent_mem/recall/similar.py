"""What says nearly the same as something else."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final
from uuid import UUID

from agent_mem.recall.candidates import CANDIDATES, either, quoted
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
POSTINGS: Final = 1_000
"""Passages that full text may rank for it; whoever writes a memory waits."""


def resembling(store: Store, memory: Memory) -> Transaction[list[Memory]]:
    """Find memories that say nearly the same as one that is about to be written."""
    words = set(terms(memory.content))
    if not words:
        return []
    # Long words are rare (Zipf 1935), so few passages have one of them.
    longest = sorted(words, key=len)[-LONGEST:]
    counted = yield store.query("passages.frequencies", terms=longest)
    request = Request("", kinds=("memory",), project=memory.project)
    filters = request.filters(parse("", now()))
    rows = yield store.query(
        "passages.matching", match=telling(counted), limit=CANDIDATES, **filters
    )
    near = {row["record_id"]: None for row in rows if within(row["terms"], words) >= SIMILAR}
    found: list[Memory] = []
    for key in list(near)[:MOST_SIMILAR]:
        other = yield from store.getting(Memory, UUID(key))
        found += [other] if other and overlap(words, set(terms(other.content))) >= SIMILAR else []
    return found


def telling(counted: Sequence[Row]) -> str:
    """Write the full-text query for the rarest of some words; where all are common, for all."""
    rarest = sorted((row["doc"], row["term"]) for row in counted)
    sums = accumulate(count for count, _ in rarest)
    few = [word for (_, word), postings in zip(rarest, sums, strict=True) if postings <= POSTINGS]
    return either(few) or " AND ".join(quoted(word) for _, word in rarest) or quoted("")


def within(some: str, others: set[str]) -> float:
    """Compare a passage's words with a longer text's: the share of them that it has, too."""
    mine = some.split()
    return sum(word in others for word in mine) / (len(mine) or 1)


def overlap(one: set[str], other: set[str]) -> float:
    """Compare two sets of words (Jaccard 1901): what they share of what they have together."""
    return len(one & other) / (len(one | other) or 1)
