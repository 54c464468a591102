"""What the index keeps of a memory: passages of about 320 characters, ready to be ranked."""

import re
from datetime import datetime
from typing import Final, NamedTuple

from agent_mem.recall.dates import spans, temporal
from agent_mem.recall.words import terms

LONGEST: Final = 320
"""Characters of a passage, at most; it reads as one thought and is short enough to quote."""

# The bits of `Passage.marks`: what the text holds, found once, when it is written.
TEMPORAL: Final = 1
NUMBER: Final = 2
NAME: Final = 4
QUESTION: Final = 8
_SENTENCE_END: Final = re.compile(
    r"""[.!?\u2026]+["')\]\u201d\u2019]*(?=\s)|[\u3002\uff01\uff1f\n]+"""
)
_NOT_SPACE: Final = re.compile(r"\S")
_NUMBER: Final = re.compile(
    r"\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|twenty|thirty|forty"
    r"|fifty|hundred|thousand|million|once|twice|half|couple|several)\b",
    re.IGNORECASE,
)
_NAME: Final = re.compile(r"""(?<![.!?\n"'*_(])[ ]["'(]?(?!I\b)[A-Z]\w""")


class Passage(NamedTuple):
    """A row of the table `passages`: a part of one record's text, and all that ranks it."""

    n: int
    record: str
    record_id: str
    part: int
    session_id: str | None
    topic: str | None
    subject: str | None
    importance: float
    """From 0 to 1."""
    terms: str
    """The terms of its text, in order, joined by spaces."""
    marks: int
    """The sum of TEMPORAL, NUMBER, NAME and QUESTION, as they apply."""
    dates: str
    """The days that its text names: `start-end` pairs of proleptic ordinals, end exclusive."""
    at: str
    """When it happened: ISO 8601 in UTC, always as long, so that texts compare like times."""
    previous: int | None
    """The `n` of the passage before it in its session."""
    next: int | None
    """The `n` of the passage after it in its session."""


def split(text: str) -> list[tuple[int, int]]:
    """Find the (start, end) of a text's passages: whole sentences, LONGEST characters at most.

    A sentence that is longer is cut where there is a space, at worst anywhere. The spans cover
    all of the text but the space around them; a text of spaces has none.
    """
    found: list[tuple[int, int]] = []
    start = _skipped(text, 0)
    while start < len(text):
        end = len(text) if len(text) - start <= LONGEST else _cut(text, start)
        found.append((start, start + len(text[start:end].rstrip())))
        start = _skipped(text, end)
    return found


def _skipped(text: str, start: int) -> int:
    match = _NOT_SPACE.search(text, start)
    return match.start() if match else len(text)


def _cut(text: str, start: int) -> int:
    """Find where a passage that begins at `start` ends: a sentence, a space, or anywhere."""
    limit = start + LONGEST
    ends = [match.end() for match in _SENTENCE_END.finditer(text, start, limit + 1)]
    space = max(text.rfind(blank, start, limit + 1) for blank in " \t\n")
    return max((end for end in ends if end <= limit), default=space if space > start else limit)


def describe(text: str, at: datetime) -> tuple[str, int, str]:
    """Find the terms (joined by spaces), marks and dates of a passage that was said `at`."""
    return " ".join(terms(text)), _marks(text), _dates(text, at)


def _marks(text: str) -> int:
    return (
        TEMPORAL * temporal(text)
        | NUMBER * (_NUMBER.search(text) is not None)
        | NAME * (_NAME.search(text) is not None)
        | QUESTION * text.rstrip().endswith("?")
    )


def _dates(text: str, at: datetime) -> str:
    days = ((start.toordinal(), end.toordinal()) for start, end in spans(text, at))
    return " ".join(f"{start}-{end}" for start, end in days)
