"""The circumstances of decisions, as things that can be the same twice."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from statistics import quantiles
from typing import Any, Final, NamedTuple, cast

DEEPEST: Final = 3
"""Levels of objects within a context that are looked into."""
KEYS: Final = 20
"""Circumstances of one type of decision that are looked at: those that are told most often."""
FEW: Final = 5
"""Up to so many different numbers stand for themselves; more are told apart by thirds."""
LONGEST: Final = 100
"""Characters of a name or a text that can be a condition; what is longer is a story."""
LARGEST: Final = 1e300
AGENT: Final = "agent"

Scalar = str | bool | float
Bounds = dict[str, float]
Circumstances = dict[str, Scalar]


class Condition(NamedTuple):
    """One circumstance: where it is, which of its values, and how that is written."""

    key: str
    name: str
    """What it is called; it stays when the thirds move."""
    test: str
    """JSON of the value, or of the bounds that a number is between."""

    @property
    def value(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.test)


def circumstances(context: Mapping[str, Any], path: str = "", level: int = 1) -> Circumstances:
    """List what a context tells in single values, by their paths (`market.price`)."""
    found: Circumstances = {}
    for name, value in context.items():
        key = f"{path}{name}"
        if len(key) > LONGEST:
            continue
        if isinstance(value, dict) and level < DEEPEST:
            found |= circumstances(cast("dict[str, Any]", value), f"{key}.", level + 1)
        elif isinstance(value, bool | int | float) or (
            isinstance(value, str) and len(value) <= LONGEST
        ):
            found[key] = value
    return found


def given(context: Mapping[str, Any], agent: str) -> dict[str, Any]:
    """Count who decides among the circumstances: what works for all is not about anybody."""
    return {**context, AGENT: agent}


def conditions(told: Iterable[Circumstances]) -> Iterator[tuple[Condition, ...]]:
    """Write the circumstances of each of some decisions as conditions that they may share."""
    listed = list(told)
    counts = Counter(key for one in listed for key in one)
    common = sorted(counts, key=lambda key: (-counts[key], key))[:KEYS]
    numbers: defaultdict[str, list[float]] = defaultdict(list)
    for one in listed:
        for key, value in one.items():
            numbers[key] += [float(value)] if is_number(value) else []
    cuts = {key: thirds(some) for key, some in numbers.items() if len(set(some)) > FEW}
    for one in listed:
        yield tuple(
            bounded(key, float(one[key]), cuts[key])
            if key in cuts and is_number(one[key])
            else Condition(key, written(one[key]), written(one[key]))
            for key in sorted(common)
            if key in one
        )


def is_number(value: Scalar) -> bool:
    """Tell whether a value can be more or less; what is too large for it stands for itself."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def written(value: Scalar) -> str:
    """Write a value, one way for each: a database may give 1 for 1.0."""
    whole = is_number(value) and float(value).is_integer()
    return json.dumps(int(value) if whole else value, ensure_ascii=False)


def thirds(numbers: Iterable[float]) -> tuple[float, float]:
    """Cut numbers into three parts of one size, at round numbers."""
    low, high = (float(f"{cut:.6g}") for cut in quantiles(numbers, n=3, method="inclusive"))
    return low, high


def bounded(key: str, value: float, cuts: tuple[float, float]) -> Condition:
    """Say in which third a number is."""
    low, high = cuts
    if value <= low:
        return Condition(key, "low", json.dumps({"up_to": low}))
    if value <= high:
        return Condition(key, "middle", json.dumps({"above": low, "up_to": high}))
    return Condition(key, "high", json.dumps({"above": high}))


def hold(wanted: Mapping[str, Any], context: Mapping[str, Any]) -> bool:
    """Tell whether all conditions of a pattern are given."""
    told = circumstances(context)
    return all(key in told and fits(test, told[key]) for key, test in wanted.items())


def fits(test: object, value: Scalar) -> bool:
    """Tell whether a value is the one wanted, or within bounds; `true` is no number."""
    if not isinstance(test, dict):
        return value == test and isinstance(value, bool) == isinstance(test, bool)
    bounds = cast("Bounds", test)
    if not is_number(value):
        return False
    number = float(value)
    return bounds.get("above", -float("inf")) < number <= bounds.get("up_to", float("inf"))


def worded(wanted: Mapping[str, Any]) -> str:
    """Say conditions in words."""
    return " and ".join(f"{key} {phrase(test)}" for key, test in wanted.items())


def phrase(test: object) -> str:
    if not isinstance(test, dict):
        return f"= {test if isinstance(test, str) else json.dumps(test)}"
    bounds = cast("Bounds", test)
    return " and ".join(f"{name.replace('_', ' ')} {cut:g}" for name, cut in bounds.items())
