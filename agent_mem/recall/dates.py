"""Expressions of time in text: which days they mean, as half-open spans in UTC."""

import re
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from agent_mem.recall.days import DAY, Span, days, monday, nth, third
from agent_mem.recall.expressions import FORMS, HOLIDAY, WEEKDAY
from agent_mem.recall.vocabulary import ORDINALS, SEASONS, UNITS, english, foreign

# What a word tells of a text that has it: which readers may find something there.
_KINDS: Final = {
    word: kind
    for kind, words in {
        "month": "january february march april may june july august september october november"
        " december jan feb mar apr jun jul aug sep sept oct nov dec",
        "weekday": "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu"
        " thur thurs fri sat sun",
        "unit": " ".join(f"{unit} {unit}s" for unit in UNITS),
        "night": "night today tonight yesterday tomorrow morning afternoon evening",
        "season": " ".join(SEASONS),
        "holiday": "christmas xmas boxing halloween valentine valentines fourth",
        "quarter": "q",
        "ordinal": "st nd rd th",
        "cjk": "\u6708",
        "vague": "ago recently lately since nowadays currently time am pm mornings afternoons"
        " evenings mondays tuesdays wednesdays thursdays fridays saturdays sundays",
    }.items()
    for word in words.split()
} | dict.fromkeys(map(str, range(1900, 2100)), "year")
_WORD: Final = re.compile(r"[^\W\d_]+|\d+")

_HINT: Final = re.compile(
    rf"""\b(?-i:Jan|Feb|Mar(?:ch)?|Apr|May(?!\ (?:I|we|you|be)\b)|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b
    | \b(?:19|20)\d\d(?:s?\b|\u5e74)
    | \b(?:jan|feb|mar|march|apr|may|jun|jul|aug|sept?|oct|nov|dec)\ [0-3]?\d
    | \d(?:st|nd|rd|th)?\ (?:jan|feb|mar|march|apr|may|jun|jul|aug|sept?|oct|nov|dec)\b
    | \b(?:in|since|until|before|after|during|last|next|late|early|mid|by|from)[ -](?:march|may)\b
    | \b(?:january|february|april|june|july|august|september|october|november|december
        |{WEEKDAY}s?|today|tonight|yesterday|tomorrow|ago|recently|lately|since|nowadays|currently
        |weekends?|spring|summer|autumn|winter|{HOLIDAY}|(?-i:Q)[1-4]
        |(?:last|past|previous|this|next|coming|every|each|few|couple(?:\ of)?|in\ an?|of\ the
            |[0-9]+|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)
         \ (?:days?|nights?|weeks?|fortnights?|months?|quarters?|years?|mornings?
            |afternoons?|evenings?|time|fall))\b
    | \b(?:last|past|next)\ (?:\w+\ )?(?:hours?|minutes?)\b
    | \b(?:last|next|on)\ (?-i:Mon|Tue|Wed|Thu|Fri|Sat|Sun)
    | \bon\ the\ \d{{1,2}}(?:st|nd|rd|th)\b
    | \b\d{{1,2}}(?::\d\d)?\s?(?:am|pm)\b
    | \d\u6708""",
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)

# What says which part of the time that follows is meant.
_PART: Final = re.compile(
    rf"""\b(?:
      (?P<third>(?<!too\ )(?:early|late)|mid|(?:beginning|start|middle|end)\s+of)
    | (?P<half>first|second)\s+half\s+of
    | (?P<nth>{"|".join(ORDINALS)}|[1-5](?=st|nd|rd|th))(?:st|nd|rd|th)?\s+
      (?P<unit>weekend|week|quarter|day|{WEEKDAY})\s+(?:of|in)
    | (?P<week>week)\s+of
    | (?P<side>earlier|later)
    )[\s-]+(?:in\s+|on\s+)?(?:the\s+)?""",
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)
_THIRDS: Final = {"early": 0, "beginning": 0, "start": 0, "mid": 1, "middle": 1}


class Expression(NamedTuple):
    """An expression of time in a text, and what it means."""

    start: int
    core: int
    """Where it begins without the preposition that it was known by."""
    end: int
    span: Span


def spans(text: str, now: datetime) -> list[Span]:
    """Find the times that a text names: as half-open [start, end) spans of whole days in UTC.

    What is relative ("yesterday", "two weeks ago", "last Friday") counts from `now`; a date
    without a year is the one nearest to `now`; "a month ago" is as wide as it is vague.
    """
    return [found.span for found in find(text, now)[1]]


def temporal(text: str) -> bool:
    """Tell whether a text says when: a date, a weekday, a relative time, how long ago."""
    return bool(_known(text)[1])


def find(text: str, now: datetime) -> tuple[str, list[Expression]]:
    """Find the expressions of time, in order, and the text, in English, in which they stand."""
    english, kinds = _known(text)
    if not kinds:
        return english, []
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found: list[Expression] = []
    left = english
    for gate, pattern, read in FORMS:
        if kinds.isdisjoint(gate):
            continue
        taken = list(pattern.finditer(left))
        for match in taken:
            with suppress(ValueError, OverflowError):  # no such day: 31 June, the year 0
                core = next((at for at, _ in match.regs[1:] if at >= 0), match.start())
                found.append(Expression(match.start(), core, match.end(), read(match, today)))
        left = _without(left, taken)
    return english, _narrowed(english, sorted(found), today)


def _without(text: str, taken: list[re.Match[str]]) -> str:
    """Put spaces where something was found."""
    pieces: list[str] = []
    end = 0
    for match in taken:
        pieces += [text[end : match.start()], " " * len(match[0])]
        end = match.end()
    return "".join([*pieces, text[end:]])


@lru_cache(maxsize=4)  # of a passage it is asked twice: whether it says when, and which days
def _known(text: str) -> tuple[str, frozenset[str]]:
    """Put a text into English, and tell what kinds of words of time it has, if it says when."""
    words = _WORD.findall(text.lower())
    if foreign(text, words):
        text = english(text, words)
        words = [*_WORD.findall(text.lower()), *("\u6708" if "\u6708" in text else "")]
    kinds = frozenset(_KINDS[word] for word in words if word in _KINDS)
    return text, kinds if kinds and _HINT.search(text) else frozenset()


def _narrowed(text: str, found: list[Expression], today: datetime) -> list[Expression]:
    """Take the part that is meant: the end of March, its second week, earlier this year."""
    parts = {match.end(): match for match in _PART.finditer(text)}
    for i, item in enumerate(found):
        part = parts.get(item.core)
        with suppress(ValueError, OverflowError):  # there is no fifth quarter, nor a year 10000
            if part:
                span = _part(part, item.span, today)
                start = min(item.start, part.start())
                found[i] = Expression(start, part.start(), item.end, span)
    # "Last Friday" of "the last Friday of May" was taken for a day of its own.
    starts = [*(item.start for item in found[1:]), len(text)]
    return [item for item, after in zip(found, starts, strict=False) if item.end <= after]


def _part(match: re.Match[str], span: Span, today: datetime) -> Span:
    if match["third"]:
        return third(span, _THIRDS.get(match["third"].split()[0].lower(), 2))
    if match["half"]:
        return third(span, ORDINALS[match["half"].lower()] - 1, of=2)
    if number := match["nth"]:
        return nth(span, ORDINALS.get(number.lower()) or int(number), match["unit"].lower())
    if match["week"]:
        return days(monday(span[0]), 7)
    start, end = span
    if match["side"].lower() == "earlier":
        return (start, min(end, today + DAY)) if start <= today else span
    return (max(start, today), end) if end > today else span
