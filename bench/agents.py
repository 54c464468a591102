"""Make `data/agents.json`, conversations of agents at work with questions: `python agents.py`.

Synthetic and generated, from scenes that were written by hand for it (`data/agents/*.txt`): nobody
said any of this. Eight conversations, one a domain, each some four hundred turns in about twenty
sessions over months: errors and their fixes, decisions and what came of them, preferences and
settings that change, dates, names, identifiers, near-duplicates that differ in one word, a few
other languages, and about a third of small talk. A question's evidence is all of the turns that
answer it: each scene owns its subject, and no other scene of the same conversation touches it.

What it can show: whether recall finds what is asked in other words than it was said in, the last
of several values and not an earlier one, all of several places, one of two lines that look alike.
What it cannot: how people really talk and ask. The same few hands wrote turns and questions, so
figures compare systems with each other; they do not promise what a user will see. The scenes of
`common.txt` come back, with other values and phrasings, in two or three of the conversations: who
fits on some conversations and tests on others should know.

The same seed makes the same bytes everywhere: `random.Random` is the only chance.
"""

import json
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from agents_script import Line, Part, Scene, Script, read
from agents_words import Words

SEED = 20250113
HERE = Path(__file__).parent
SCRIPTS = HERE / "data" / "agents"
OUT = HERE / "data" / "agents.json"
COMMON = 13
"""Common scenes in a conversation."""
ROUTINE = 165
"""Routine lines in a conversation."""
NOISE = 0.53
"""Lines of small talk for each line that is not: about a third of all."""
SATURDAY = 5
MOST_TRIES = 20
ABOUT = (
    "Synthetic: generated from hand-written scenes by bench/agents.py; nobody said any of this. "
    "One store a conversation; a question's evidence is the ids of all turns that answer it."
)


class Said(NamedTuple):
    line: Line
    words: Words


class Cast(NamedTuple):
    script: Script
    people: dict[str, str]
    days: list[datetime]


def dealt(common: list[Scene], scripts: list[Script]) -> list[list[Scene]]:
    """Deal the common scenes, so that each comes back as rarely as can be."""
    chance = random.Random(f"{SEED} common")  # noqa: S311 - a generator of data, not of secrets
    deck: list[Scene] = []
    hands: list[list[Scene]] = []
    for script in scripts:
        hand: list[Scene] = []
        barred = script.head.get("without", "").split()
        while len(hand) < COMMON:
            fits = [each for each in deck if each.name not in barred and each not in hand]
            if fits:
                hand.append(deck.pop(deck.index(fits[0])))
            else:
                deck += chance.sample(common, len(common))
        hands.append(hand)
    return hands


def cast_of(script: Script, chance: random.Random) -> Cast:
    people = dict(zip("ABCD", script.head["people"].split(", "), strict=False))
    day = datetime.fromisoformat(script.head["start"]).replace(tzinfo=UTC)
    days: list[datetime] = []
    for _ in range(int(script.head["sessions"])):
        days.append(day.replace(hour=chance.randrange(7, 17), minute=chance.randrange(60)))
        day += timedelta(chance.randrange(3, 17))
        day += timedelta(7 - day.weekday() if day.weekday() >= SATURDAY else 0)
    return Cast(script, people, days)


def places(parts: list[Part], days: list[datetime], chance: random.Random) -> list[int]:
    """Choose a session for a scene's first part; each other comes as soon as it wants to."""
    tried = [_followed(start, parts, days) for start in range(len(days))]
    return chance.choice([places for places in tried if len(places) == len(parts)])


def _followed(start: int, parts: list[Part], days: list[datetime]) -> list[int]:
    places = [start]
    for part in parts[1:]:
        due = days[places[-1]].date() + timedelta(part.after)
        places += [n for n, day in enumerate(days) if day.date() >= due][:1]
    return places


def words_of(scene: Scene, cast: Cast, chance: random.Random) -> Words:
    values = dict(cast.people)
    for group in scene.values:
        values |= dict(zip(group.names, chance.choice(group.rows), strict=True))
    return Words(chance, values)


def staged(
    cast: Cast, scenes: list[tuple[Scene, Words]], chance: random.Random
) -> list[list[list[Said]]]:
    """Lay the scenes' parts, and the routine, into the sessions; shuffle each session's blocks."""
    sessions: list[list[list[Said]]] = [[] for _ in cast.days]
    for scene, words in scenes:
        chosen = places(scene.parts, cast.days, chance)
        for part, place in zip(scene.parts, chosen, strict=True):
            sessions[place].append([Said(line, words) for line in part.lines])
    for n in range(ROUTINE):
        line = cast.script.routine[n % len(cast.script.routine)]
        sessions[chance.randrange(len(sessions))].append([Said(line, Words(chance, cast.people))])
    for blocks in sessions:
        chance.shuffle(blocks)
    return sessions


