"""Numbers: what JSON has no word for is refused where it comes in, in one sentence."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Call
from helpers_drawn import records
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from agent_mem.app import App
from agent_mem.behaviors.action import Params
from agent_mem.errors import InvalidInput
from agent_mem.records import RECORDS
from agent_mem.records.decision import Decision, Option
from agent_mem.records.record import Record
from agent_mem.storage.archive import dump, load

pytestmark = pytest.mark.anyio

ENDLESS = [math.inf, -math.inf, math.nan]


def numbers(model: type[BaseModel]) -> Iterator[tuple[type[BaseModel], str]]:
    """Name the fields that hold a number which need not be whole."""
    for name, field in model.model_fields.items():
        if field.annotation is float or "float" in str(field.annotation):
            yield model, name


FIELDS = [one for model in (*RECORDS, Option, Params) for one in numbers(model)]


def test_every_kind_of_number_is_among_them() -> None:
    names = {name for _, name in FIELDS}

    assert {"latency_ms", "duration_ms", "quality_score", "confidence", "success_rate"} < names
    assert {"score", "hours", "importance", "relevance"} < names


@pytest.mark.parametrize(("model", "name"), FIELDS, ids=lambda one: getattr(one, "__name__", one))
@pytest.mark.parametrize("number", ENDLESS, ids=str)
def test_a_number_without_an_end_is_refused(
    model: type[BaseModel], name: str, number: float
) -> None:
    with pytest.raises(ValidationError) as raised:
        model.model_validate({name: number})

    (error,) = [error for error in raised.value.errors() if error["loc"][0] == name]
    assert error["type"] == "finite_number"


@how(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(RECORDS).flatmap(records))
def test_every_record_can_be_written_as_json(record: Record) -> None:
    text = json.dumps(record.model_dump(mode="json"), allow_nan=False)

    assert type(record).model_validate_json(text) == record


@pytest.mark.parametrize("number", ENDLESS, ids=str)
@pytest.mark.parametrize(
    ("tool", "name", "given"),
    [
        ("remember", "relevance", {"content": "x"}),
        ("remember", "expires_in", {"content": "x"}),
        ("log_decision", "confidence", {"question": "?", "selected": ["x"]}),
        ("log_outcome", "latency_ms", {"decision": "x", "success": True}),
        ("log_outcome", "quality", {"decision": "x", "success": True}),
        ("check_work", "minutes", {"action": "x"}),
        ("log_work", "duration_ms", {"action": "x", "success": True}),
    ],
)
async def test_a_tool_says_so_in_one_sentence(
    call: Call, tool: str, name: str, given: dict[str, Any], number: float
) -> None:
    with pytest.raises(InvalidInput) as raised:
        await call(tool, **given, **{name: number})

    assert str(raised.value) == f"`{name}`: input should be a finite number."


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("1e999", "has a wrong 'latency_ms': input should be a finite number."),
        ("-1e999", "has a wrong 'latency_ms': input should be a finite number."),
        ("NaN", "is not JSON: this is no archive, or it is damaged or cut off."),
    ],
)
async def test_an_archive_says_so_with_its_line(
    app: App, tmp_path: Path, number: str, said: str
) -> None:
    await app.store.put(Decision(agent_name="a", question="?", selected=["x"], latency_ms=1.5))
    path = tmp_path / "archive.jsonl"
    with path.open("wb") as file:
        await dump(app.store, file)
    path.write_text(path.read_text().replace('"latency_ms":1.5', f'"latency_ms":{number}'))

    with pytest.raises(InvalidInput) as raised:
        await load(app.store, path)
    assert str(raised.value) == f"Line 2 of {path} {said}"
