"""What the index keeps of a memory: passages of about 320 characters, ready to be ranked."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from agent_mem.recall.dates import spans, temporal
from agent_mem.recall.words import terms

LONGEST: Final = 320
"""Characters of a passage, at most; it reads as one thought and is short enough to quote."""

# The bits of `Passage.marks`: what the text holds, found once, when it is written.
TEMPORAL: Final = 1
NUMBER: Final = 2
NAME: Final = 4
QUESTION: Final = 8
SHORT: Final = 16

_SHORT_TERMS: Final = 6
_SENTENCE_END: Final = re.compile(
    r"""[.!?\u2026]+["')\]\u201d\u2019]*(?=\s)|[\u3002\uff01\uff1f\n]+"""
)
_NUMBER: Final = re.compile(
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|twenty|thirty|forty"
    r"|fifty|hundred|thousand|million|once|twice|half|couple|several)\b",
    re.IGNORECASE,
)
_NAME: Final = re.compile(r"""(?<![.!?\n"'*_(])[ ]["'(]?(?!I\b)[A-Z]\w""")


@dataclass(frozen=True, slots=True)
class Passage:
    """A row of the table `passages`: a part of one record's text, and all that ranks it."""

    n: int
    record: str
    record_id: str
    part: int
    kind: str | None
    agent_name: str | None
    project: str | None
    session_id: str | None
    topic: str | None
    subject: str | None
    at: datetime
    """When it happened, in UTC."""
    importance: float
    """From 0 to 1."""
    terms: str
    """The terms of its text, in order, joined by spaces."""
    marks: int
    """The sum of TEMPORAL, NUMBER, NAME, QUESTION and SHORT, as they apply."""
    dates: str
    """The days that its text names: `start-end` pairs of proleptic ordinals, end exclusive."""
    previous: int | None = None
    """The `n` of the passage before it in its session."""
    next: int | None = None
    """The `n` of the passage after it in its session."""


def split(text: str) -> list[tuple[int, int]]:
    """The (start, end) of a text's passages: whole sentences, at most LONGEST characters together.

    A sentence that is longer is cut where there is a space, at worst anywhere. The spans cover
    all of the text but the space around them; a text of spaces has none.
    """
    found: list[tuple[int, int]] = []
    start, length = _skipped(text, 0), len(text)
    while start < length:
        end = length if length - start <= LONGEST else _cut(text, start)
        kept = len(text[start:end].rstrip())
        found.append((start, start + kept))
        start = _skipped(text, end)
    return found


def _skipped(text: str, start: int) -> int:
    return len(text) - len(text[start:].lstrip())


def _cut(text: str, start: int) -> int:
    """Where the passage that begins at `start` ends: at a sentence, a space, or anywhere."""
    limit = start + LONGEST
    end = start
    for match in _SENTENCE_END.finditer(text, start, limit + 1):
        if match.end() <= limit:
            end = match.end()
    if end > start:
        return end
    space = max(text.rfind(" ", start, limit + 1), text.rfind("\t", start, limit + 1))
    return space if space > start else limit


def describe(text: str, at: datetime) -> tuple[str, int, str]:
    """The terms (joined by spaces), marks and dates of a passage's text that was said `at`."""
    found = terms(text)
    return " ".join(found), _marks(text, len(found)), _dates(text, at)


def _marks(text: str, length: int) -> int:
    return (
        TEMPORAL * temporal(text)
        | NUMBER * (_NUMBER.search(text) is not None)
        | NAME * (_NAME.search(text) is not None)
        | QUESTION * text.rstrip().endswith("?")
        | SHORT * (length < _SHORT_TERMS)
    )


def _dates(text: str, at: datetime) -> str:
    days = ((start.toordinal(), end.toordinal()) for start, end in spans(text, at))
    return " ".join(f"{start}-{end}" for start, end in days)
