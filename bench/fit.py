"""Fit the weights of the ranking on conversations with gold evidence, and say what each is worth.

    python bench/fit.py [LOCOMO_JSON] [--ablation] [--write]

Candidates and features come from the product: a real file a conversation, filled through the tool
and embedded. Two models are fitted: one of all features, one of those that need no encoder. Where
there are two data sets, each counts the same. Printed are recall@5, recall@10 and nDCG@10, percent:

- left out: each conversation ranked with weights that were fitted on the others of its data set;
- other set: fitted on the other data set alone;
- together: fitted on all, which is what `--write` writes to `recall/model/ranking.json`.

`--ablation` takes away each stage and each feature, and fits anew; the conversations are in five
groups over both data sets, each ranked with weights that were fitted on the others. The scenes of
`data/agents/common.txt` come back in two or three conversations of that data set, so that leaving
one of them out leaves some of its questions, in other words, among the others.
"""

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from conversations import MEASURES, DataSet, data_sets
from fit_features import ALL, VARIANTS, WORDS_ALONE, Array, Asked, asked_of
from fit_model import FIXED, L2, Model, Weights, figures, fitted
from stores import PRODUCT

OUT = PRODUCT / "recall" / "model" / "ranking.json"
GROUPS = 5

Sets = list[list[Asked]]
"""The questions of each data set."""


def questions(sets: Sequence[DataSet], variant: str) -> Sets:
    """Take the features of all questions from the product."""
    every = asked_of([told for each in sets for told in each.conversations], variant)
    names = [{told.name for told in each.conversations} for each in sets]
    return [[asked for asked in every if asked.conversation in among] for among in names]


def left_out(asked: Sequence[Asked]) -> Array:
    """Rank each conversation with what was fitted on the others."""
    names = dict.fromkeys(each.conversation for each in asked)
    found = [
        figures(
            [each for each in asked if each.conversation == name],
            fitted([[each for each in asked if each.conversation != name]]),
        )
        for name in names
    ]
    return np.concatenate(found)


def in_groups(sets: Sets, without: str | None = None) -> list[Array]:
    """Rank each group of conversations with what was fitted on the other groups of all sets."""
    group = {
        name: n % GROUPS
        for asked in sets
        for n, name in enumerate(dict.fromkeys(each.conversation for each in asked))
    }
    found: list[list[Array]] = [[] for _ in sets]
    for n in range(GROUPS):
        others = [[each for each in asked if group[each.conversation] != n] for asked in sets]
        model = fitted(others, without)
        for rows, asked in zip(found, sets, strict=True):
            rows.append(figures([each for each in asked if group[each.conversation] == n], model))
    return [np.concatenate(rows) for rows in found]


def percent(rows: Array) -> list[float]:
    return [round(100 * float(mean), 1) for mean in rows.mean(axis=0)]


def line(label: str, *cells: Array) -> None:
    shown = "   ".join(" ".join(f"{value:6.1f}" for value in percent(rows)) for rows in cells)
    print(f"{label:<40}{shown}")


def measure(sets: Sets, names: Sequence[str], found: Model) -> dict[str, Any]:
    """Print, and give, how well a model does on each set by what it was fitted on."""
    told: dict[str, Any] = {}
    for n, (name, asked) in enumerate(zip(names, sets, strict=True)):
        ways = {"left out": left_out(asked)}
        if others := sets[:n] + sets[n + 1 :]:
            ways["other set"] = figures(asked, fitted(others))
        ways["together"] = figures(asked, found)
        for way, rows in ways.items():
            line(f"{name}, {way}", rows)
        told[name] = {way: percent(rows) for way, rows in ways.items()}
    return told


def model(sets: Sets, names: Sequence[str], variant: str) -> tuple[Weights, dict[str, Any]]:
    size = np.mean([len(each.values) for asked in sets for each in asked])
    print(f"\n{variant}: {size:.0f} candidates a question{'':<6}{' '.join(MEASURES)}")
    found = fitted(sets)
    told = measure(sets, names, found)
    print("  " + ", ".join(f"{name} {weight:g}" for name, weight in found.weights.items()))
    return found.weights, told


def ablation(data: Sequence[DataSet]) -> None:
    """Print what is left without each stage, and without each feature."""
    print(f"\n{'fitted on the other groups':<40}" + "   ".join(f"{each.name:<20}" for each in data))
    for variant in VARIANTS:
        line(variant, *in_groups(questions(data, variant)))
    for variant in (ALL, WORDS_ALONE):
        print(f"\n{variant}, without")
        sets = questions(data, variant)
        for name in sets[0][0].names:
            if name not in FIXED:
                line(f"  {name}", *in_groups(sets, name))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("locomo", nargs="?", type=Path)
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    data = data_sets(options.locomo)
    names = [each.name for each in data]
    both = [model(questions(data, variant), names, variant) for variant in (ALL, WORDS_ALONE)]
    if options.ablation:
        ablation(data)
    if options.write:
        write(data, *both)


def write(
    data: Sequence[DataSet],
    everything: tuple[Weights, dict[str, Any]],
    words_alone: tuple[Weights, dict[str, Any]],
) -> None:
    """Write the weights, with all that it takes to fit them again."""
    told = {
        "weights": everything[0],
        "words_alone": words_alone[0],
        "fitted": {
            "by": "bench/fit.py",
            "on": [described(each) for each in data],
            "loss": "listwise softmax (Cao et al. 2007); each data set counts the same",
            "l2": L2,
            "seed": "none: Newton's method from zero, nothing is drawn",
            "by_hand": FIXED,
            "measures": MEASURES,
            "figures": {"weights": everything[1], "words_alone": words_alone[1]},
        },
    }
    spread = json.dumps(told, indent=2)
    # A row of figures reads best in one line.
    rows = re.sub(r"\[[^\[\]{}]+\]", lambda row: " ".join(row[0].split()), spread)
    OUT.write_text(rows + "\n", encoding="utf-8")


def described(each: DataSet) -> dict[str, Any]:
    return {
        "name": each.name,
        "conversations": len(each.conversations),
        "questions": sum(len(told.main) for told in each.conversations),
        "turns": sum(len(told.turns) for told in each.conversations),
        "sha256": each.sha256,
    }


if __name__ == "__main__":
    main()
