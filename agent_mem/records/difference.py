"""What differs between two pieces of JSON."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, Final, cast

MISSING: Final = object()


def differences(was: object, now: object, path: str = "") -> Iterator[dict[str, Any]]:
    """Tell each place that differs, as a JSON pointer (RFC 6901), with what was and is there.

    What was added has no `was`, what was removed no `now`. A list is compared place by place.
    """
    if isinstance(was, dict) and isinstance(now, dict):
        before, after = cast("dict[str, object]", was), cast("dict[str, object]", now)
        for name in (*before, *(name for name in after if name not in before)):
            inner = f"{path}/{escaped(name)}"
            yield from differences(before.get(name, MISSING), after.get(name, MISSING), inner)
    elif isinstance(was, list) and isinstance(now, list):
        pairs = zip_longest(cast("list[object]", was), cast("list[object]", now), fillvalue=MISSING)
        for place, (one, other) in enumerate(pairs):
            yield from differences(one, other, f"{path}/{place}")
    else:
        yield from changed(path, was, now)  # pyright: ignore[reportUnknownArgumentType] - JSON


def changed(path: str, was: object, now: object) -> Iterator[dict[str, Any]]:
    """Tell a place where one at most is a list or an object; to Python, True is 1."""
    if isinstance(was, bool) != isinstance(now, bool) or was != now:
        sides = {"was": was, "now": now}
        yield {"path": path, **{k: v for k, v in sides.items() if v is not MISSING}}


def escaped(name: str) -> str:
    """Write a name as a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")
