"""Measure recall on conversations with gold evidence: `python bench/recall.py [LOCOMO_JSON]`.

    [--mixed] [--cross]

One store a conversation: a real file, filled turn by turn through the tool, with speaker, session
and time, and embedded. A table a data set: the percent of a question's evidence that is found in
the first five and ten turns, and nDCG@10 (binary), averaged over the questions; "all" is without
the adversarial ones. Beside ours stand the usual local ways on the same turns. The weights that
are shipped were fitted on these conversations (`fit.py`); `--cross` ranks with weights that were
not: fitted on the other conversations, and on the other data set. `--mixed` asks the same of one
store that has all conversations of all data sets.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import anyio
import numpy as np
from conversations import ADVERSARIAL, MEASURES, DataSet, Question, Turn, data_sets, measured
from fit import left_out, questions
from fit_features import ALL, WORDS_ALONE, Array
from fit_model import figures, fitted
from recall_systems import SYSTEMS, answered
from stores import stored

Told = dict[str, Array]
"""By system the measures of each question, one row a question."""


async def ask(turns: Sequence[Turn], asked: Sequence[Question]) -> Told:
    """Ask each system each question about some turns."""
    async with stored(turns) as store:
        answers = await answered(store, turns, asked)
    return {
        system: np.array(
            [
                measured(found[system], question.evidence)
                for question, found in zip(asked, answers, strict=True)
            ]
        )
        for system in SYSTEMS
    }


async def separately(each: DataSet) -> Told:
    """Ask each conversation's questions of a store of its own."""
    parts = [await ask(told.turns, told.questions) for told in each.conversations]
    return {system: np.concatenate([part[system] for part in parts]) for system in SYSTEMS}


async def together(data: Sequence[DataSet]) -> list[Told]:
    """Ask all questions of one store; give each data set's figures."""
    asked = [[q for told in each.conversations for q in told.questions] for each in data]
    turns = [turn for each in data for told in each.conversations for turn in told.turns]
    told = await ask(turns, [question for among in asked for question in among])
    ends = np.cumsum([len(among) for among in asked])[:-1]
    split = {system: np.split(rows, ends) for system, rows in told.items()}
    return [{system: rows[n] for system, rows in split.items()} for n in range(len(data))]


def cross(data: Sequence[DataSet]) -> list[Told]:
    """Rank by weights that were fitted without the conversation that is tested."""
    found: list[Told] = [{} for _ in data]
    for variant in (WORDS_ALONE, ALL):
        sets = questions(data, variant)
        for n, asked in enumerate(sets):
            found[n][f"{variant}: fitted on other conversations"] = left_out(asked)
            if others := sets[:n] + sets[n + 1 :]:
                found[n][f"{variant}: fitted on the other set"] = figures(asked, fitted(others))
    return found


def table(title: str, asked: Sequence[Question], told: Told) -> None:
    """Print a table: one row a system, one column a category."""
    categories = dict.fromkeys(question.category for question in asked)
    columns = {"all": np.array([question.category != ADVERSARIAL for question in asked])} | {
        name: np.array([question.category == name for question in asked]) for name in categories
    }
    heads = [f"{name} ({chosen.sum()})" for name, chosen in columns.items()]
    print(f"\n{title}: {', '.join(MEASURES)}\n")
    print(f"| | {' | '.join(heads)} |")
    print(f"| --- |{' --- |' * len(heads)}")
    for system, rows in told.items():
        cells = [" / ".join(percents(rows[chosen])) for chosen in columns.values()]
        print(f"| {system} | {' | '.join(cells)} |", flush=True)


def percents(rows: Array) -> list[str]:
    return [f"{100 * mean:.1f}" for mean in rows.mean(axis=0)]


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("locomo", nargs="?", type=Path)
    parser.add_argument("--mixed", action="store_true")
    parser.add_argument("--cross", action="store_true")
    options = parser.parse_args()
    data = data_sets(options.locomo)
    every = [[q for told in each.conversations for q in told.questions] for each in data]
    for each, asked in zip(data, every, strict=True):
        table(each.name, asked, await separately(each))
    if options.mixed:
        for each, asked, told in zip(data, every, await together(data), strict=True):
            table(f"{each.name}, all conversations in one store", asked, told)
    if options.cross:
        for each, told in zip(data, cross(data), strict=True):
            main_ones = [question for told in each.conversations for question in told.main]
            table(f"{each.name}, agent-mem fitted on others", main_ones, told)


if __name__ == "__main__":
    anyio.run(main)
