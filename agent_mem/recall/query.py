"""What a query asks for: its words, phrases, exclusions, filters, names, times, kind of answer."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from string import punctuation
from typing import Final, Literal

from agent_mem.recall.dates import Span, spans
from agent_mem.recall.words import STOP_WORDS, terms

Wants = Literal["when", "number", "name", "none"]

MOST_TERMS: Final = 24

_FILTER: Final = re.compile(r'(?<!\S)(topic|kind):(?:"([^"]*)"|(\S+))')
_EXCLUDED: Final = re.compile(r'(?<!\S)-(?:"([^"]*)"|([^\s-]\S*))')
_PHRASE: Final = re.compile(r'"([^"]*)"')
_SYNTAX: Final = re.compile(r'"|(?<!\S)-+|(?<=\btopic):|(?<=\bkind):')
_CAPITALISED: Final = re.compile(r"(?<![\w.])[A-Z]\w+")
_WORD: Final = re.compile(r"\w\w+")
_WHEN: Final = re.compile(
    r"\bwhen\b|\b(?:what|which)\s+(?:day|date|month|year|week|season|time)\b|\bhow\s+long\s+ago\b"
    r"|\bsince\s+when\b",
    re.IGNORECASE,
)
_HOW_MANY: Final = re.compile(
    r"\bhow\s+(?:many|much|long|old|often|far|big|large|tall|fast)\b"
    r"|\bwhat\s+(?:number|percent\w*|version|port|price|cost|age)\b",
    re.IGNORECASE,
)
_WHO: Final = re.compile(
    r"\b(?:who|whom|whose|where|which)\b|\bwhat\s+(?:is|are)\s+the\s+names?\b", re.IGNORECASE
)
_ANSWERS: Final[tuple[tuple[Wants, re.Pattern[str]], ...]] = (
    ("when", _WHEN),
    ("number", _HOW_MANY),
    ("name", _WHO),
)
_ASKING: Final = frozenset(
    terms(
        "many much long kind kinds type types thing things happen happened tell remember recall"
        " know find mention mentioned say said please"
    )
)


@dataclass(frozen=True, slots=True)
class Query:
    """A query, understood. All words in it are terms (see `words.terms`) but for the names."""

    terms: tuple[str, ...]
    """What to look for, each once, in the query's order, at most MOST_TERMS."""
    words: tuple[str, ...]
    """The same, as they stood in the query, in lower case: to be shown."""
    phrases: tuple[tuple[str, ...], ...]
    """What stood in quotation marks; these words are among the terms, too."""
    excluded: tuple[tuple[str, ...], ...]
    """Words and phrases that an answer must not have."""
    topic: str | None
    kind: str | None
    wants: Wants
    """The kind of answer: a time, a number, a name, or nothing in particular."""
    spans: tuple[Span, ...]
    """The times named, half-open, in UTC."""
    names: tuple[str, ...]
    """The capitalised words, in lower case, in the query's order: whom it may be about."""


def parse(text: str, now: datetime) -> Query:
    """Understand a query; relative times count from `now`. No text is an error.

    `"..."` asks for a phrase, `-word` and `-"..."` exclude, `topic:x` and `kind:x` filter.
    """
    filters = {name: quoted or bare for name, quoted, bare in _FILTER.findall(text)}
    text = _FILTER.sub(" ", text)
    excluded = [terms(quoted or bare) for quoted, bare in _EXCLUDED.findall(text)]
    text = _EXCLUDED.sub(" ", text)
    asked = _asked(text)
    return Query(
        terms=tuple(asked),
        words=tuple(asked.values()),
        phrases=_some(terms(phrase) for phrase in _PHRASE.findall(text)),
        excluded=_some(excluded),
        topic=filters.get("topic"),
        kind=filters.get("kind"),
        wants=_wants(text),
        spans=tuple(spans(text, now)),
        names=_names(text),
    )


def literally(text: str) -> str:
    """Take a text as it is, an error message say: no sign in it excludes, filters or quotes."""
    return _SYNTAX.sub(" ", text)


def _asked(text: str) -> dict[str, str]:
    """Find the terms to look for, each with the word that it comes from."""
    found: dict[str, str] = {}
    for word in text.split():
        made = terms(word)
        for term in made:
            found.setdefault(term, word.strip(punctuation).lower() if len(made) == 1 else term)
    kept = {term: word for term, word in found.items() if term not in _ASKING}
    return dict(islice((kept or found).items(), MOST_TERMS))


def _some(phrases: Iterable[list[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(phrase) for phrase in phrases if phrase)


def _wants(text: str) -> Wants:
    for wants, pattern in _ANSWERS:
        if pattern.search(text):
            return wants
    return "none"


def _names(text: str) -> tuple[str, ...]:
    """Take the capitalised words; where nothing is capitalised, any word may be a name."""
    found = _CAPITALISED.findall(text) or _WORD.findall(text)
    lowered = dict.fromkeys(name.lower() for name in found)
    return tuple(name for name in lowered if name not in STOP_WORDS)
