"""Conversations with questions and the turns that answer them: two data sets in one shape.

`data/agents.json` is this project's own (see `agents.py`). LoCoMo (Maharana et al. 2024,
"Evaluating Very Long-Term Conversational Memory of LLM Agents", CC BY-NC 4.0) is not part of it:
whoever has the file gives its path. A turn's key tells its conversation, and so does its session,
so that all can share one store.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from math import log2
from pathlib import Path
from typing import Any, NamedTuple

AGENTS = Path(__file__).parent / "data" / "agents.json"
ADVERSARIAL = "adversarial"
"""Questions that suppose what nobody said: reported beside the others, never fitted on."""
LOCOMO_CATEGORIES = {1: "several items", 2: "time", 3: "open", 4: "one item", 5: ADVERSARIAL}
MEASURES = ("recall@5", "recall@10", "nDCG@10")
TOP = 10


class Turn(NamedTuple):
    key: str
    speaker: str
    session: str
    at: datetime
    text: str


class Question(NamedTuple):
    text: str
    evidence: frozenset[str]
    """The keys of the turns that answer it."""
    category: str
    asked_at: datetime
    """Where relative times in it count from."""


class Conversation(NamedTuple):
    name: str
    turns: list[Turn]
    questions: list[Question]

    @property
    def main(self) -> list[Question]:
        """The questions that have an answer."""
        return [question for question in self.questions if question.category != ADVERSARIAL]


class DataSet(NamedTuple):
    name: str
    conversations: list[Conversation]
    sha256: str


def data_sets(locomo: Path | None) -> list[DataSet]:
    """Read this project's own data set, and LoCoMo in front of it if its path is given."""
    own = AGENTS.read_bytes()
    told = [_agents(each) for each in json.loads(own)["conversations"]]
    found = [DataSet("agents", told, hashlib.sha256(own).hexdigest())]
    if locomo is not None:
        content = locomo.read_bytes()
        told = [_locomo(each) for each in json.loads(content)]
        found.insert(0, DataSet("LoCoMo", told, hashlib.sha256(content).hexdigest()))
    return found


def _agents(told: Mapping[str, Any]) -> Conversation:
    turns = [
        Turn(
            turn["id"],
            turn["speaker"],
            f"{told['id']}:{turn['session']}",
            datetime.fromisoformat(turn["at"]),
            turn["text"],
        )
        for turn in told["turns"]
    ]
    questions = [
        Question(
            asked["text"],
            frozenset(asked["evidence"]),
            asked["category"],
            datetime.fromisoformat(asked["asked_at"]),
        )
        for asked in told["questions"]
    ]
    return Conversation(told["id"], turns, questions)


def _locomo(told: Mapping[str, Any]) -> Conversation:
    name = told["sample_id"]
    turns = list(_locomo_turns(name, told["conversation"]))
    keys = frozenset(turn.key for turn in turns)
    # The data set does not say when its questions are asked: after all that was said.
    asked_at = max(turn.at for turn in turns)
    questions = [
        Question(asked["question"], evidence, LOCOMO_CATEGORIES[asked["category"]], asked_at)
        for asked in told["qa"]
        if (evidence := keys & _locomo_evidence(name, asked.get("evidence", [])))
    ]
    return Conversation(name, turns, questions)


def _locomo_turns(name: str, said: Mapping[str, Any]) -> Iterator[Turn]:
    """Yield each turn of each session; a picture that was shown is told by its caption."""
    for session, turns in said.items():
        if not re.fullmatch(r"session_\d+", session):
            continue
        at = datetime.strptime(f"{said[f'{session}_date_time']} +0000", "%I:%M %p on %d %B, %Y %z")
        for turn in turns:
            shown = f" [shows {turn['blip_caption']}]" if turn.get("blip_caption") else ""
            key = f"{name}:{turn['dia_id']}"
            yield Turn(key, turn["speaker"], f"{name}:{session}", at, turn["text"] + shown)


def _locomo_evidence(name: str, evidence: Iterable[str]) -> frozenset[str]:
    """Read the keys, of which an entry may have several."""
    return frozenset(f"{name}:{key}" for key in re.findall(r"D\d+:\d+", " ".join(evidence)))


def measured(found: list[str], evidence: frozenset[str]) -> tuple[float, ...]:
    """Compute the MEASURES (nDCG with binary gains) of one ranking, the best turn first."""
    five, ten = (len(evidence.intersection(found[:k])) / len(evidence) for k in (5, TOP))
    gain = sum(1 / log2(i + 2) for i, key in enumerate(found[:TOP]) if key in evidence)
    ideal = sum(1 / log2(i + 2) for i in range(min(TOP, len(evidence))))
    return five, ten, gain / ideal
