"""What is asked of the full-text index, as each database understands it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent_mem.recall.frequencies import K1, B, Corpus


@dataclass(frozen=True, slots=True)
class Match:
    """Passages that have one of the leading words, at least some of all words, and what else."""

    leads: Sequence[str]
    words: Sequence[str]
    least: int = 1
    phrases: Sequence[str] = ()
    excluded: Sequence[str] = ()

    def params(self, corpus: Corpus) -> Mapping[str, Any]:
        """Give the parameters of `passages.matching`, those of both databases."""
        return {
            "match": self.fts5(),
            "leads": list(self.leads),
            "words": list(self.words),
            "least": self.least,
            "phrases": list(self.phrases),
            "excluded": list(self.excluded),
            "weights": [corpus.weight(word) for word in self.words],
            "damping": K1 * (1 - B),
            "lengthy": K1 * B / (corpus.average or 1),
        }

    def fts5(self) -> str:
        """Write it as SQLite's full text reads it."""
        rest = [word for word in self.words if word not in self.leads]
        if self.least == 1:
            words = either(self.leads)
        elif self.least == len(self.words):
            words = every(self.words)
        else:
            words = f"({either(self.leads)}) AND ({either(rest)})"
        needed = " AND ".join([*map(quoted, self.phrases), f"({words})"])
        return " NOT ".join([f"({needed})", *map(quoted, self.excluded)])


def rungs(words: Sequence[str], corpus: Corpus) -> Iterator[tuple[Match, int]]:
    """Climb from all words to any, the rarest first; tell how many passages may fit each rung."""
    counted = sorted((corpus.frequency(word), word) for word in words)
    rarest = [word for _, word in counted]
    yield Match(rarest[:1], rarest, len(rarest)), counted[0][0]
    for i, (count, word) in enumerate(counted[:-1]):
        yield Match([word], rarest[i:], 2), count
    yield from ((Match([word], rarest), count) for count, word in counted)


def either(words: Iterable[str]) -> str:
    return " OR ".join(map(quoted, words))


def every(words: Iterable[str]) -> str:
    return " AND ".join(map(quoted, words))


def quoted(words: str) -> str:
    return f'"{words}"'
