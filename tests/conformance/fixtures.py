"""What the official conformance suite expects to find on a server, but no product has."""

import json
from typing import Any, Final

IMAGE: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAf"
    "FcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
"""One pixel."""
AUDIO: Final = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
"""One sample of silence."""

Json = dict[str, Any]


def text(said: str) -> Json:
    return {"type": "text", "text": said}


def embedded(uri: str, said: str, mime: str = "text/plain") -> Json:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": mime, "text": said}}


PICTURE: Final = {"type": "image", "data": IMAGE, "mimeType": "image/png"}

SAID: Final[dict[str, list[Json]]] = {
    "test_simple_text": [text("This is a simple text response for testing.")],
    "test_image_content": [PICTURE],
    "test_audio_content": [{"type": "audio", "data": AUDIO, "mimeType": "audio/wav"}],
    "test_embedded_resource": [
        embedded("test://embedded-resource", "This is an embedded resource content.")
    ],
    "test_multiple_content_types": [
        text("Multiple content types test:"),
        PICTURE,
        embedded(
            "test://mixed-content-resource", '{"test":"data","value":123}', "application/json"
        ),
    ],
}
"""Tools that always say the same."""

EMPTY: Final[Json] = {"type": "object", "properties": {}}
SCHEMAS: Final[dict[str, Json]] = {
    "json_schema_2020_12_tool": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            }
        },
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
    "test_sampling": {
        "type": "object",
        "properties": {"prompt": {"type": "string"}},
        "required": ["prompt"],
    },
    "test_elicitation": {
        "type": "object",
        "properties": {"message": {"type": "string"}},
        "required": ["message"],
    },
    "test_header_parameter": {
        "type": "object",
        "properties": {"region": {"type": "string", "x-mcp-header": "Region"}},
    },
}
"""The schemas of those tools that take arguments."""


def form(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def one_of(key: str, *names: str) -> Json:
    return {key: [{"const": name, "title": name.title()} for name in names]}


FORMS: Final[dict[str, Json]] = {
    "test_elicitation": form(response={"type": "string"}),
    "test_elicitation_sep1034_defaults": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "default": "John Doe"},
            "age": {"type": "integer", "default": 30},
            "score": {"type": "number", "default": 95.5},
            "status": {
                "type": "string",
                "enum": ["active", "inactive", "pending"],
                "default": "active",
            },
            "verified": {"type": "boolean", "default": True},
        },
    },
    "test_elicitation_sep1330_enums": {
        "type": "object",
        "properties": {
            "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
            "titledSingle": {"type": "string", **one_of("oneOf", "value1", "value2", "value3")},
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2"],
                "enumNames": ["Option One", "Option Two"],
            },
            "untitledMulti": {
                "type": "array",
                "items": {"type": "string", "enum": ["option1", "option2", "option3"]},
            },
            "titledMulti": {"type": "array", "items": one_of("anyOf", "value1", "value2")},
        },
    },
}
"""The forms that tools ask the user to fill in, by a request of the era that has those."""

RESOURCES: Final[dict[str, Json]] = {
    "test://static-text": {
        "mimeType": "text/plain",
        "text": "This is the content of the static text resource.",
    },
    "test://static-binary": {"mimeType": "image/png", "blob": IMAGE},
    "test://watched-resource": {"mimeType": "text/plain", "text": "Watched resource content"},
}
TEMPLATE: Final = "test://template/{id}/data"


def templated(key: str) -> Json:
    told = {"id": key, "templateTest": True, "data": f"Data for ID: {key}"}
    return {"mimeType": "application/json", "text": json.dumps(told)}


PROMPTS: Final[dict[str, tuple[str, ...]]] = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}
"""The prompts, with their arguments."""


def said_by(prompt: str, given: dict[str, str]) -> list[Json]:
    """Say what a prompt says."""
    match prompt:
        case "test_prompt_with_arguments":
            said = f"Prompt with arguments: arg1='{given['arg1']}', arg2='{given['arg2']}'"
            return [text(said)]
        case "test_prompt_with_embedded_resource":
            resource = embedded(given["resourceUri"], "Embedded resource content for testing.")
            return [resource, text("Please process the embedded resource above.")]
        case "test_prompt_with_image":
            return [PICTURE, text("Please analyze the image above.")]
        case _:
            return [text("This is a simple prompt for testing.")]


def elicit(message: str, **properties: Json) -> Json:
    params = {"message": message, "requestedSchema": form(**properties)}
    return {"method": "elicitation/create", "params": {"mode": "form", **params}}


def sample(prompt: str, most: int) -> Json:
    messages = [{"role": "user", "content": text(prompt)}]
    return {
        "method": "sampling/createMessage",
        "params": {"messages": messages, "maxTokens": most},
    }


STRING: Final = {"type": "string"}
BOOLEAN: Final = {"type": "boolean"}
NAME: Final = elicit("What is your name?", name=STRING)
CONFIRM: Final = elicit("Please confirm", ok=BOOLEAN)
ROOTS: Final[Json] = {"method": "roots/list", "params": {}}
CAPITAL: Final = sample("What is the capital of France?", 100)

ROUNDS: Final[dict[str, list[Json]]] = {
    "test_input_required_result_elicitation": [{"user_name": NAME}],
    "test_input_required_result_sampling": [{"capital_question": CAPITAL}],
    "test_input_required_result_list_roots": [{"client_roots": ROOTS}],
    "test_input_required_result_request_state": [{"confirm": CONFIRM}],
    "test_input_required_result_tampered_state": [{"confirm": CONFIRM}],
    "test_input_required_result_multiple_inputs": [
        {"user_name": NAME, "greeting": sample("Generate a greeting", 50), "client_roots": ROOTS}
    ],
    "test_input_required_result_multi_round": [
        {"step1": elicit("Step 1: What is your name?", name=STRING)},
        {"step2": elicit("Step 2: What is your favorite color?", color=STRING)},
    ],
    "test_input_required_result_capabilities": [{"name": NAME, "capital": CAPITAL}],
    "test_streaming_elicitation": [{"confirm": CONFIRM}],
    "test_input_required_result_prompt": [
        {"user_context": elicit("What context should the prompt use?", context=STRING)}
    ],
}
"""What is asked for, round by round, in the era in which a result says so."""

OTHERS: Final = (
    "test_tool_with_logging",
    "test_logging_tool",
    "test_tool_with_progress",
    "test_error_handling",
    "test_missing_capability",
    "test_trigger_tool_change",
    "test_trigger_prompt_change",
    "test_reconnection",
)
TOOLS: Final = tuple(
    dict.fromkeys((*SAID, *SCHEMAS, *FORMS, *(n for n in ROUNDS if "prompt" not in n), *OTHERS))
)
