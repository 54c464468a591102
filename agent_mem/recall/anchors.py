"""The event around which a query asks: "before the release", "since we moved to Berlin"."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from agent_mem.recall.dates import temporal
from agent_mem.recall.words import terms

Relation = Literal["before", "after", "since", "until", "during"]

_LONGEST: Final = 300
"""Characters of a query in which an event is looked for; what is longer is no question."""
_MOST_WORDS: Final = 12

_RELATED: Final = re.compile(
    r"""(?<![\w'-])(?:
      (?P<before>before|prior\s+to)
    | (?P<after>after)
    | (?P<since>since)
    | (?P<until>until|till|by\s+the\s+time)
    | (?P<during>during|(?:at|around)\s+the\s+time\s+(?:of|that|when))
    | (?P<clause>when|while)
    )\s+""",
    re.IGNORECASE | re.VERBOSE,
)
_RELATIONS: Final[dict[str, Relation]] = {
    "before": "before",
    "after": "after",
    "since": "since",
    "until": "until",
    "during": "during",
    "clause": "during",
}
_BREAK: Final = re.compile(r"[,;:.!?]+(?:\s|$)|[()\n]")

_VERBS: Final = (
    r"(?!(?:required|needed|related|based|shared|supported|expected|allowed|planned|recommended"
    r"|scheduled)\b)\w+[a-df-z]ed|agreed|was|were|had|did|began|begun|bought|brought|broke|built"
    r"|came|chose|drew|fell|felt|found|gave|went|got|grew|held|kept|knew|led|left|lost|made|met|paid"
    r"|ran|said|saw|sent|spoke|spent|stood|stuck|taught|took|told|thought|won|wrote"
)
_PAST: Final = re.compile(rf"\b(?:{_VERBS})\b", re.IGNORECASE)
_WAS: Final = re.compile(r"\b(?:was|were|had|did)\b", re.IGNORECASE)
_PERFECT: Final = re.compile(r"\b(?:has|have|been|is|are)\b|'s\b|'ve\b", re.IGNORECASE)
# What is asked in general, or of the future, is not asked of a time.
_MODAL: Final = (
    r"should|must|can|could|would|will|shall|might|may|needs?|ought|how\s+to|what\s+to|to\s+do"
    r"|have\s+to|has\s+to|always|never|usually|why"
)
_GENERAL: Final = re.compile(rf"\b(?:{_MODAL}|do|does|don't|doesn't|is|are|am)\b", re.IGNORECASE)
_MAYBE: Final = re.compile(rf"\b(?:{_MODAL})\b", re.IGNORECASE)

# How a phrase begins that names one event: "the release", "our move", "Ana joined", "we moved".
_DETERMINED: Final = re.compile(
    r"(?:the|my|our|your|his|her|their|its|that|this)\s+\w", re.IGNORECASE
)
_NAMED: Final = re.compile(r"[A-Z]\w+(?:'s)?\s+\w")
_SUBJECT: Final = re.compile(r"(?:i|we|you|he|she|they)\s+\w", re.IGNORECASE)
_GERUND: Final = re.compile(r"\w{2,}ing\s+\w")
_PRESENT: Final = re.compile(
    r"\b(?:is|are|am|isn't|aren't|don't|doesn't|can't|won't)\b", re.IGNORECASE
)
_VAGUE: Final = frozenset(
    terms(
        "fact day night week month year morning evening afternoon while time times thing things end"
        " beginning start first last next moment deadline change changed changes happen happened"
        " conversation chat session talk rest process asked mentioned said"
    )
)
# After these words, "after" belongs to the verb, and "when" asks.
_BOUND: Final = {
    "after": re.compile(
        r"\b(?:look\w*|nam\w+|call\w*|t[ao]k\w+|go\w*|went|cha[st]\w+|model\w+)$", re.IGNORECASE
    ),
    "clause": re.compile(
        r"\b(?:know\w*|knew|tell|told|remember\w*|remind\w*|recall\w*|ask\w*|say\w*|said|out|check"
        r"|see|of|on|about|for|since|until|decid\w+|mention\w*|and|or|exactly|wonder\w*|find)(?:\s+(?:me|you|us|him|her|them))?$",
        re.IGNORECASE,
    ),
}


@dataclass(frozen=True, slots=True)
class Anchor:
    """An event that a query names instead of a date, and how what it asks for stands to it."""

    relation: Relation
    phrase: str
    """What the event is called, as it stood in the query."""


def anchor(text: str) -> Anchor | None:
    """Find the event around which a query asks; in doubt there is none.

    It ends the query ("… before the release?") or begins it ("After we moved to Berlin, …").
    """
    if len(text) > _LONGEST or not _RELATED.search(text):
        return None
    clauses = [clause.strip() for clause in _BREAK.split(text) if clause.strip()]
    first, last = clauses[0], clauses[-1]
    opening = _RELATED.match(first) if len(clauses) > 1 else None
    if opening and (found := _anchor(opening, first, "", " ".join(clauses[1:]))):
        return found
    for match in reversed(list(_RELATED.finditer(last))):
        before = last[: match.start()].rstrip()
        if found := _anchor(match, last, before, " ".join([*clauses[:-1], before])):
            return found
    return None


def _anchor(match: re.Match[str], clause: str, before: str, main: str) -> Anchor | None:
    """Take what follows a relation's word for an event, if all around it reads like one."""
    kind, phrase = str(match.lastgroup), clause[match.end() :].strip("\"' ")
    bound = _BOUND.get(kind)
    if (
        not _asks(kind, main, opening=not before)
        or (bound and bound.search(before))
        or not _is_event(match[0].strip().lower(), phrase)
    ):
        return None
    return Anchor(_RELATIONS[kind], phrase)


def _asks(kind: str, main: str, *, opening: bool) -> bool:
    """Look whether the rest of a query asks of a time: in the past tense, of nothing in general.

    What is asked "since" something may be so still; but what opens a query may be a reason.
    """
    if kind == "since":
        told = _PAST.search(main) or _PERFECT.search(main) or not opening
        return bool(told) and not _MAYBE.search(main)
    return bool(_PAST.search(main)) and not _GENERAL.search(main)


def _is_event(word: str, phrase: str) -> bool:
    """Look whether a phrase names an event, and no date."""
    if (
        len(phrase.split()) > _MOST_WORDS
        or _VAGUE.issuperset(terms(phrase))
        or _PRESENT.search(phrase)
        or temporal(phrase)
    ):
        return False
    happened = _PAST.search(phrase) is not None
    if word == "when":  # when she was younger: that is no event
        return _PAST.search(_WAS.sub("", phrase)) is not None and _begins(
            phrase, _DETERMINED, _NAMED, _SUBJECT
        )
    if word == "during":
        return _begins(phrase, _DETERMINED, _NAMED)
    return _begins(phrase, _DETERMINED, _NAMED, _GERUND) or (happened and _begins(phrase, _SUBJECT))


def _begins(phrase: str, *forms: re.Pattern[str]) -> bool:
    return any(form.match(phrase) for form in forms)
