"""What makes a function a tool: its schema, its arguments, its sentences, its result."""

import json
from typing import Annotated, Any

import pytest
from conftest import Call
from pydantic import Field

from agent_mem.app import App
from agent_mem.errors import InvalidInput
from agent_mem.records.fields import Json, Line, Moment, Name, Names
from agent_mem.tools import TOOLS
from agent_mem.tools.sessions import TaskItem
from agent_mem.tools.tool import Result, Tool, lean, shown

pytestmark = pytest.mark.anyio

EVERY_TOOL = pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)


class Plan(Result):
    said: str
    nothing: str | None
    empty: list[str]
    inner: dict[str, Any]


async def plan(
    _: App,
    *,
    title: Annotated[Name, Field(description="What to do")],
    steps: Names | None = None,
    details: Json | None = None,
    tasks: list[TaskItem] | None = None,
    due: Moment | None = None,
    note: Line | None = None,
    count: Annotated[int, Field(ge=1, le=9)] = 3,
) -> Plan:
    """Plan something.

    In steps.
    """
    return Plan(
        said=f"{title}: {steps} {details} {len(tasks or [])} {due} {note} {count}",
        nothing=None,
        empty=[],
        inner={"zero": 0, "no": False, "none": {}, "list": [{"a": []}, {"b": 1}]},
    )


PLAN = Tool(plan)


def test_a_tool_is_named_and_described_by_its_function() -> None:
    assert PLAN.name == "plan"
    assert PLAN.description == "Plan something.\n\nIn steps."
    assert Tool(lambda: None).description == ""  # pyright: ignore[reportArgumentType] - no tool


def test_a_schema_says_only_what_a_model_needs() -> None:
    schema = PLAN.schema

    assert schema["type"] == "object"
    assert schema["required"] == ["title"]
    assert schema["properties"] == {
        "title": {"type": "string", "description": "What to do"},
        "steps": {"type": "array", "items": {"type": "string"}},
        "details": {"type": "object"},
        "tasks": {"type": "array", "items": {"$ref": "#/$defs/TaskItem"}},
        "due": {"type": "string"},
        "note": {"type": "string"},
        "count": {"type": "integer", "default": 3, "minimum": 1, "maximum": 9},
    }
    assert schema["$defs"]["TaskItem"]["properties"]["title"] == {"type": "string"}


@EVERY_TOOL
def test_every_schema_is_lean(tool: Tool) -> None:
    text = json.dumps(tool.schema)

    for unsaid in ('"null"', '"title": "', '"default": null', '"maxLength"', '"additional'):
        assert unsaid not in text
    assert "anyOf" not in tool.schema
    assert tool.schema.keys() <= {"type", "properties", "required", "$defs"}


@EVERY_TOOL
def test_every_argument_explains_itself(tool: Tool) -> None:
    for name, argument in tool.schema["properties"].items():
        assert "description" in argument or name in {
            "agent", "category", "kind", "limit", "max_tokens", "next_steps", "open_questions",
            "tags", "topic", "until", "worked",
        }  # fmt: skip
        assert "\n" not in argument.get("description", "")
    assert tool.description[0].isupper()


def test_what_has_no_properties_stays_as_it_is() -> None:
    assert lean([{"type": "string", "title": "A"}, 3]) == [{"type": "string"}, 3]
    assert lean({"anyOf": [{"type": "string"}, {"type": "integer"}]}) == {
        "anyOf": [{"type": "string"}, {"type": "integer"}]
    }


async def test_a_result_has_nothing_that_is_empty(app: App) -> None:
    assert await PLAN(app, {"title": "tea"}) == {
        "said": "tea: None None 0 None None 3",
        "inner": {"zero": 0, "no": False, "none": {}, "list": [{"a": []}, {"b": 1}]},
    }


class Mixed(Result):
    zero: int
    no: bool
    blank: str
    theirs: dict[str, Any]
    plan: Plan
    plans: list[Plan]


def test_what_is_false_or_zero_is_not_empty_and_what_users_said_stays_whole() -> None:
    theirs: dict[str, Any] = {"stop": [], "prefix": "", "at": None}
    plan = Plan(said="x", nothing=None, empty=[], inner={})
    mixed = Mixed(zero=0, no=False, blank="", theirs=theirs, plan=plan, plans=[plan])

    assert shown(mixed) == {
        "zero": 0,
        "no": False,
        "theirs": theirs,
        "plan": {"said": "x"},
        "plans": [{"said": "x"}],
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"steps": '["one", "two"]'}, "['one', 'two'] None 0 None None 3"),
        ({"details": '{"a": [1]}'}, "None {'a': [1]} 0 None None 3"),
        ({"tasks": '[{"title": "t"}]'}, "None None 1 None None 3"),
        ({"note": '["as it is"]'}, 'None None 0 None ["as it is"] 3'),
        ({"note": "{not json"}, "None None 0 None {not json 3"),
    ],
    ids=["list", "object", "objects", "text", "no json"],
)
async def test_json_in_a_string_is_read_where_no_text_is_meant(
    app: App, given: dict[str, str], said: str
) -> None:
    assert (await PLAN(app, {"title": "tea", **given}))["said"] == f"tea: {said}"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"note": "n"}, "plan needs `title`."),
        ({"title": " "}, "`title` is blank: say something."),
        ({"title": "t" * 201}, "`title` is longer than 200 characters."),
        ({"title": 7}, "`title`: input should be a valid string."),
        ({"title": "t", "steps": "[broken"}, "`steps`: input should be a valid list."),
        ({"title": "t", "steps": "[" * 100_000}, "`steps`: input should be a valid list."),
        ({"title": "t", "steps": ["a", None]}, "`steps.1`: input should be a valid string."),
        (
            {"title": "t", "steps": ["a"] * 51},
            "`steps`: list should have at most 50 items after validation, not 51.",
        ),
        ({"title": "t", "tasks": [{"status": "done"}]}, "plan needs `tasks.0.title`."),
        ({"title": "t", "tasks": [{"title": "a", "x": 1}]}, "plan has no `tasks.0.x`."),
        ({"title": "t", "count": 10}, "`count`: input should be less than or equal to 9."),
        (
            {"title": "t", "due": "soon"},
            "`due` is not a date: write 2026-05-01 or 2026-05-01T14:30:00Z.",
        ),
        (
            {"title": "t", "when": 1},
            "plan has no `when`; it takes title, steps, details, tasks, due, note, count.",
        ),
        (
            {"title": "t", "[" + "x" * 200: "[1]"},
            f"plan has no `[{'x' * 79}`; it takes title, steps, details, tasks, due, note, count.",
        ),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value[:24],
)
async def test_bad_arguments_are_refused_in_one_sentence(
    app: App, given: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await PLAN(app, given)

    assert str(refused.value) == sentence


async def test_space_around_a_name_is_no_part_of_it(call: Call) -> None:
    await call("remember", content="Tea is at four.", topic="  tea ")

    (hit,) = (await call("recall", query="", topic="tea"))["hits"]
    assert hit["topic"] == "tea"
