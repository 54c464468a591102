"""Arithmetic with days: half-open spans in UTC, by calendar, by turn, by part."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

Span = tuple[datetime, datetime]

DAY: Final = timedelta(days=1)
WEEKDAYS: Final = "montuewedthufrisatsun"
_MONTHS: Final = "janfebmaraprmayjunjulaugsepoctnovdec"
_SATURDAY: Final = 5
_WORTH_PARTING: Final = 5
"""Days of the shortest span that has a beginning, a middle and an end worth telling apart."""


def day(year: int, month: int, day: int) -> Span:
    return days(datetime(year, month, day, tzinfo=UTC))


def days(start: datetime, days: int = 1) -> Span:
    return start, start + DAY * days


def months(year: int, month: int, months: int = 1) -> Span:
    end = year * 12 + month - 1 + months
    return datetime(year, month, 1, tzinfo=UTC), datetime(end // 12, end % 12 + 1, 1, tzinfo=UTC)


def month_number(name: str) -> int:
    return _MONTHS.index(name[:3].lower()) // 3 + 1


def weekday_number(name: str) -> int:
    return WEEKDAYS.index(name[:3].lower()) // 3


def monday(today: datetime) -> datetime:
    return today - DAY * today.weekday()


def nearest(today: datetime, span: Callable[[int], Span]) -> Span:
    """Take the span that is nearest to today: last year's, this year's or next year's."""
    around: list[Span] = []
    for years in (-1, 0, 1, 2, -2):
        with suppress(ValueError):  # the 29th of February is not in every year
            around.append(span(today.year + years))
    return min(around, key=lambda found: abs(found[0] + (found[1] - found[0]) / 2 - today))


def step(which: str | None) -> int:
    """Say where a word leads: back (-1), on (1), or nowhere."""
    back_or_on = {"last": -1, "past": -1, "previous": -1, "next": 1, "coming": 1}
    return back_or_on.get((which or "").lower(), 0)


def in_turn(which: str | None, today: datetime, span: Callable[[int], Span]) -> Span:
    """Take the last one that is over, the next one that has not begun, or the nearest."""
    years = range(today.year - 2, today.year + 3)
    match step(which):
        case -1:
            return max(found for found in map(span, years) if found[1] <= today)
        case 1:
            return min(found for found in map(span, years) if found[0] > today)
        case _:
            return nearest(today, span)


def unit(name: str, step: int, today: datetime) -> Span:
    """Take the year, quarter, month, weekend, week or day that is `step` of them from today's."""
    match name.lower():
        case "year":
            return months(today.year + step, 1, 12)
        case "quarter" | "month" as name:
            size = 3 if name == "quarter" else 1
            month = (today.year * 12 + today.month - 1) // size * size + step * size
            return months(month // 12, month % 12 + 1, size)
        case "weekend":
            return days(monday(today) + DAY * (_SATURDAY + 7 * step), 2)
        case "week":
            return days(monday(today) + DAY * 7 * step, 7)
        case _:
            return days(today + DAY * step)


def third(span: Span, part: int, of: int = 3) -> Span:
    """Take one part, counted from 0, of a span's equal parts, in whole days."""
    size = (span[1] - span[0]).days
    if size < _WORTH_PARTING:
        return span
    return span[0] + DAY * (size * part // of), span[0] + DAY * (size * (part + 1) // of)


def nth(span: Span, number: int, name: str) -> Span:
    """Take the n-th week, weekend, quarter, day or weekday of a span; -1 is the last one."""
    start, end = span
    if name == "quarter":
        return months(start.year, 3 * number - 2 if number > 0 else 10, 3)
    if name in {"week", "day"}:
        size = 7 if name == "week" else 1
        return days(end - DAY * size if number < 0 else start + DAY * size * (number - 1), size)
    first = _SATURDAY if name == "weekend" else weekday_number(name)
    size = 2 if name == "weekend" else 1
    found = until(end, first) if number < 0 else since(start, first) + DAY * 7 * (number - 1)
    return days(found, size)


def since(start: datetime, weekday: int) -> datetime:
    """Find the first such weekday from `start` on."""
    return start + DAY * ((weekday - start.weekday()) % 7)


def until(end: datetime, weekday: int) -> datetime:
    """Find the last such weekday before `end`."""
    return end - DAY * ((end.weekday() - weekday - 1) % 7 + 1)
