"""Expressions of time in English text: which days they mean, as half-open spans in UTC."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

Span = tuple[datetime, datetime]
_Reader = Callable[[re.Match[str], datetime], Span]

_DAY: Final = timedelta(days=1)
_MONTHS: Final = "janfebmaraprmayjunjulaugsepoctnovdec"
_WEEKDAYS: Final = "montuewedthufrisatsun"
_SEASONS: Final = {"spring": 3, "summer": 6, "fall": 9, "autumn": 9, "winter": 12}
_COUNTS: Final = (
    {"a": 1, "an": 1, "one": 1, "two": 2, "couple": 2, "three": 3, "few": 3, "several": 3}
    | {"four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
)  # fmt: skip
_UNITS: Final = {"day": 1, "night": 1, "week": 7, "weekend": 7, "month": 30, "year": 365}

_DEICTIC: Final = {
    "day before yesterday": -2,
    "day after tomorrow": 2,
    "yesterday": -1,
    "last night": -1,
    "tomorrow": 1,
    "today": 0,
    "tonight": 0,
    "this morning": 0,
    "this afternoon": 0,
    "this evening": 0,
}

_NAME: Final = (
    "(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_NUMBERED: Final = r"([0-3]?\d)(?:st|nd|rd|th)?\b"
_YEAR: Final = r"((?:19|20)\d\d)"
_COUNT: Final = rf"(?:a\s+)?(\d{{1,3}}|{'|'.join(_COUNTS)})(?:\s+of)?"
_UNIT: Final = f"({'|'.join(_UNITS)})s?"
_WEEKDAY: Final = "(mon|tues|wednes|thurs|fri|satur|sun)day"
_SEASON: Final = f"({'|'.join(_SEASONS)})"
_WHICH: Final = "(last|past|previous|this|next|coming)"

_HINT: Final = re.compile(
    rf"""(?-i:\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?:[a-z]*)\b)
    | \b(?:19|20)\d\d\b
    | \b(?:mar|march|may)\ [0-3]?\d
    | \d(?:st|nd|rd|th)?\ (?:mar|march|may)\b
    | \b(?:january|february|april|june|july|august|september|october|november|december
        |{_WEEKDAY}s?|today|tonight|yesterday|tomorrow|ago|recently|lately|since|nowadays|currently
        |weekends?|spring|summer|autumn|winter
        |(?:last|past|previous|this|next|coming|every|each|few|couple(?:\ of)?|in\ an?
            |[0-9]+|one|two|three|four|five|six|seven|eight|nine|ten)
         \ (?:days?|nights?|weeks?|months?|years?|mornings?|afternoons?|evenings?|time|fall))\b
    | \b\d{{1,2}}(?::\d\d)?\s?(?:am|pm)\b""",
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)


def spans(text: str, now: datetime) -> list[Span]:
    """Find the times that a text names: as half-open [start, end) spans of whole days in UTC.

    What is relative ("yesterday", "two weeks ago", "last Friday") counts from `now`; a date
    without a year is the one nearest to `now`; "a month ago" is as wide as it is vague.
    """
    if not temporal(text):
        return []
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found: list[tuple[int, Span]] = []
    for pattern, read in _READERS:
        taken: list[tuple[int, int]] = []
        for match in pattern.finditer(text):
            taken.append(match.span())
            with suppress(ValueError, OverflowError):  # no such day: 31 June, the year 0
                found.append((match.start(), read(match, today)))
        for start, end in taken:
            text = text[:start] + " " * (end - start) + text[end:]
    return [span for _, span in sorted(found)]


def temporal(text: str) -> bool:
    """Tell whether a text says when: a date, a weekday, a relative time, how long ago."""
    return _HINT.search(text) is not None


def _days(start: datetime, days: int = 1) -> Span:
    return start, start + _DAY * days


def _day(year: int, month: int, day: int) -> Span:
    return _days(datetime(year, month, day, tzinfo=UTC))


def _months(year: int, month: int, months: int = 1) -> Span:
    end = year * 12 + month - 1 + months
    return datetime(year, month, 1, tzinfo=UTC), datetime(end // 12, end % 12 + 1, 1, tzinfo=UTC)


def _nearest(today: datetime, span: Callable[[int], Span]) -> Span:
    """Take the span that is nearest to today: last year's, this year's or next year's."""
    around: list[Span] = []
    for years in (-1, 0, 1, 2, -2):
        with suppress(ValueError):  # the 29th of February is not in every year
            around.append(span(today.year + years))
    return min(around, key=lambda found: abs(found[0] + (found[1] - found[0]) / 2 - today))


def _month_number(name: str) -> int:
    return _MONTHS.index(name[:3].lower()) // 3 + 1


def _iso_day(match: re.Match[str], _today: datetime) -> Span:
    return _day(int(match[1]), int(match[2]), int(match[3]))


def _iso_month(match: re.Match[str], _today: datetime) -> Span:
    return _months(int(match[1]), int(match[2]))


def _slashed(match: re.Match[str], _today: datetime) -> Span:
    """Month first, as in the United States, unless that is no month."""
    first, second, year = int(match[1]), int(match[2]), int(match[3])
    return _day(year, second, first) if first > 12 else _day(year, first, second)  # noqa: PLR2004


def _dated(day: str, month: str, year: str | None, today: datetime) -> Span:
    if year:
        return _day(int(year), _month_number(month), int(day))
    return _nearest(today, lambda near: _day(near, _month_number(month), int(day)))


def _day_month(match: re.Match[str], today: datetime) -> Span:
    return _dated(match[1], match[2], match[3], today)


def _month_day(match: re.Match[str], today: datetime) -> Span:
    return _dated(match[2], match[1], match[3], today)


