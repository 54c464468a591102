"""The times that a query asks about: before, after, since, until, between, as of a date."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from agent_mem.recall.dates import Expression, find
from agent_mem.recall.days import DAY, Span, days, since, until, weekday_number
from agent_mem.recall.expressions import COUNT, WEEKDAY, number_of
from agent_mem.recall.vocabulary import UNITS

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_END: Final = datetime.max.replace(tzinfo=UTC)
_YEAR: Final = timedelta(365)
_YEARS_BACK: Final = 5
_MOST: Final = 16
"""A text with more times in it is no question: each of them stands for itself."""

# What stands before an expression of time, and says which side of it is meant.
_RELATED: Final = re.compile(
    r"""\b(?:
      (?P<before>before|prior\s+to|preceding|earlier\s+than)
    | (?P<after>after|later\s+than)
    | (?P<since>since|starting(?:\s+(?:on|in|from))?)
    | (?P<until>until|till?|up\s+to|by|no\s+later\s+than)
    | (?P<as_of>as\s+(?:of|at)|at\s+the\s+time\s+of
               |as\s+(?:things|it|they)\s+stood(?:\s+(?:on|in|at))?)
    | (?P<more>more\s+than|over)
    | (?P<less>less\s+than|under)
    | (?P<between>between)
    )\s+(?:the\s+)?""",
    re.IGNORECASE | re.VERBOSE,
)
_ON: Final = re.compile(
    r"\s+(?:(on(?:wards?)?|(?:and|or)\s+(?:later|after))|(?:and|or)\s+(?:earlier|before))"
    r"(?=\s*(?:[?.,;!]|$))",
    re.IGNORECASE,
)
# What makes a time the name of something else: the Saturday sessions, the May release. A day that
# is numbered, and what counts from today, is none.
_NAMING: Final = re.compile(
    r"\s+(?!(?:and|what|which|who|whom|whose|how|where|when|why|did|was|were|is|are|do|does|has|have"
    r"|had|we|i|the|our|my|for|in|on|at)\b)\w",
    re.IGNORECASE,
)
_DATED: Final = re.compile(
    r"(?<![\w.])[0-3]?\d(?:st|nd|rd|th)?\b"
    r"|\b(?:last|past|previous|this|next|coming|ago|today|yesterday|tomorrow)\b",
    re.IGNORECASE | re.ASCII,
)
_CLOCK: Final = re.compile(
    r"(?:T|\s+(?:at\s+)?)[0-2]?\d:[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:\s?Z|\s?UTC|[+-]\d\d:?\d\d)?",
    re.IGNORECASE | re.ASCII,
)
_TO: Final = re.compile(
    r"\s*(?:(and)|to|through|until|till|[-\u2013\u2014])\s+(?:the\s+|on\s+)?", re.IGNORECASE
)
_IN_ONE: Final = re.compile(r"\s(?:to|through|until|till)\s", re.IGNORECASE)
# "Two weeks before", "the day after", "the last Sunday before": what a date then follows.
_OFFSET: Final = re.compile(
    rf"\b(?:last\s+|first\s+)?(?:(?:{COUNT}\s+|(?!\w+s\s))(day|week|month|year)s?"
    rf"|(weekend)|{WEEKDAY})\s+(?:(before|prior\s+to)|after|following)\s+(?:the\s+)?",
    re.IGNORECASE,
)
_YEARLY: Final = re.compile(
    r"\b(?:jan|feb|mar|apr|may|june?|july?|aug|sep|oct|nov|dec)(?:[a-z]*)\b|\d\u6708|\bq[1-4]\b"
    r"|\b(?:spring|summer|fall|autumn|winter|christmas|xmas|boxing|new\s+year|halloween|valentine)",
    re.IGNORECASE,
)
_WEEKLY: Final = re.compile(rf"\b(?:{WEEKDAY}|weekend)$|^on\s+[a-z]", re.IGNORECASE)
_FIXED: Final = re.compile(
    r"\b(?:19|20)\d\d|\b(?:last|past|previous|this|next|coming|ago|today|yesterday|tomorrow)\b",
    re.IGNORECASE,
)
_PAST: Final = re.compile(
    r"\b(?:did|was|were|had|has|have|been|happened|went|said|told|made|got)\b|\w[a-z]ed\b",
    re.IGNORECASE,
)
_FUTURE: Final = re.compile(
    r"\b(?:will|shall|going\s+to|plan(?:s|ned|ning)?|upcoming|schedul\w+|due|deadline|expected)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The times that a query names."""

    spans: tuple[Span, ...]
    """When it asks about: half-open, in UTC; open to one side from the calendar's end."""
    as_of: datetime | None
    """The last moment of the time as of which it asks, if that is over or to come."""
    rest: str
    """What else it says: without the times, and what says which side of them is meant."""


def asked(text: str, now: datetime) -> Asked:
    """Find the times that a query names, with the words that say which side of them it means.

    "Before May" is all that was before it, "after", "since", "until" and "by" likewise; "from
    March to May" and "between" are one span; "the week before" a date counts from there. A date
    without a year is in the past for a question in the past tense, and for "since".
    """
    said, (text, found) = text, find(text, now)
    if not 0 < len(found) <= _MOST:
        return Asked(tuple(item.span for item in found), None, said)
    starts = {match.end(): match.start() for match in _RELATED.finditer(text)}
    related = {match.end(): match.lastgroup for match in _RELATED.finditer(text)}
    past = _PAST.search(text) is not None and not _FUTURE.search(text)
    found = [
        _past(text, item, now) if past or related.get(item.core) == "since" else item
        for item in _counted(text, found)
    ]
    as_of = [
        _as_of(item.span, now)
        for item in found
        if related.get(item.core) == "as_of" and not _names(text, item)
    ]
    found = _joined(text, found, related)
    return Asked(
        spans=tuple(_side(text, item, related.get(item.core)) for item in found),
        as_of=next(filter(None, as_of), None),
        rest=_rest(text, found, starts),
    )


