"""Whether a prompt hook speaks where it should, and is silent where it should be.

    python bench/prompts.py

Each of the conversations of `bench/data/agents.json` is a memory. What is asked about it should be
answered; what is asked about the others, and prompts of everyday work, should be met with silence.
"""

import random
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import NamedTuple

import anyio
from conversations import Conversation, data_sets
from stores import Stored, stored

from agent_mem.hooks.prompt import KINDS, LOOKED_AT, MOST, matters
from agent_mem.recall.search import Found, Request
from agent_mem.recall.words import terms

SEED = 20261121
OTHERS = 10
"""Questions of each other conversation that are asked."""
WORK = (
    "continue",
    "yes, go ahead",
    "ok thanks, looks good",
    "Fix the typo in the README",
    "run the tests and fix what fails",
    "Rename the variable foo to total in this file",
    "Write a function that reverses a linked list",
    "Add type hints to utils.py",
    "why does this not compile?",
    "Please refactor this class into smaller functions and keep the public interface as it is",
    "commit this with a good message",
    "git status says there are conflicts, resolve them",
    "Explain what this regular expression does",
    "Add a button to the settings page that opens a dialog",
    "Make the layout responsive on small screens",
    "Convert this callback code to async/await",
    "Write unit tests for the parser module",
    "Update the dependencies to their latest versions",
    "Use a dataclass here instead of a dictionary",
    "Show me the first ten lines of the file",
    "what does this function return when the list is empty?",
    "The import is unused, remove it",
    "Sort the imports and format the code",
    "Create a new branch and open a pull request",
    "Translate the comments to English",
    "Add a docstring to every public function",
    "Is there a memory leak in this loop?",
    "Speed up this query, it scans the whole table",
    "Add a dark theme to the web page",
    "Set up a GitHub workflow that runs the linter on each push",
)


class Prompt(NamedTuple):
    kind: str
    text: str
    evidence: frozenset[str]


class Spoken(NamedTuple):
    """What is told at a prompt; `found` says whether an answer is in it."""

    kind: str
    told: int
    found: bool


def prompts(about: Conversation, others: Iterable[Conversation]) -> list[Prompt]:
    """List what is asked about a memory, and what has nothing to do with it."""
    drawn = random.Random(SEED)  # noqa: S311 - of a benchmark
    mine = [Prompt("about it", q.text, frozenset(q.evidence)) for q in about.questions]
    foreign = [
        Prompt("about another", q.text, frozenset())
        for other in others
        for q in drawn.sample(list(other.questions), OTHERS)
    ]
    return [*mine, *foreign, *(Prompt("work", text, frozenset()) for text in WORK)]


async def looked(
    store: Stored, asked: Sequence[Prompt]
) -> AsyncGenerator[tuple[Prompt, list[Found]]]:
    for prompt in asked:
        request = Request(prompt.text, KINDS, limit=LOOKED_AT, literal=True)
        yield prompt, (await store.app.finder.search(request)).hits


def spoken(store: Stored, prompt: Prompt, hits: list[Found]) -> Spoken:
    words = len(set(terms(prompt.text)))
    told = [hit for hit in hits if matters(hit, words)][:MOST]
    keys = {key for hit in told for key in store.keys[str(hit.record.id)]}
    return Spoken(prompt.kind, len(told), bool(keys & prompt.evidence))


def report(heard: Sequence[Spoken]) -> None:
    print(f"{'prompt':15}{'n':>6}{'spoken':>9}{'answered':>10}{'told':>7}")
    for kind in dict.fromkeys(one.kind for one in heard):
        of = [one for one in heard if one.kind == kind]
        shares = (sum(one.told > 0 for one in of), sum(one.found for one in of))
        spoke, answered = (f"{share / len(of):.1%}" for share in shares)
        told = sum(one.told for one in of) / len(of)
        print(f"{kind:15}{len(of):6}{spoke:>9}{answered:>10}{told:7.2f}")


async def main() -> None:
    heard: list[Spoken] = []
    conversations = data_sets(None)[0].conversations
    for about in conversations:
        others = [other for other in conversations if other is not about]
        async with stored(about.turns) as store:
            async for prompt, hits in looked(store, prompts(about, others)):
                heard.append(spoken(store, prompt, hits))
    report(heard)


if __name__ == "__main__":
    anyio.run(main)
