"""What a query asks for: its words, phrases, exclusions, filters, names, times, kind of answer."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from string import punctuation
from typing import Final, Literal

from agent_mem.recall.anchors import Anchor, anchor
from agent_mem.recall.days import Span
from agent_mem.recall.times import Asked, asked, earlier_years
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
# What can be out of date; the word before it may say "old" or "previous" of much else.
_STATE: Final = (
    "address|api|approach|architecture|branch|budget|city|config|configuration|database|deadline"
    "|decision|default|design|domain|email|employer|endpoint|framework|home|host|hostname|job|key"
    "|lead|library|limit|location|manager|model|name|number|owner|password|path|plan|policy|port"
    "|preference|price|process|provider|role|rule|schema|server|setting|settings|setup|stack"
    "|strategy|team|timeout|title|token|tool|url|value|vendor|version|workflow"
)
_EARLIER: Final = re.compile(
    rf"""\b(?:
      (?:i|we|you|he|she|they|it|there|what|who)\s+(?:\w+ly\s+)?used\s+to
    | used\s+to\s+(?:be|have|live) | use\s+to\s+(?:be|live)
    | did\s+(?!we\b|you\b|they\b|i\b)(?:\w+\s+){{1,3}}used\s+to
    | in\s+the\s+past(?!\s+\w) | at\s+one\s+time | to\s+begin\s+with | in\s+the\s+beginning(?!\s+of)
    | previously | formerly | originally | initially | at\s+first | back\s+then
    | (?:old|earlier|previous|former|prior|original)\s+(?:\w+\s+)?(?:{_STATE})s?
    | history\s+of | superseded | no\s+longer | not\s+\w+\s+any\s?more | \w+n't\s+\w+\s+any\s?more
    | (?:chang|switch|migrat|mov|upgrad)\w*\s+(?:away\s+)?from
    | before\s+(?:it|that|this|they)\s+(?:was|were|got|had)\s+\w+
    | before\s+(?:the|that|this)\s+change
    | (?:what|which|who|where|how)\b(?![^?]{{0,120}}\b(?:have|has|ever)\b)
      [^?]{{1,120}}\bbefore(?=\s*(?:\?|$))
    | how\s+(?:has|have|did)\s+(?:\w+\s+){{1,5}}(?:changed?|evolved?)
    | what(?:'s|\s+has|\s+have)?\s+changed
    )\b""",
    re.IGNORECASE | re.VERBOSE,
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
    """What to look for, each once, in the query's order, at most MOST_TERMS.

    There is none where it asks for nothing but a time.
    """
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
    """The times asked about, half-open, in UTC: "before May" is open to the past (see `times`)."""
    other_spans: tuple[Span, ...]
    """The same times of earlier years, where no year is named."""
    names: tuple[str, ...]
    """The capitalised words, in lower case, in the query's order: whom it may be about."""
    as_of: datetime | None
    """The last moment of the date as of which it asks, if that is not now."""
    anchor: Anchor | None
    """The event around which it asks, where it names one instead of a date."""
    earlier: bool
    """Whether it asks what was so before, or what changed: what is superseded is wanted, too."""


def parse(text: str, now: datetime) -> Query:
    """Understand a query; relative times count from `now`. No text is an error.

    `"..."` asks for a phrase, `-word` and `-"..."` exclude, `topic:x` and `kind:x` filter.
    """
    filters = {name: quoted or bare for name, quoted, bare in _FILTER.findall(text)}
    text = _FILTER.sub(" ", text)
    excluded = [terms(quoted or bare) for quoted, bare in _EXCLUDED.findall(text)]
    text = _EXCLUDED.sub(" ", text)
    times = asked(text, now)
    wanted = {} if _only_timed(text, times) else _wanted(text)
    return Query(
        terms=tuple(wanted),
        words=tuple(wanted.values()),
        phrases=_some(terms(phrase) for phrase in _PHRASE.findall(text)),
        excluded=_some(excluded),
        topic=filters.get("topic"),
        kind=filters.get("kind"),
        wants=_wants(text),
        spans=times.spans,
        other_spans=earlier_years(text, times.spans),
        names=_names(text),
        as_of=times.as_of,
        anchor=anchor(text),
        earlier=_EARLIER.search(text) is not None,
    )


def said(text: str) -> str:
    """Take the words out of a query that are to be found by what they mean."""
    return _EXCLUDED.sub(" ", _FILTER.sub(" ", text)).replace('"', " ")


def literally(text: str) -> str:
    """Take a text as it is, an error message say: no sign in it excludes, filters or quotes."""
    return _SYNTAX.sub(" ", text)


def _only_timed(text: str, times: Asked) -> bool:
    """Look whether a text asks for nothing but a time: "what happened last week?"."""
    quoted = any(map(terms, _PHRASE.findall(text)))
    return bool(times.spans) and not quoted and _ASKING.issuperset(terms(times.rest))


def _wanted(text: str) -> dict[str, str]:
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