def _month_year(match: re.Match[str], _today: datetime) -> Span:
    return _months(int(match[2]), _month_number(match[1]))


def _month(match: re.Match[str], today: datetime) -> Span:
    return _in_turn(match[1], today, lambda year: _months(year, _month_number(match[2])))


def _season(match: re.Match[str], today: datetime) -> Span:
    month = _SEASONS[match[2].lower()]
    if match[3]:
        return _months(int(match[3]), month, 3)
    return _in_turn(match[1], today, lambda year: _months(year, month, 3))


def _in_turn(which: str | None, today: datetime, span: Callable[[int], Span]) -> Span:
    """Take the last one that is over, the next one that has not begun, or the nearest."""
    years = range(today.year - 2, today.year + 3)
    match _step(which or "this"):
        case -1:
            return max(found for found in map(span, years) if found[1] <= today)
        case 1:
            return min(found for found in map(span, years) if found[0] > today)
        case _:
            return _nearest(today, span)


def _count(word: str) -> int:
    return _COUNTS.get(word.lower()) or int(word)


def _apart(match: re.Match[str], today: datetime) -> Span:
    """Go N units from today; a unit's half more on both sides, for nobody counts the days."""
    unit = _UNITS[match[2].lower()]
    days = _count(match[1]) * unit
    ago = match[3].lower() in {"ago", "back", "before", "earlier"}
    middle = today + _DAY * (-days if ago else days)
    return middle - _DAY * (unit // 2), middle + _DAY * (unit // 2 + 1)


def _period(match: re.Match[str], today: datetime) -> Span:
    days = _count(match[2]) * _UNITS[match[3].lower()]
    return _days(today if match[1].lower() == "next" else today - days * _DAY, days + 1)


def _step(which: str) -> int:
    return {"this": 0, "next": 1, "coming": 1}.get(which.lower(), -1)


def _unit(match: re.Match[str], today: datetime) -> Span:
    step = _step(match[1])
    match match[2].lower():
        case "year":
            return _months(today.year + step, 1, 12)
        case "month":
            month = today.year * 12 + today.month - 1 + step
            return _months(month // 12, month % 12 + 1)
        case "weekend":
            return _days(_monday(today) + _DAY * (5 + 7 * step), 2)
        case "week":
            return _days(_monday(today) + _DAY * 7 * step, 7)
        case _:
            return _days(today + _DAY * step)


def _monday(today: datetime) -> datetime:
    return today - _DAY * today.weekday()


def _weekday(match: re.Match[str], today: datetime) -> Span:
    """Last Friday is before today, next Friday after it, Friday alone the nearest."""
    behind = (today.weekday() - _WEEKDAYS.index(match[2][:3].lower()) // 3) % 7
    which = (match[1] or "").lower()
    if which in {"next", "coming"}:
        return _days(today + _DAY * (7 - behind))
    if which in {"last", "past", "previous"}:
        return _days(today - _DAY * (behind or 7))
    return _days(today - _DAY * (behind if behind <= 3 else behind - 7))  # noqa: PLR2004


def _deictic(match: re.Match[str], today: datetime) -> Span:
    return _days(today + _DAY * _DEICTIC.get(" ".join(match[1].lower().split()), 0))


def _year(match: re.Match[str], _today: datetime) -> Span:
    return _months(int(match[1]), 1, 12)


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b{pattern}", re.IGNORECASE | re.ASCII)


# In this order: what one has read, the next no longer sees.
_READERS: Final[tuple[tuple[re.Pattern[str], _Reader], ...]] = (
    (_compiled(_YEAR + r"-([01]\d)-([0-3]\d)(?=T\d|\b)"), _iso_day),
    (_compiled(_YEAR + r"-([01]\d)\b(?!-)"), _iso_month),
    (_compiled(rf"([0-3]?\d)/([0-3]?\d)/{_YEAR}\b"), _slashed),
    (_compiled(rf"{_NUMBERED}\s+(?:of\s+)?{_NAME}(?:,?\s+{_YEAR}\b)?"), _day_month),
    (_compiled(rf"{_NAME}\s+{_NUMBERED}(?:,?\s+{_YEAR}\b)?"), _month_day),
    (_compiled(rf"{_NAME},?\s+(?:of\s+)?{_YEAR}\b"), _month_year),
    (_compiled(rf"(?:{_WHICH}|in|since|during|of|by|until|early|late|mid)[\s-]+{_NAME}"), _month),
    (_compiled(rf"()(?-i:(?=[A-LN-Z]))({_NAME[1:]}"), _month),
    (_compiled(rf"(?:{_WHICH}|in|the|during)?\s*\b{_SEASON}(?:\s+of)?\s+{_YEAR}\b"), _season),
    (_compiled(rf"(?:{_WHICH}|in|the|during)(?:\s+the)?\s+{_SEASON}\b()"), _season),
    (_compiled(rf"{_COUNT}\s+{_UNIT}\s+(ago|back|before|earlier|from\s+now|later)\b"), _apart),
    (_compiled(rf"in\s+{_COUNT}\s+{_UNIT}\b()"), _apart),
    (_compiled(rf"(last|past|next)\s+{_COUNT}\s+{_UNIT}\b"), _period),
    (_compiled(rf"{_WHICH}\s+{_UNIT}\b"), _unit),
    (_compiled(rf"(?:{_WHICH}\s+)?{_WEEKDAY}\b"), _weekday),
    (_compiled(rf"({'|'.join(_DEICTIC)})\b".replace(" ", r"\s+")), _deictic),
    (_compiled(_YEAR + r"\b(?!\.\d|[-/])"), _year),
)
