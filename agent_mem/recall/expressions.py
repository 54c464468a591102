"""The forms in which a text names a time, each with the reader that knows which days it means."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from math import ceil
from typing import Final

from agent_mem.recall.days import (
    DAY,
    Span,
    day,
    days,
    in_turn,
    monday,
    month_number,
    months,
    nearest,
    step,
    unit,
    weekday_number,
)
from agent_mem.recall.vocabulary import COUNTS, DEICTIC, HOLIDAYS, SEASONS, UNITS

Reader = Callable[[re.Match[str], datetime], Span]

_NAME: Final = (
    "(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_NUMBERED: Final = r"([0-3]?\d)(?:st|nd|rd|th|\.(?=\s))?(?!\w)"
_YEAR: Final = r"((?:19|20)\d\d)"
_TO: Final = r"\s*(?:-|\u2013|\bto\b|\bthrough\b|\buntil\b|\btill\b|(?(1)and\b|-))\s*"
COUNT: Final = rf"(?:a\s+)?(\d{{1,3}}|{'|'.join(reversed(COUNTS))})(?:\s+of)?"
UNIT: Final = f"({'|'.join(UNITS)})s?"
WEEKDAY: Final = "((?:mon|tues|wednes|thurs|fri|satur|sun)day)"
_WHICH: Final = "(last|past|previous|this|next|coming)"
_SEASON: Final = f"({'|'.join(SEASONS)})"
HOLIDAY: Final = (
    r"(christmas(?:\s+(?:eve|day))?|xmas|boxing\s+day|new\s+year['\u2019]?s(?:\s+(?:eve|day))?"
    r"|(?<=the\s)new\s+year(?![\w'\u2019])|halloween|valentine['\u2019]?s(?:\s+day)?|fourth\s+of\s+july)\b"
)


def _iso_day(match: re.Match[str], _today: datetime) -> Span:
    return day(int(match[1]), int(match[2]), int(match[3]))


def _iso_month(match: re.Match[str], _today: datetime) -> Span:
    return months(int(match[1]), int(match[2]))


def _slashed(match: re.Match[str], _today: datetime) -> Span:
    """Month first, as in the United States, unless that is no month."""
    first, second, year = int(match[1]), int(match[2]), int(match[3])
    return day(year, second, first) if first > 12 else day(year, first, second)  # noqa: PLR2004 - months of a year


def _dotted(match: re.Match[str], _today: datetime) -> Span:
    return day(int(match[3]), int(match[2]), int(match[1]))


def _cjk(match: re.Match[str], today: datetime) -> Span:
    month, numbered = int(match[2]), match[3]

    def in_year(year: int) -> Span:
        return day(year, month, int(numbered)) if numbered else months(year, month)

    return in_year(int(match[1])) if match[1] else nearest(today, in_year)


def _dated(numbered: str, name: str, year: str | None, today: datetime) -> Span:
    if year:
        return day(int(year), month_number(name), int(numbered))
    return nearest(today, lambda near: day(near, month_number(name), int(numbered)))


def _day_month(match: re.Match[str], today: datetime) -> Span:
    return _dated(match[1], match[2], match[3], today)


def _month_day(match: re.Match[str], today: datetime) -> Span:
    return _dated(match[2], match[1], match[3], today)


def _from_to(first: Span, last: Span) -> Span:
    if first[0] >= last[1]:
        raise ValueError("it ends before it begins")
    return first[0], last[1]


def _days_month(match: re.Match[str], today: datetime) -> Span:
    last = _dated(match[3], match[4], match[5], today)
    return _from_to(_dated(match[2], match[4], str(last[0].year), today), last)


def _month_days(match: re.Match[str], today: datetime) -> Span:
    last = _dated(match[4], match[2], match[5], today)
    return _from_to(_dated(match[3], match[2], str(last[0].year), today), last)


def _month_month(match: re.Match[str], today: datetime) -> Span:
    """From November to March is into the next year; a year that is named is that of the end."""
    first, last = month_number(match[2]), month_number(match[3])
    size = (last - first) % 12 + 1

    def until(year: int) -> Span:
        return months(year - (first > last), first, size)

    return until(int(match[4])) if match[4] else nearest(today, until)


def _year_year(match: re.Match[str], _today: datetime) -> Span:
    return _from_to(months(int(match[2]), 1, 12), months(int(match[3]), 1, 12))


def _month_year(match: re.Match[str], _today: datetime) -> Span:
    return months(int(match[2]), month_number(match[1]))


def _month(match: re.Match[str], today: datetime) -> Span:
    return in_turn(match[1], today, lambda year: months(year, month_number(match[2])))


def _season(match: re.Match[str], today: datetime) -> Span:
    month = SEASONS[match[2].lower()]
    if match[3]:
        return months(int(match[3]), month, 3)
    return in_turn(match[1], today, lambda year: months(year, month, 3))


def _holiday(match: re.Match[str], today: datetime) -> Span:
    name = re.sub(r"['\u2019]", "", " ".join(match[2].lower().split()))
    month, first, size = HOLIDAYS[name]

    def in_year(year: int) -> Span:
        return days(datetime(year, month, first, tzinfo=UTC), size)

    return in_year(int(match[3])) if match[3] else in_turn(match[1], today, in_year)


def _quarter(match: re.Match[str], today: datetime) -> Span:
    month, year = 3 * int(match[2][1]) - 2, match[1] or match[3]
    return months(int(year), month, 3) if year else nearest(today, lambda y: months(y, month, 3))


def number_of(word: str) -> float:
    return COUNTS.get(" ".join(word.lower().split())) or int(word or 1)


def _apart(match: re.Match[str], today: datetime) -> Span:
    """Go N units from today; a unit's half more on both sides, for nobody counts the days."""
    size = UNITS[match[2].lower()]
    ahead = round(number_of(match[1]) * size)
    vague = ahead // 3 if match[1].lower() in {"few", "several"} else 0
    around = min(int(size), ahead) // 2 + vague
    behind = match[3].lower() in {"ago", "back", "before", "earlier"}
    middle = today + DAY * (-ahead if behind else ahead)
    return middle - DAY * around, middle + DAY * (around + 1)


