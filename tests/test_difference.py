"""What differs between two pieces of JSON: whoever makes the changes gets the other one."""

import copy
import json
from typing import Any

import pytest
from helpers_drawn import JSON
from hypothesis import given

from agent_mem.records.difference import differences


def patched(value: dict[str, Any], changes: list[dict[str, Any]]) -> Any:  # noqa: ANN401 - JSON
    """Make changes; what is removed from the end of a list, from behind."""
    whole: dict[str, Any] = {"": copy.deepcopy(value)}
    for change in [c for c in changes if "now" in c] + [c for c in changes if "now" not in c][::-1]:
        names = change["path"].split("/")
        *way, last = [name.replace("~1", "/").replace("~0", "~") for name in names]
        place: Any = whole
        for name in way:
            place = place[key_in(place, name)]
        key = key_in(place, last)
        if "now" not in change:
            assert as_json(place.pop(key)) == as_json(change["was"])
        elif "was" in change:
            assert as_json(place[key]) == as_json(change["was"])
            place[key] = change["now"]
        elif isinstance(key, int):
            assert key == len(place)
            place.append(change["now"])
        else:
            assert key not in place
            place[key] = change["now"]
    return whole[""]


def key_in(place: object, name: str) -> int | str:
    return int(name) if isinstance(place, list) else name


def as_json(value: object) -> str:
    """Write JSON so that the same is the same, and true is not 1."""
    return json.dumps(value, sort_keys=True)


@given(JSON, JSON)
def test_the_changes_make_the_later_of_the_earlier(
    was: dict[str, Any], now: dict[str, Any]
) -> None:
    assert as_json(patched(was, list(differences(was, now)))) == as_json(now)


@given(JSON)
def test_nothing_differs_from_itself(value: dict[str, Any]) -> None:
    assert list(differences(value, copy.deepcopy(value))) == []


PLACES: list[tuple[Any, Any, Any]] = [
    ({"a": 1}, {"a": 2}, {"path": "/a", "was": 1, "now": 2}),
    ({}, {"a": None}, {"path": "/a", "now": None}),
    ({"a": None}, {}, {"path": "/a", "was": None}),
    ({"a": 1}, {"a": True}, {"path": "/a", "was": 1, "now": True}),
    ({"a": False}, {"a": 0}, {"path": "/a", "was": False, "now": 0}),
    ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, {"path": "/a/b/1", "was": 2, "now": 3}),
    ({"a": [1]}, {"a": [1, {}]}, {"path": "/a/1", "now": {}}),
    ({"a": [1, 2]}, {"a": [1]}, {"path": "/a/1", "was": 2}),
    ({"a": {}}, {"a": []}, {"path": "/a", "was": {}, "now": []}),
    ({"a/b": {"~": 1}}, {"a/b": {"~": 2}}, {"path": "/a~1b/~0", "was": 1, "now": 2}),
]


@pytest.mark.parametrize(("was", "now", "change"), PLACES)
def test_a_change_is_told_at_its_place(
    was: dict[str, Any], now: dict[str, Any], change: dict[str, Any]
) -> None:
    assert [as_json(told) for told in differences(was, now)] == [as_json(change)]
