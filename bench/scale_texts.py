"""Texts for the benchmark at scale: the turns of `data/agents.json`, varied and put together.

A memory is one to four turns of one conversation, in which some words are others: drawn from a
vocabulary as uneven as a language's (Zipf-Mandelbrot), of the data set's own words and then of
invented ones. Digits are others, too, and some memories name an identifier of their own. Twenty
memories are a session; the sessions go over two years.
"""

import random
import re
import string
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Final, NamedTuple
from uuid import UUID

from conversations import Conversation, Turn, data_sets

from agent_mem.recall.words import STOP_WORDS
from agent_mem.records.memory import Memory
from agent_mem.records.record import uuid7
from agent_mem.records.session import Session

A_SESSION: Final = 20
FIRST: Final = datetime(2024, 1, 1, 8, tzinfo=UTC)
YEARS: Final = timedelta(days=730)
INVENTED: Final = 60_000
"""Words of the vocabulary that no turn has."""
FLATTER: Final = 20
"""Mandelbrot's constant: how much less the commonest words stand out than in Zipf's law."""
REPLACED: Final = 0.2
"""The share of words that are replaced."""
NAMED: Final = 0.15
"""The share of memories that name an identifier of their own."""
FILED: Final = 0.4
"""The share of memories that have a topic."""
TURNS: Final = (1, 2, 3, 4)
HOW_OFTEN: Final = (30, 35, 25, 10)
"""Of a hundred memories, how many are made of so many turns."""
TEAMS: Final = 6
"""How many projects are like one conversation."""
WORD: Final = re.compile(r"[A-Za-z]{4,}")
SYLLABLES: Final = ("ka", "ro", "mi", "ten", "sul", "ve", "dor", "lin", "pa", "gus", "ze", "fo")


class Written(NamedTuple):
    memory: Memory
    turns: list[int]
    """The turns that it is made of, by their places in `Writer.turns`."""


class Writer:
    """Writes the same sessions for the same seed, each by its number, but for the ids."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        (data,) = data_sets(None)
        self.conversations: list[Conversation] = data.conversations
        self.turns: list[Turn] = [turn for each in data.conversations for turn in each.turns]
        self._starts = [0, *accumulate(len(each.turns) for each in data.conversations)]
        counted = Counter(w for turn in self.turns for w in WORD.findall(turn.text.lower()))
        self._words = [word for word, _ in counted.most_common() if word not in STOP_WORDS]
        self._words += invented(self._random("words"))
        ranks = range(1, len(self._words) + 1)
        self._weights = list(accumulate(1 / (rank + FLATTER) for rank in ranks))

    def _random(self, what: object) -> random.Random:
        return random.Random(f"{self._seed}:{what}")  # noqa: S311 - a benchmark that repeats itself

    def session(self, number: int, of: int, size: int = A_SESSION) -> tuple[Session, list[Written]]:
        """Write one session.

        Args:
            number: which one.
            of: how many there are.
            size: how many memories it has.
        """
        chance = self._random(number)
        choice = chance.randrange(len(self.conversations))
        begun = FIRST + YEARS * (number / of) + timedelta(minutes=chance.randrange(480))
        project = f"{self.conversations[choice].name}-{chance.randrange(TEAMS)}"
        session = Session(
            agent_name=f"agent-{chance.randrange(5)}", project=project, started_at=begun
        )
        place = chance.randrange(self._starts[choice], self._starts[choice + 1])
        written: list[Written] = []
        for n in range(size):
            turns = [place, *self._others(chance, choice)]
            at = begun + timedelta(minutes=3 * n, seconds=chance.randrange(120))
            written.append(Written(self._memory(chance, session, at, turns), turns))
            place = min(place + 1, self._starts[choice + 1] - 1)
        return session, written

    def _others(self, chance: random.Random, conversation: int) -> list[int]:
        (count,) = chance.choices(TURNS, HOW_OFTEN)
        among = range(self._starts[conversation], self._starts[conversation + 1])
        return chance.choices(among, k=count - 1)

    def _memory(
        self, chance: random.Random, session: Session, at: datetime, turns: list[int]
    ) -> Memory:
        first = self.turns[turns[0]]
        text = " ".join(self.varied(chance, self.turns[turn].text) for turn in turns)
        if chance.random() < NAMED:
            text = f"{text} See {identifier(chance)}."
        topic = f"{session.project} topic {chance.randrange(5)}"
        memory = Memory(
            id=uuid7(),
            created_at=at,
            updated_at=at,
            occurred_at=at,
            agent_name=session.agent_name,
            project=session.project,
            session_id=UUID(int=session.id.int),
            subject=first.speaker,
            topic=topic if chance.random() < FILED else None,
            content=text,
        )
        return memory.model_copy(update={"content_hash": memory.fingerprint()})

    def varied(self, chance: random.Random, text: str) -> str:
        """Replace some of a text's words, and its digits."""
        found = WORD.sub(
            lambda match: self._word(chance) if chance.random() < REPLACED else match[0], text
        )
        return re.sub(r"\d", lambda _: chance.choice(string.digits), found)

    def _word(self, chance: random.Random) -> str:
        (word,) = chance.choices(self._words, cum_weights=self._weights)
        return word


def invented(chance: random.Random) -> list[str]:
    """Invent words, the rarer the longer."""
    found: dict[str, None] = {}
    while len(found) < INVENTED:
        found["".join(chance.choices(SYLLABLES, k=4 + len(found) // 15_000))] = None
    return list(found)


def identifier(chance: random.Random) -> str:
    """Invent an identifier that hardly anything else has."""
    number, name = chance.randrange(10**6), "".join(chance.choices(SYLLABLES, k=2))
    return chance.choice((f"{name.upper()}-{number}", f"{name}_{number:x}", f"{name}/{number}"))
