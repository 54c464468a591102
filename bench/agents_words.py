"""Fill in what a script leaves open: `{one|another}`, `$name`, numbers and dates.

Dates: `$minus_3` and `$plus_3` (14 March 2025), `$weekday_3` (the day's name, three days ago).
A question says of which line: `$key_date`, `$key_minus_3`, `$key_month`,
`$key_week`, `$key_ago` (as seen from when it is asked).
"""

import random
import re
from datetime import UTC, datetime, timedelta
from string import Template

_CHOICE = re.compile(r"\{([^{}]*\|[^{}]*)\}")
_NUMBER = re.compile(r"n_(\d+)_(\d+)")
_DATE = re.compile(r"(?:(\w+?)_)?(date|month|week|ago|minus|plus|weekday)(?:_(\d+))?")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_HALF = ("January", "February", "March", "April", "May", "June")
_MONTHS = (*_HALF, "July", "August", "September", "October", "November", "December")
_SMALL = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_COUNTED_IN_WEEKS = 63


class Words(dict[str, str]):
    """The values of a scene; dates and numbers are made when they are asked for."""

    def __init__(self, chance: random.Random, values: dict[str, str]) -> None:
        super().__init__(values)
        self._chance = chance
        self.now = datetime.min.replace(tzinfo=UTC)
        self.said: dict[str, datetime] = {}

    def __missing__(self, name: str) -> str:
        if number := _NUMBER.fullmatch(name):
            return str(self._chance.randrange(int(number[1]), int(number[2]) + 1))
        date = _DATE.fullmatch(name)
        if date is None:
            raise KeyError(name)
        at = self.said[date[1]] if date[1] else self.now
        return _told(date[2], int(date[3] or 0), at, self.now)

    def fill(self, phrasings: list[str]) -> str:
        """Choose a phrasing, then its choices from the inside out, then put the values in."""
        text = self._chance.choice(phrasings)
        while found := _CHOICE.search(text):
            chosen = self._chance.choice(found[1].split("|"))
            text = text[: found.start()] + chosen + text[found.end() :]
        return Template(text).substitute(self)


def _told(form: str, days: int, at: datetime, now: datetime) -> str:
    day = at + timedelta(days if form == "plus" else -days)
    if form == "month":
        return _MONTHS[day.month - 1]
    if form == "weekday":
        return _DAYS[day.weekday()]
    if form == "week":
        return f"the week of {_date(day - timedelta(day.weekday()))}"
    if form == "ago":
        return _ago((now - day).days)
    return _date(day)


def _date(day: datetime) -> str:
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _ago(days: int) -> str:
    if days < len(_SMALL):
        return f"{_SMALL[days]} days ago"
    if days < _COUNTED_IN_WEEKS:
        return f"about {_SMALL[round(days / 7)]} weeks ago"
    return f"about {_SMALL[round(days / 30)]} months ago"