def _period(match: re.Match[str], today: datetime) -> Span:
    ahead = ceil(number_of(match[2]) * UNITS[match[3].lower()])
    return days(today if match[1].lower() == "next" else today - ahead * DAY, ahead + 1)


def _unit(match: re.Match[str], today: datetime) -> Span:
    return unit(match[2], step(match[1]), today)


def _weekday(match: re.Match[str], today: datetime) -> Span:
    """Last Friday is before today, next Friday after it, Friday alone the nearest."""
    behind = (today.weekday() - weekday_number(match[2])) % 7
    match step(match[1]):
        case 1:
            return days(today + DAY * (7 - behind))
        case -1:
            return days(today - DAY * (behind or 7))
        case _:
            return days(today - DAY * (behind if behind <= 3 else behind - 7))  # noqa: PLR2004 - half a week


def _weekday_of_week(match: re.Match[str], today: datetime) -> Span:
    return days(monday(today) + DAY * (7 * step(match[2]) + weekday_number(match[1])))


def _weekend(match: re.Match[str], today: datetime) -> Span:
    """Take the nearest one: on Monday and Tuesday the last, unless it says what it is for."""
    return unit(match[2], 0 if match[1] or today.weekday() > 1 else -1, today)


def _day_of_month(match: re.Match[str], today: datetime) -> Span:
    """Take the nearest month's such day, of those months that have it."""
    around: list[Span] = []
    for months_on in (-1, 0, 1):
        with suppress(ValueError, OverflowError):
            month = unit("month", months_on, today)[0]
            around.append(day(month.year, month.month, int(match[1])))
    return min(around, key=lambda found: abs(found[0] - today))


def _deictic(match: re.Match[str], today: datetime) -> Span:
    return days(today + DAY * DEICTIC[" ".join(match[1].lower().split())])


def _year(match: re.Match[str], _today: datetime) -> Span:
    return months(int(match[1]), 1, 12)


