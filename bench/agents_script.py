"""Read the scripts of `agents.py`: text files in which a person wrote scenes of people at work.

    id: oncall                    the conversation: id, domain, people, start, sessions, without
    ~ C state: Backup took $n_5_9  a routine line, said many times with other numbers
    == pool                       a scene, and its name
    old, new = 1 / 2 | 3 / 4      names that get values together, one row of them by chance
    A err a: It {broke|failed}.   who, kind, key (when a question needs it), and what is said
    -- 30                         the scene goes on in a later session, 30 days on or more
    ? time a b: When? || On what day?   category, keys of the evidence, phrasings

`{x|y}` is a choice. `$name` is a value: of the scene, of a speaker (`$A`), of a date (see
`agents_words.py`), or `$n_LOW_HIGH`, any number between the two.
"""

import re
from pathlib import Path
from typing import NamedTuple

KINDS = {
    "fact": "fact",
    "pref": "preference",
    "state": "system_state",
    "task": "task",
    "know": "knowledge",
    "err": "error",
    "obs": "observation",
    "refl": "reflection",
    "plan": "plan",
    "res": "result",
}
CATEGORIES = {
    "one": "one item",
    "several": "several items",
    "time": "time",
    "current": "current",
    "earlier": "earlier",
    "id": "identifier",
    "para": "paraphrase",
    "lang": "language",
}
_HEAD = re.compile(r"(id|domain|people|start|sessions|without): (.+)")
_ROUTINE = re.compile(r"~ ([A-D]) (\w+): (.+)")
_SCENE = re.compile(r"== (\w+)")
_VALUES = re.compile(r"([a-z]\w*(?:, [a-z]\w*)*) = (.+)")
_LINE = re.compile(r"([A-D]) (\w+)(?: (\w+))?: (.+)")
_PART = re.compile(r"--(?: (\d+))?")
_ASK = re.compile(r"\? (\w+)((?: \w+)+): (.+)")


class Line(NamedTuple):
    speaker: str
    kind: str
    key: str
    phrasings: list[str]


class Ask(NamedTuple):
    category: str
    evidence: list[str]
    phrasings: list[str]


class Part(NamedTuple):
    after: int
    lines: list[Line]


class Values(NamedTuple):
    names: list[str]
    rows: list[list[str]]


class Scene(NamedTuple):
    name: str
    values: list[Values]
    parts: list[Part]
    asks: list[Ask]


class Script(NamedTuple):
    head: dict[str, str]
    routine: list[Line]
    scenes: list[Scene]


def read(path: Path) -> Script:
    """Read a script; a line that is none of the above is a mistake, told with its number."""
    script = Script({}, [], [])
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line and not _take(script, line):
            raise ValueError(f"{path.name}:{number}: {line}")
    return script


def _take(script: Script, line: str) -> bool:
    if found := _HEAD.fullmatch(line):
        script.head[found[1]] = found[2]
    elif found := _ROUTINE.fullmatch(line):
        script.routine.append(Line(found[1], KINDS[found[2]], "", _phrasings(found[3])))
    elif found := _SCENE.fullmatch(line):
        script.scenes.append(Scene(found[1], [], [Part(0, [])], []))
    else:
        return _take_of_scene(script.scenes[-1], line)
    return True


def _take_of_scene(scene: Scene, line: str) -> bool:
    if found := _ASK.fullmatch(line):
        ask = Ask(CATEGORIES[found[1]], found[2].split(), _phrasings(found[3]))
        scene.asks.append(ask)
    elif found := _PART.fullmatch(line):
        scene.parts.append(Part(int(found[1] or 1), []))
    elif found := _LINE.fullmatch(line):
        said = Line(found[1], KINDS[found[2]], found[3] or "", _phrasings(found[4]))
        scene.parts[-1].lines.append(said)
    elif found := _VALUES.fullmatch(line):
        rows = [[value.strip() for value in row.split(" / ")] for row in found[2].split(" | ")]
        scene.values.append(Values(found[1].split(", "), rows))
    else:
        return False
    return True


def _phrasings(text: str) -> list[str]:
    return [phrasing.strip() for phrasing in text.split(" || ")]