def small_talk(cast: Cast, noise: list[str], chance: random.Random) -> Iterator[Said]:
    """Yield small talk without end, each text once before any comes back."""
    while True:
        for text in chance.sample(noise, len(noise)):
            line = Line(chance.choice(list(cast.people)), "observation", "", [text])
            yield Said(line, Words(chance, cast.people))


def with_noise(
    blocks: list[list[Said]], talk: Iterator[Said], chance: random.Random
) -> Iterator[Said]:
    """Put small talk between the blocks: a reply stays next to what it answers."""
    count = round(NOISE * sum(len(block) for block in blocks))
    gaps = [0] * (len(blocks) + 1)
    for _ in range(count):
        gaps[chance.randrange(len(gaps))] += 1
    for block, gap in zip([*blocks, []], gaps, strict=True):
        yield from (next(talk) for _ in range(gap))
        yield from block


class Told:
    """The turns of a conversation as they are told, and where each scene's keys came to be."""

    def __init__(self, cast: Cast, chance: random.Random) -> None:
        self._cast = cast
        self._chance = chance
        self._texts: set[str] = set()
        self.turns: list[dict[str, str]] = []
        self.ids: dict[int, dict[str, str]] = {}

    def session(self, place: int, said: Iterator[Said]) -> None:
        at = self._cast.days[place]
        for n, (line, words) in enumerate(said, 1):
            turn = f"{self._cast.script.head['id']}:{place + 1}:{n}"
            words.now = at
            if line.key:
                words.said[line.key] = at
                self.ids.setdefault(id(words), {})[line.key] = turn
            self.turns.append(
                {
                    "id": turn,
                    "session": f"{place + 1}",
                    "speaker": self._cast.people[line.speaker],
                    "at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
                    "text": self._new(line, words),
                    "kind": line.kind,
                }
            )
            at += timedelta(seconds=self._chance.randrange(20, 400))

    def _new(self, line: Line, words: Words) -> str:
        """Fill in a line; what is often said (routine, small talk) should not come out the same."""
        text = words.fill(line.phrasings)
        for _ in range(MOST_TRIES):
            if text not in self._texts:
                break
            text = words.fill(line.phrasings)
        self._texts.add(text)
        return text


def questions(told: Told, scenes: list[tuple[Scene, Words]], at: datetime) -> Iterator[Any]:
    for scene, words in scenes:
        words.now = at
        for ask in scene.asks:
            yield {
                "text": words.fill(ask.phrasings),
                "evidence": [told.ids[id(words)][key] for key in ask.evidence],
                "category": ask.category,
                "asked_at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            }


def conversation(script: Script, common: list[Scene], noise: list[str]) -> dict[str, Any]:
    chance = random.Random(f"{SEED} {script.head['id']}")  # noqa: S311 - of data, not of secrets
    cast = cast_of(script, chance)
    scenes = [(scene, words_of(scene, cast, chance)) for scene in [*script.scenes, *common]]
    told = Told(cast, chance)
    talk = small_talk(cast, noise, chance)
    for place, blocks in enumerate(staged(cast, scenes, chance)):
        told.session(place, with_noise(blocks, talk, chance))
    asked = list(questions(told, scenes, cast.days[-1] + timedelta(days=2)))
    head = {"id": script.head["id"], "domain": script.head["domain"]}
    return head | {"turns": told.turns, "questions": asked}


def text_of(conversations: list[dict[str, Any]]) -> str:
    """Write one turn or question a line, so that a change can be read."""

    def rows(items: list[Any]) -> str:
        return ",\n".join(json.dumps(item, ensure_ascii=False) for item in items)

    told = [
        f'{{"id": {json.dumps(each["id"])}, "domain": {json.dumps(each["domain"])},\n'
        f'"turns": [\n{rows(each["turns"])}\n],\n"questions": [\n{rows(each["questions"])}\n]}}'
        for each in conversations
    ]
    head = f'{{"about": {json.dumps(ABOUT)},\n"seed": {SEED},\n"conversations": [\n'
    return head + ",\n".join(told) + "\n]}\n"


def main(out: Path) -> None:
    scripts = [read(path) for path in sorted(SCRIPTS.glob("[0-9]*.txt"))]
    noise = (SCRIPTS / "noise.txt").read_text(encoding="utf-8").splitlines()
    hands = dealt(read(SCRIPTS / "common.txt").scenes, scripts)
    made = [conversation(script, hand, noise) for script, hand in zip(scripts, hands, strict=True)]
    out.write_text(text_of(made), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else OUT)
