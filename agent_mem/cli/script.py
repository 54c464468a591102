"""What the demo tells one server and asks the next, as data: a tool, its calls, and a check."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from agent_mem.cli.history import History

Answer: TypeAlias = dict[str, Any]
Answers: TypeAlias = list[Answer]
Kept: TypeAlias = dict[str, Answers]
"""What each tool has answered so far."""

SESSION = "history"
SUMMARY = "Read the repository's history and remembered what matters of it."
TASK = {"title": "Review the newest commit", "status": "doing"}
QUESTION = "Where is this history kept, so that the next conversation knows it?"
DECISION: dict[str, object] = {
    "question": QUESTION,
    "options": [{"name": "agent-mem", "score": 0.9}, {"name": "nowhere", "score": 0.1}],
    "selected": ["agent-mem"],
    "rationale": "It outlives the process that wrote it.",
    "type": "storage",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One tool, called once or several times; what must be true of it, and what to show of it.

    A value of a call may be a function of what was answered before.
    """

    tool: str
    calls: Sequence[Mapping[str, object]]
    holds: Callable[[Answers, Kept], bool]
    shows: Callable[[Answers], Sequence[str]]
    """Lines; the first says what it is about."""


def told(past: History) -> list[Step]:
    """Tell the first server events, facts, a decision with its outcome, and where work stands."""
    return [
        Step(
            "log_event",
            [
                {"type": "commit", "content": str(commit), "role": commit.by, "session": SESSION}
                for commit in past.commits
            ],
            lambda answers, _: len({answer["id"] for answer in answers}) == len(past.commits),
            lambda answers: [f"{len(answers)} commits, as events of one session (median time)"],
        ),
        *(remembering(fact) for fact in past.facts().values()),
        Step(
            "log_decision",
            [DECISION],
            lambda answers, _: "earlier" not in answers[0],
            lambda _: [QUESTION, "agent-mem"],
        ),
        Step(
            "log_outcome",
            [{"decision": decided, "success": True, "quality": 0.9}],
            lambda answers, _: answers[0]["outcome"] == "worked, quality 0.9",
            lambda answers: [f"it {answers[0]['outcome']}"],
        ),
        Step(
            "save_session",
            [{"summary": SUMMARY, "tasks": [TASK], "session": SESSION}],
            lambda answers, _: answers[0]["open_tasks"] == 1,
            lambda _: [SUMMARY, f"open: {TASK['title']}"],
        ),
    ]


def known(past: History) -> list[Step]:
    """Ask the second server for all that the first was told."""
    newest = past.commits[-1]
    return [
        *(asking(question, fact, "memory") for question, fact in past.facts().items()),
        asking(" ".join(re.findall(r"\w+", newest.subject)), newest.subject, "event"),
        Step(
            "restore_session",
            [{"session": SESSION}],
            lambda answers, kept: restored(answers[0], decided(kept)),
            lambda answers: [
                answers[0]["context"]["summary"],
                f"open: {answers[0]['tasks'][0]['title']}",
            ],
        ),
        Step(
            "log_decision",
            [DECISION],
            lambda answers, kept: earlier(answers[0]).get("id") == decided(kept),
            lambda answers: [f"again: {QUESTION}", f"decided before: {judged(answers[0])}"],
        ),
        Step(
            "run_behavior",
            [{"name": "analyze"}],
            lambda answers, _: answers[0]["output"].get("events") == len(past.commits),
            lambda answers: findings(answers[0]),
        ),
    ]


def remembering(fact: str) -> Step:
    return Step(
        "remember",
        [{"content": fact, "topic": "history", "session": SESSION}],
        lambda answers, _: answers[0]["status"] == "new",
        lambda _: [fact],
    )


def asking(question: str, wanted: str, kind: str) -> Step:
    return Step(
        "recall",
        [{"query": question, "kinds": [kind]}],
        lambda answers, _: bool(found(answers[0], wanted)),
        lambda answers: [question, *found(answers[0], wanted)[:1]],
    )


def found(answer: Answer, wanted: str) -> list[str]:
    """List the texts of the hits that have what was wanted."""
    return [hit["text"] for hit in answer.get("hits", []) if wanted in hit["text"]]


def decided(kept: Kept) -> str:
    """Name the decision that was logged first."""
    return kept["log_decision"][0]["id"]


def earlier(answer: Answer) -> Answer:
    """Take the likest earlier decision, if one is named."""
    named: Answers = answer.get("earlier", [])
    return named[0] if named else {}


def judged(answer: Answer) -> str:
    before = earlier(answer)
    return f"{', '.join(before['selected'])}; it {before['outcome']}"


def restored(answer: Answer, decision: str) -> bool:
    """Look whether the work stands where it was left."""
    made: Answers = answer.get("decisions", [])
    return (
        answer.get("context") == {"summary": SUMMARY}
        and answer.get("tasks") == [TASK]
        and [one["id"] for one in made] == [decision]
    )


def findings(answer: Answer) -> list[str]:
    insights: Answers = answer.get("insights", [])
    return [f"analyze: {answer['output']['events']} events", *(one["content"] for one in insights)]
