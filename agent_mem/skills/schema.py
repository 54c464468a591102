"""What an agent's configuration of a skill has to be: the skill's JSON Schema, if it has one."""

import re
from typing import Any, Final

from jsonschema import Draft202012Validator, SchemaError, ValidationError
from jsonschema.exceptions import UnknownType
from referencing import Registry
from referencing.exceptions import Unresolvable

from agent_mem.errors import InvalidInput

KEY: Final = "config_schema"
"""Where a skill's `spec` has it."""

BROKEN: Final = (RecursionError, re.error, UnknownType, TypeError, AttributeError)
"""What a schema meets with that nobody checked, since it came by sync."""


def check_schema(spec: dict[str, Any]) -> None:
    """Check the schema itself.

    Raises:
        InvalidInput: it is no JSON Schema.
    """
    schema = spec.get(KEY, {})
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise InvalidInput(f"`{KEY}` is no JSON Schema: {told(error)}.") from None
    except RecursionError:
        raise InvalidInput(f"`{KEY}` is nested too deep.") from None


def misfit(spec: dict[str, Any], config: dict[str, Any]) -> str | None:
    """Say in a few words why a configuration is not as the schema wants it; None if it is."""
    # An empty registry: a reference to elsewhere is never fetched.
    validator: Any = Draft202012Validator(spec.get(KEY, {}), registry=Registry[Any]())
    try:
        error: ValidationError | None = next(validator.iter_errors(config), None)
    except Unresolvable as missing:
        return f"the schema refers to `{missing.ref[:80]}`, which is not in it"
    except BROKEN:
        return "its schema cannot be applied"
    return told(error) if error else None


def told(error: SchemaError | ValidationError) -> str:
    where = error.json_path.removeprefix("$").removeprefix(".")
    return f"{f'`{where}`: ' if where else ''}{error.message[:300]}"
