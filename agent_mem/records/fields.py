"""The bounded types that records and tools share, so that a limit is written once."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

MAX_CONTENT = 100_000
MAX_LINE = 2_000
DEEPEST = 64
"""Levels of nested JSON: fewer than any serializer on its way gives up at."""
SURROGATE = re.compile("[\ud800-\udfff]")


def keepable(text: str) -> str:
    """Refuse what one of the databases cannot keep."""
    if "\x00" in text:
        raise ValueError("holds a NUL character, which cannot be stored: leave it out")
    if SURROGATE.search(text):
        raise ValueError("holds half of a surrogate pair, which is not text: send valid Unicode")
    return text


def storable(text: str) -> str:
    """Refuse what one of the databases cannot keep, or what says nothing."""
    if not keepable(text).strip():
        raise ValueError("is blank: say something")
    return text


def storable_json(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse JSON that one of the databases cannot keep, or that is too deep or too long."""
    if deeper(value, DEEPEST):
        raise ValueError(f"is nested more than {DEEPEST} levels deep: make it flatter")
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise ValueError("holds a number that JSON has no word for: leave it out") from None
    if len(text) > MAX_CONTENT:
        raise ValueError(f"is longer than {MAX_CONTENT} characters: store less, or in parts")
    storable(text.replace("\\\\", "").replace("\\u0000", "\x00"))
    return value


def deeper(value: object, levels: int) -> bool:
    """Look whether JSON has more levels of lists and objects, without descending into them all."""
    layer = [value]
    for _ in range(levels):
        layer = [inner for outer in layer for inner in inside(outer)]
    return any(isinstance(item, dict | list) for item in layer)


def inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast("dict[str, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()


def moment(value: object) -> object:
    """Read an ISO 8601 date or time; a date alone is its midnight in UTC."""
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError:
        raise ValueError("is not a date: write 2026-05-01 or 2026-05-01T14:30:00Z") from None


def in_utc(value: datetime) -> datetime:
    """Give every time one zone, since the databases compare what is written."""
    try:
        return value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        raise ValueError("is outside the years that can be stored: use 0002 to 9998") from None


Text = Annotated[str, AfterValidator(storable)]
Name = Annotated[Text, StringConstraints(max_length=200, strip_whitespace=True)]
Line = Annotated[Text, StringConstraints(max_length=MAX_LINE)]
Content = Annotated[Text, StringConstraints(max_length=MAX_CONTENT)]
Number = Annotated[float, Field(allow_inf_nan=False)]
"""Every number that JSON can carry to another machine."""
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Names = Annotated[list[Name], Field(max_length=50)]
Json = Annotated[dict[str, Any], AfterValidator(storable_json)]
Moment = Annotated[
    datetime, BeforeValidator(moment), AfterValidator(in_utc), WithJsonSchema({"type": "string"})
]
