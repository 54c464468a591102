"""Measure recall on conversations with gold evidence: `python bench/recall.py LOCOMO_JSON`.

One store a conversation. Each turn is remembered through the tool, with its speaker, session and
time; each question is recalled through the tool. Printed are the percent of a question's evidence
found in the first five and ten, and nDCG@10 (binary), averaged over the questions that have
evidence (categories 1 to 4); beside it the full-text baseline (FTS5's own BM25, porter stemming,
any word, no stop words) on the same turns. Data: LoCoMo (Maharana et al. 2024), which is not part
of this project.
"""

import json
import re
import sqlite3
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from math import log2
from pathlib import Path
from typing import Any, NamedTuple

import anyio

from agent_mem.app import App, open_app
from agent_mem.config import Settings
from agent_mem.recall.words import STOP_WORDS
from agent_mem.tools.memories import remember
from agent_mem.tools.recall import recall

FIRST = (5, 10)
CATEGORIES = {1: "several items", 2: "time", 3: "open", 4: "one item"}


class Turn(NamedTuple):
    key: str
    speaker: str
    session: str
    at: datetime
    text: str


class Question(NamedTuple):
    text: str
    evidence: frozenset[str]
    category: int


def turns(conversation: dict[str, Any]) -> Iterator[Turn]:
    """Yield each turn of each session; a picture that was shown is told by its caption."""
    for name, session in conversation.items():
        if not re.fullmatch(r"session_\d+", name):
            continue
        said = conversation[f"{name}_date_time"]
        at = datetime.strptime(said, "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
        for turn in session:
            shown = f" [shows {turn['blip_caption']}]" if turn.get("blip_caption") else ""
            yield Turn(turn["dia_id"], turn["speaker"], name, at, turn["text"] + shown)


def questions(sample: dict[str, Any], known: set[str]) -> Iterator[Question]:
    """Yield the questions whose evidence is among the turns."""
    for item in sample["qa"]:
        evidence = frozenset(re.findall(r"D\d+:\d+", " ".join(item.get("evidence", []))))
        if item["category"] in CATEGORIES and evidence & known:
            yield Question(item["question"], evidence & known, item["category"])


class Figures:
    """Means over questions."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, ...]] = []

    def add(self, found: list[str], evidence: frozenset[str]) -> None:
        shares = [len(evidence & set(found[:k])) / len(evidence) for k in FIRST]
        gain = sum(1 / log2(i + 2) for i, key in enumerate(found[:10]) if key in evidence)
        ideal = sum(1 / log2(i + 2) for i in range(min(10, len(evidence))))
        self._rows.append((*shares, gain / ideal))

    def __str__(self) -> str:
        means = [100 * sum(column) / len(self._rows) for column in zip(*self._rows, strict=True)]
        return "".join(f"{mean:11.1f}" for mean in means) + f"{len(self._rows):11d}"


async def fill(app: App, said: list[Turn]) -> dict[str, list[str]]:
    """Remember the turns; the same words in the same session are one memory of several turns."""
    keys: defaultdict[str, list[str]] = defaultdict(list)
    for turn in said:
        done = await remember(
            app, content=turn.text, subject=turn.speaker, occurred_at=turn.at, session=turn.session
        )
        keys[str(done.id)].append(turn.key)
    return keys


async def ours(said: list[Turn], asked: list[Question]) -> list[list[str]]:
    """Answer the questions by recall."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_app(Settings(db=Path(folder) / "memory.db", project=None)) as app:
            keys = await fill(app, said)
            answers: list[list[str]] = []
            for question in asked:
                found = await recall(app, query=question.text, limit=10, max_tokens=20_000)
                answers.append([key for hit in found.hits for key in keys[str(hit.id)]])
            return answers


def baseline(said: list[Turn], asked: list[Question]) -> list[list[str]]:
    """Answer the questions by full text alone, as most local memories do."""
    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE t USING fts5 (key UNINDEXED, text, tokenize = 'porter')")
    db.executemany("INSERT INTO t VALUES (?, ?)", [(turn.key, turn.text) for turn in said])
    query = "SELECT key FROM t WHERE t MATCH ? ORDER BY rank LIMIT 10"
    return [[key for (key,) in db.execute(query, (any_of(question.text),))] for question in asked]


def any_of(text: str) -> str:
    words: Iterable[str] = re.findall(r"\w+", text.lower())
    kept = [word for word in words if word not in STOP_WORDS] or ["nothing"]
    return " OR ".join(f'"{word}"' for word in kept)


async def main(path: Path) -> None:
    by_words: defaultdict[str, Figures] = defaultdict(Figures)
    by_us: defaultdict[str, Figures] = defaultdict(Figures)
    for sample in json.loads(await anyio.Path(path).read_text()):
        said = list(turns(sample["conversation"]))
        asked = list(questions(sample, {turn.key for turn in said}))
        for figures, answers in (
            (by_words, baseline(said, asked)),
            (by_us, await ours(said, asked)),
        ):
            for question, found in zip(asked, answers, strict=True):
                for group in ("all", sample["sample_id"], CATEGORIES[question.category]):
                    figures[group].add(found, question.evidence)
    print(f"{'':32}{'recall@5':>11}{'recall@10':>11}{'nDCG@10':>11}{'questions':>11}")
    for group in by_us:
        print(f"{'FTS5 BM25':16}{group:16}{by_words[group]}")
        print(f"{'agent-mem':16}{group:16}{by_us[group]}")


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]))