def _decade(match: re.Match[str], _today: datetime) -> Span:
    return months(int(match[1]) // 10 * 10, 1, 120)


def _form(
    gate: str, pattern: str, reader: Reader
) -> tuple[frozenset[str], re.Pattern[str], Reader]:
    return frozenset(gate.split()), re.compile(rf"\b{pattern}", re.IGNORECASE | re.ASCII), reader


_ONLY_NAMED: Final = (
    # In lower case, "last may" and "this march" are months only where the clause ends.
    r"(?-i:(?!(?:may|march)\b(?!\s*(?:[?.,!;)]|$))))"
)
_AFTER: Final = r"(?:,\s*|\s+)(?:of\s+)?"
_BETWEEN: Final = r"(between\s+(?:the\s+)?)?"
_PAST: Final = r"(?:(?:in|over|within|during|for)\s+the\s+|(?:the|this)\s+(?=past))(last|past)"
_ENDS: Final = r"(?=\s*(?:[.,;:!?)]|$|(?:and|at|after|before|because|with|for|we|i)\b))"

# In this order: what one has read, the next no longer sees. The words before each are the kinds of
# words of time, one of which a text must have for the form to be looked for.
FORMS: Final = (
    _form("year", _YEAR + r"-([01]\d)-([0-3]\d)(?=T\d|\b)", _iso_day),
    _form("year", _YEAR + r"[/.]([01]?\d)[/.]([0-3]?\d)\b", _iso_day),
    _form("year", _YEAR + r"-([01]\d)\b(?!-)", _iso_month),
    _form("year", rf"([0-3]?\d)/([0-3]?\d)/{_YEAR}\b", _slashed),
    _form("year", rf"([0-3]?\d)\.\s?([01]?\d)\.\s?{_YEAR}\b", _dotted),
    _form("year", rf"(between\s+)?{_YEAR}{_TO}{_YEAR}\b(?!-)", _year_year),
    _form(
        "cjk", rf"(?:{_YEAR}\u5e74\s*)?([01]?\d)\u6708(?:\s*([0-3]?\d)[\u65e5\u53f7\u865f])?", _cjk
    ),
    _form(
        "month",
        rf"{_BETWEEN}{_NUMBERED}{_TO}{_NUMBERED}\s+(?:of\s+)?{_NAME}(?:{_AFTER}{_YEAR}\b)?",
        _days_month,
    ),
    _form(
        "month",
        rf"{_BETWEEN}{_NAME}\s+{_NUMBERED}{_TO}{_NUMBERED}(?!\s*(?:of\s+)?(?:{_NAME[1:]})(?:{_AFTER}{_YEAR}\b)?",
        _month_days,
    ),
    _form("holiday unit month", rf"(?:{_WHICH}\s+)?{HOLIDAY}(?:{_AFTER}{_YEAR}\b)?", _holiday),
    _form("month", rf"{_NUMBERED}\s+(?:of\s+)?{_NAME}(?:{_AFTER}{_YEAR}\b)?", _day_month),
    _form("month", rf"{_NAME}\s+(?:the\s+)?{_NUMBERED}(?:{_AFTER}{_YEAR}\b)?", _month_day),
    _form("month", rf"{_BETWEEN}{_NAME}{_TO}{_NAME}(?:{_AFTER}{_YEAR}\b)?", _month_month),
    _form("month", rf"{_NAME},?\s+(?:of\s+)?{_YEAR}\b", _month_year),
    _form(
        "month",
        rf"(?:{_WHICH}\s+{_ONLY_NAMED}|(?:in|since|during|of|by|until|early|late|mid)[\s-]+"
        r"|(?:before|after|till|through|from|around|for|between)\s+(?-i:(?=[A-Z])))" + _NAME,
        _month,
    ),
    _form("month", rf"()(?-i:(?=[A-LN-Z]))({_NAME[1:]}", _month),
    _form("season", rf"(?:{_WHICH}|in|the|during)?\s*\b{_SEASON}(?:\s+of)?\s+{_YEAR}\b", _season),
    _form("season", rf"(?:{_WHICH}|in|the|during)(?:\s+the)?\s+{_SEASON}\b()", _season),
    _form(
        "quarter", rf"(?:{_YEAR}[\s/-]*)?(?-i:(Q[1-4]))(?:[\s/,-]*(?:of\s+)?{_YEAR})?\b", _quarter
    ),
    _form("unit night", rf"{COUNT}\s+{UNIT}\s+(ago|back|earlier|from\s+now|later)\b", _apart),
    _form("unit night", rf"{COUNT}\s+{UNIT}\s+(before)(?=\s*(?:[.,;!?)]|$))", _apart),
    _form("unit night", rf"in\s+(?:the\s+)?{COUNT}\s+{UNIT}\b()", _apart),
    _form("unit night", rf"(last|past|next)\s+{COUNT}\s+{UNIT}\b", _period),
    _form("unit", rf"{_PAST}\s+()(hour|week|fortnight|month|quarter|year)\b", _period),
    _form("weekday", rf"{WEEKDAY}\s+(?:of\s+)?{_WHICH}\s+week\b", _weekday_of_week),
    _form("unit night", rf"{_WHICH}\s+{UNIT}\b", _unit),
    _form(
        "unit", rf"(?:beginning|start|middle|end|half|quarter|rest)\s+of\s+the\s+(){UNIT}\b", _unit
    ),
    _form(
        "unit",
        r"(?:at|over|on|(for)|before|since|until|by|after|during)\s+the\s+(weekend)\b",
        _weekend,
    ),
    _form("weekday", rf"(?:{_WHICH}\s+)?{WEEKDAY}\b", _weekday),
    _form(
        "weekday",
        rf"(?:{_WHICH}|on)\s+(?-i:(?=[MTWFS]))(mon|tues?|wed|thu(?:rs?)?|fri|sat|sun)\b",
        _weekday,
    ),
    _form("night", rf"({'|'.join(DEICTIC)})\b".replace(" ", r"\s+"), _deictic),
    _form("ordinal", rf"on\s+the\s+([0-3]?\d)(?:st|nd|rd|th){_ENDS}", _day_of_month),
    _form("year", rf"{_YEAR}s\b", _decade),
    _form("year", _YEAR + r"\b(?!\.\d|[-/])", _year),
)
