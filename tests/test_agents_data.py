"""The generated conversations of the recall benchmark are what their generator makes, and sound."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parent.parent / "bench"
DATA = BENCH / "data" / "agents.json"
CONVERSATIONS: list[dict[str, Any]] = json.loads(DATA.read_text(encoding="utf-8"))["conversations"]

each_conversation = pytest.mark.parametrize(
    "conversation", CONVERSATIONS, ids=lambda conversation: conversation["id"]
)


def test_the_generator_makes_the_committed_file_byte_for_byte(tmp_path: Path) -> None:
    made = tmp_path / "agents.json"
    subprocess.run([sys.executable, str(BENCH / "agents.py"), str(made)], check=True)

    assert made.read_bytes() == DATA.read_bytes()


def test_no_id_is_given_twice() -> None:
    ids = [turn["id"] for conversation in CONVERSATIONS for turn in conversation["turns"]]

    assert len(set(ids)) == len(ids)


@each_conversation
def test_every_question_has_evidence_and_all_of_it_was_said(conversation: dict[str, Any]) -> None:
    said = {turn["id"] for turn in conversation["turns"]}

    for question in conversation["questions"]:
        evidence = set(question["evidence"])
        assert evidence, question["text"]
        assert evidence <= said, question["text"]


@each_conversation
def test_no_question_is_asked_twice(conversation: dict[str, Any]) -> None:
    asked = [question["text"] for question in conversation["questions"]]

    assert len(set(asked)) == len(asked)


@each_conversation
def test_the_words_of_an_evidence_are_said_once_only(conversation: dict[str, Any]) -> None:
    texts = [turn["text"] for turn in conversation["turns"]]
    by_id = {turn["id"]: turn["text"] for turn in conversation["turns"]}
    evidence = {key for question in conversation["questions"] for key in question["evidence"]}

    assert [by_id[key] for key in sorted(evidence) if texts.count(by_id[key]) > 1] == []


@each_conversation
def test_time_goes_forward_and_questions_come_last(conversation: dict[str, Any]) -> None:
    said = [turn["at"] for turn in conversation["turns"]]
    asked = [question["asked_at"] for question in conversation["questions"]]

    assert said == sorted(said)
    assert min(asked) > said[-1]


@each_conversation
def test_no_choice_of_a_script_is_left_open(conversation: dict[str, Any]) -> None:
    texts = [item["text"] for item in [*conversation["turns"], *conversation["questions"]]]

    assert [text for text in texts if re.search(r"\{[^{}]*\||\|\||\$[a-z]", text)] == []
