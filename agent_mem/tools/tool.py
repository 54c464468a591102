"""What makes a plain function a tool: its schema, its arguments checked, its result kept lean."""

import inspect
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import ErrorDetails, to_jsonable_python

from agent_mem.app import App
from agent_mem.config import Toolset
from agent_mem.errors import InvalidInput

UNSAID = frozenset(
    {"title", "properties", "default", "additionalProperties", "minLength", "maxLength", "maxItems"}
)


class Result(BaseModel):
    """What a tool returns; what is empty in it is not sent."""

    model_config = ConfigDict(defer_build=True)


@dataclass(frozen=True)
class Tool:
    """A function `(app, **arguments) -> Result`, and what a client may know of it beforehand."""

    function: Callable[..., Awaitable[Result]]
    reads: bool = False
    destroys: bool = False
    repeatable: bool = False
    """Calling it again with the same arguments changes nothing more."""
    toolset: Toolset = "core"
    hidden: bool = False
    """It can be called, and is not listed: it is there for a program."""

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def description(self) -> str:
        return inspect.cleandoc(self.function.__doc__ or "")

    @cached_property
    def arguments(self) -> type[BaseModel]:
        """The model of the arguments, from the signature without the app."""
        parameters = list(inspect.signature(self.function).parameters.values())[1:]
        fields: dict[str, Any] = {
            p.name: (p.annotation, ... if p.default is p.empty else p.default) for p in parameters
        }
        return create_model(self.name, __config__=ConfigDict(extra="forbid"), **fields)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments, without what a model does not need to read."""
        return lean(self.arguments.model_json_schema())

    async def __call__(self, app: App, arguments: dict[str, Any]) -> dict[str, Any]:
        """Check the arguments, call the function, and give back what is not empty.

        Raises:
            InvalidInput: an argument is missing, unknown or out of bounds.
        """
        checked = self.check(arguments)
        result = await self.function(app, **checked)
        return shown(result)

    def check(self, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            model = self.arguments.model_validate(self._unquoted(arguments))
        except ValidationError as error:
            raise InvalidInput(self._sentence(error.errors()[0])) from None
        return {name: getattr(model, name) for name in self.arguments.model_fields}

    def _unquoted(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Read lists and objects that a client sent as a string of JSON; some do."""
        found = dict(arguments)
        for name, value in arguments.items():
            if isinstance(value, str) and value[:1] in ("[", "{") and not self._is_text(name):
                try:
                    found[name] = json.loads(value)
                except (ValueError, RecursionError):
                    continue
        return found

    def _is_text(self, name: str) -> bool:
        return "string" in self.schema["properties"].get(name, {}).get("type", "")

    def _sentence(self, error: ErrorDetails) -> str:
        """Say in one sentence what is wrong with an argument, and what would be right."""
        path = ".".join(str(part) for part in error["loc"])
        match error["type"]:
            case "missing":
                return f"{self.name} needs `{path}`."
            case "extra_forbidden" if len(error["loc"]) > 1:
                return f"{self.name} has no `{path[:80]}`."
            case "extra_forbidden":
                known = ", ".join(self.schema["properties"])
                return f"{self.name} has no `{path[:80]}`; it takes {known}."
            case "value_error":
                return f"`{path}` {error['msg'].removeprefix('Value error, ')}."
            case "too_long" if isinstance(error["input"], str):
                most = error.get("ctx", {})["max_length"]
                return f"`{path}` is longer than {most} characters."
            case _:
                return f"`{path}`: {error['msg'][:1].lower()}{error['msg'][1:]}."


def lean(schema: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
    """Strip what says nothing to a model: titles, nulls, and lengths, which none can count."""
    if isinstance(schema, list):
        return [lean(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    kept = cast("dict[str, Any]", schema)
    names = kept.get("properties")
    found = {k: lean(v) for k, v in kept.items() if k not in UNSAID}
    if kept.get("default") is not None:
        found["default"] = kept["default"]
    if names is not None:
        found["properties"] = {name: lean(value) for name, value in names.items()}
    return without_null(found)


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Write `X or null` as `X`: an argument that is not required may simply be left out."""
    options = [item for item in schema.get("anyOf", []) if item != {"type": "null"}]
    if len(options) != 1:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**options[0], **rest}


EMPTY: tuple[object, ...] = (None, "", [], {})


def shown(value: BaseModel) -> dict[str, Any]:
    """Show a result without its empty fields; what users put into a field stays as it is."""
    fields = ((name, inner(getattr(value, name))) for name in type(value).model_fields)
    return {name: item for name, item in fields if item not in EMPTY}


def inner(value: object) -> object:
    """Show one field as JSON."""
    if isinstance(value, BaseModel):
        return shown(value)
    if isinstance(value, list):
        return [inner(item) for item in cast("list[object]", value)]
    return to_jsonable_python(value)
