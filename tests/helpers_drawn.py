"""Records as hypothesis draws them: whatever the fields of a model allow."""

import types
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin
from uuid import UUID

from annotated_types import Ge, Le
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, StringConstraints
from pydantic.fields import FieldInfo

from agent_mem.records.portable import portable
from agent_mem.records.record import Record

INT32 = 2**31 - 1
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
TEXTS = TEXT.map(lambda text: text.strip() or "x")
TIMES = st.datetimes(timezones=st.just(UTC))
# PostgreSQL writes numbers of JSON out: beyond this they come back as whole numbers.
NUMBERS = st.floats(-1e15, 1e15) | st.integers(-(10**30), 10**30)
JSON = st.dictionaries(
    TEXT,
    st.recursive(
        st.none() | st.booleans() | NUMBERS | TEXT,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)
PATHS = st.from_regex(r"f[a-z0-9é-]{0,8}(/f[a-z0-9 ]{0,8}[a-z]\.md){0,2}", fullmatch=True)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    UUID: st.uuids(),
    datetime: TIMES,
    type(None): st.none(),
    dict: JSON,
}


@cache
def records(model: type[Record]) -> st.SearchStrategy[Record]:
    """Draw any record of a model, with a clock of its own and no version yet."""
    return fields(model, ver=st.none(), hlc=st.integers(1, 2**62), deleted_at=st.none())


def fields(model: Any, **known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:  # noqa: ANN401 - a model's class
    drawn = {
        name: known[name] if name in known else values(field.annotation, field.metadata)
        for name, field in model.model_fields.items()
    }
    return st.fixed_dictionaries(drawn).map(model.model_validate)


def values(annotation: object, limits: Iterable[object] = ()) -> st.SearchStrategy[Any]:
    """Draw what an annotation allows."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return values(inner[0], [*limits, *flat(inner[1:])])
    if origin in (Union, types.UnionType):
        return st.one_of([values(one) for one in inner])
    if origin is Literal:
        return st.sampled_from(inner)
    if origin is list:
        return st.lists(values(inner[0]), max_size=4)
    kind: Any = origin or annotation
    if kind is str or issubclass(kind, BaseModel):
        return patterned(list(limits)) if kind is str else fields(kind)
    return PLAIN[kind] if kind in PLAIN else numbers(kind, list(limits))


def patterned(limits: list[object]) -> st.SearchStrategy[str]:
    """Draw text, of the kind that it has to be."""
    if any(isinstance(one, AfterValidator) and one.func is portable for one in limits):
        return PATHS
    patterns = (one.pattern for one in limits if isinstance(one, StringConstraints))
    found = next((pattern for pattern in patterns if isinstance(pattern, str)), None)
    return st.from_regex(found.rstrip("$") + r"\Z", fullmatch=True) if found else TEXTS


def numbers(annotation: object, limits: list[object]) -> st.SearchStrategy[Any]:
    lowest = next((cast("Any", one.ge) for one in limits if isinstance(one, Ge)), None)
    highest = next((cast("Any", one.le) for one in limits if isinstance(one, Le)), None)
    if annotation is float:
        return st.floats(lowest, highest, allow_nan=False, allow_infinity=False)
    assert annotation is int
    return st.integers(-INT32 if lowest is None else lowest, highest or INT32)


def flat(limits: Iterable[object]) -> Iterable[object]:
    """List what limits a value; pydantic keeps some of it in a field's description."""
    for limit in limits:
        yield from limit.metadata if isinstance(limit, FieldInfo) else [limit]