def earlier_years(text: str, spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """Give the same times in earlier years, where a text names no year: "in May" may be any May."""
    if _cycle(text) != _YEAR:
        return ()
    return tuple(
        (_years_before(start, years), _years_before(end, years))
        for start, end in spans
        if start.year > _YEARS_BACK and end < _END
        for years in range(1, _YEARS_BACK + 1)
    )


def _years_before(moment: datetime, years: int) -> datetime:
    leap = (moment.month, moment.day) == (2, 29)
    return moment.replace(year=moment.year - years, day=28 if leap else moment.day)


def _names(text: str, item: Expression) -> bool:
    """Tell whether a time is the name of what follows it."""
    dated = _DATED.search(text, item.core, item.end)
    return not dated and _NAMING.match(text, item.end) is not None


def _rest(text: str, found: list[Expression], starts: dict[int, int]) -> str:
    """Leave out the times that were found, with the words around them that belong to them."""
    for item in reversed(found):
        start = min(item.start, starts.get(item.core, item.start))
        after = _CLOCK.match(text, item.end) or _ON.match(text, item.end)
        text = f"{text[:start]} {text[after.end() if after else item.end :]}"
    return text


def _past(text: str, item: Expression, now: datetime) -> Expression:
    """Take the last such date instead of the next one, where it comes around."""
    said = text[item.start : item.end]
    cycle = _cycle(said)
    return _again(said, item, now - cycle / 2) if cycle and item.span[0] > now else item


def _cycle(said: str) -> timedelta | None:
    """Tell how long it takes until an expression of time can mean the next one."""
    if _FIXED.search(said):
        return None
    return _YEAR if _YEARLY.search(said) else timedelta(7) if _WEEKLY.search(said) else None


def _again(said: str, item: Expression, now: datetime) -> Expression:
    """Read an expression again, as if it had been said at another time."""
    found = find(said, now)[1]
    return item._replace(span=found[0].span) if found else item


def _counted(text: str, found: list[Expression]) -> list[Expression]:
    """Count what is said to be before or after a date ("the week before 3 May") from there."""
    cores = {item.core for item in found}
    offsets = {m.end(): m for m in _OFFSET.finditer(text) if m.end() in cores}
    # The "Sunday" of "the Sunday before 3 May" is no time of its own.
    within = [match.span() for match in offsets.values()]
    return [
        Expression(at.start(), at.start(), item.end, _offset(at, item.span)) if at else item
        for item in found
        for at in [offsets.get(item.core)]
        if not any(start <= item.core < end for start, end in within)
    ]


def _offset(match: re.Match[str], span: Span) -> Span:
    count, unit, weekend, weekday, before = match.groups()
    start, end = span
    if not unit:
        number = 5 if weekend else weekday_number(weekday)
        size = 2 if weekend else 1
        return days(until(start, number) if before else since(end, number), size)
    size = int(UNITS[unit.lower()])
    if not count:
        return (start - DAY * size, start) if before else (end, end + DAY * size)
    ahead = round(number_of(count) * size)
    middle = start - DAY * ahead if before else end + DAY * (ahead - 1)
    return middle - DAY * (size // 2), middle + DAY * (size // 2 + 1)


def _joined(text: str, found: list[Expression], related: dict[int, str | None]) -> list[Expression]:
    """Make one span of two dates with "to" between them, or "and" after "between"."""
    joined: list[Expression] = []
    for item in found:
        first = joined[-1] if joined else item
        to = _TO.fullmatch(text, first.end, item.core)
        if to and (not to[1] or related.get(first.core) == "between"):
            joined[-1] = _range(text, first, item)
            related.pop(first.core, None)
        else:
            joined.append(item)
    return joined


def _range(text: str, first: Expression, last: Expression) -> Expression:
    """Span two dates; the one that does not say its year has it from the other."""
    said, last_said = text[first.start : first.end], text[last.start : last.end]
    if cycle := _cycle(said):
        first = _again(said, first, last.span[0] - cycle / 2)
    elif cycle := _cycle(last_said):
        last = _again(last_said, last, first.span[0] + cycle / 2)
    start, end = min(first.span[0], last.span[0]), max(first.span[1], last.span[1])
    return Expression(first.start, first.core, last.end, (start, end))


def _side(text: str, item: Expression, related: str | None) -> Span:
    """Open a span to the side that is meant."""
    start, end = item.span
    sides = {
        "before": (_BEGINNING, start),
        "after": (end, _END),
        "since": (start, _END),
        "until": (_BEGINNING, end),
    }
    span = sides.get(_relation(text, item, related) or "", item.span)
    return span if span[0] < span[1] else item.span


def _relation(text: str, item: Expression, related: str | None) -> str | None:
    """Tell which side of an expression is meant, by what stands around it."""
    said = text[item.core : item.end].lower()
    if related == "since" and _IN_ONE.search(said):
        return None  # since March until May: both ends are named
    if related in {"more", "less"}:
        beyond = "until" if related == "more" else "since"
        return beyond if said.endswith("ago") else None
    if not related and (on := _ON.match(text, item.end)):
        return "since" if on[1] else "until"
    # Before the end of March is not before its last third.
    whole = related == "before" and text.startswith("end", item.core)
    return "until" if whole else related


def _as_of(span: Span, now: datetime) -> datetime | None:
    """Take a span's last moment; what is as of today is as of now, which needs no saying."""
    return None if span[0] <= now < span[1] else span[1] - timedelta(microseconds=1)
