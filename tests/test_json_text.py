"""Whatever a JSON file holds, one entry of it is changed and nothing else."""

import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent_mem.cli import json_text

KEYS = st.sampled_from(["mcpServers", "agent-mem", "a", "// b", 'c"', "d,}"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text('a",/*: {\\', max_size=4)
    | st.sampled_from(["/*", "//"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
SERVERS = st.dictionaries(KEYS, VALUES, max_size=3)
FILLERS = ["", "", " ", "\n", "\t", "\n  ", '/* ", } */', '// "{\n']
ENTRY = {"command": "/x", "args": ["serve"]}


def dump(value: Any, chance: random.Random) -> str:  # noqa: ANN401 - JSON
    """Write JSON as a person might: with comments, odd spaces, and commas at the end."""

    def gap() -> str:
        return chance.choice(FILLERS)

    def listed(parts: list[str]) -> str:
        end = chance.choice(["", ","]) if parts else ""
        return gap() + f"{gap()},{gap()}".join(parts) + gap() + end + gap()

    if isinstance(value, dict):
        pairs: list[str] = [
            f"{json.dumps(k)}{gap()}:{gap()}{dump(v, chance)}"
            for k, v in value.items()  # pyright: ignore[reportUnknownVariableType] - JSON
        ]
        return "{" + listed(pairs) + "}"
    if isinstance(value, list):
        return "[" + listed([dump(each, chance) for each in value]) + "]"  # pyright: ignore[reportUnknownVariableType] - JSON
    return json.dumps(value)


@settings(max_examples=80)
@given(
    held=st.dictionaries(KEYS.filter(lambda key: key != "mcpServers"), VALUES, max_size=2),
    servers=st.none() | SERVERS,
    chance=st.randoms(use_true_random=False),
)
def test_one_entry_is_put_in_and_taken_out(
    held: dict[str, Any], servers: dict[str, Any] | None, chance: random.Random
) -> None:
    document = held if servers is None else {**held, "mcpServers": servers}
    text = dump(document, chance)
    assert json_text.parse(text, comments=True) == document

    new = json_text.put(text, "mcpServers", "agent-mem", ENTRY)
    document["mcpServers"] = {**(servers or {}), "agent-mem": ENTRY}
    assert json_text.parse(new, comments=True) == document

    left = json_text.drop(new, "mcpServers", "agent-mem")
    del document["mcpServers"]["agent-mem"]
    assert json_text.parse(left, comments=True) == document
    if "agent-mem" not in (servers or {}):
        comments = [each.count('/* ", } */') + each.count('// "{') for each in (text, new, left)]
        assert comments == comments[:1] * 3
