"""The linear model: its loss, Newton's method, and how well it ranks.

The loss is listwise softmax (Cao et al. 2007, ListNet's top one) with an L2 penalty. The problem is
convex and begins at zero: nothing is drawn at random.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from conversations import TOP, measured
from fit_features import Array, Asked

L2 = 1e-3
CLOSE = 1e-6
"""Where the slope along a step is less than this, the end is reached."""
STEPS = 30
LEAST_SHARE = 1e-3
DIGITS = 3
FIXED = {"phrase": 3.0}
"""Set by hand: hardly a question of the data sets quotes, so that it cannot be fitted."""

Weights = dict[str, float]


class Model(NamedTuple):
    """What the product has: weights of all features, and of those that need no encoder."""

    weights: Weights
    alone: Weights


class Problem(NamedTuple):
    """All rows of all questions, one after the other."""

    x: Array
    y: Array
    """One over the number of a question's rows that are right, for each of them."""
    starts: list[int]
    sizes: list[int]
    shares: Array
    """What each question counts; one together."""


class Point(NamedTuple):
    loss: float
    gradient: Array
    curvature: Array


def fitted(sets: Sequence[Sequence[Asked]], without: str | None = None) -> Model:
    """Fit a model on some sets of questions, each of which counts the same.

    Those that the encoder cannot read only tell the weights of words alone.
    """
    alone = weights([[asked.by_words for asked in among] for among in sets], without)
    read = [[asked for asked in among if asked.read] for among in sets]
    return Model(weights(read, without) if all(read) else alone, alone)


def weights(sets: Sequence[Sequence[Asked]], without: str | None) -> Weights:
    """Fit one weight a feature."""
    names = sets[0][0].names
    used = [i for i, name in enumerate(names) if name not in FIXED and name != without]
    found = newton(problem(sets, used))
    told = zip([names[i] for i in used], found, strict=True)
    by_hand = {name: weight for name, weight in FIXED.items() if name in names}
    return dict.fromkeys(names, 0.0) | {name: round(w, DIGITS) for name, w in told} | by_hand


def problem(sets: Sequence[Sequence[Asked]], used: Sequence[int]) -> Problem:
    """Lay out the questions for which something right is among the candidates."""
    rows: list[tuple[Array, Array, float]] = []
    for among in sets:
        right = [(asked, _right(asked)) for asked in among]
        kept = [(asked.values[:, used], y / y.sum()) for asked, y in right if y.any()]
        rows += [(x, y, 1 / (len(kept) * len(sets))) for x, y in kept]
    sizes = [len(x) for x, _, _ in rows]
    return Problem(
        x=np.concatenate([x for x, _, _ in rows]),
        y=np.concatenate([y for _, y, _ in rows]),
        starts=np.cumsum([0, *sizes[:-1]]).tolist(),
        sizes=sizes,
        shares=np.array([share for _, _, share in rows]),
    )


def _right(asked: Asked) -> Array:
    evidence = asked.question.evidence
    return np.array([not evidence.isdisjoint(keys) for keys in asked.found], np.float64)


def at(p: Problem, w: Array) -> Point:
    """Compute the loss at `w`, with its gradient and its Hessian."""
    z = p.x @ w
    z -= np.repeat(np.maximum.reduceat(z, p.starts), p.sizes)
    z -= np.repeat(np.log(np.add.reduceat(np.exp(z), p.starts)), p.sizes)
    share = np.repeat(p.shares, p.sizes)
    chance = np.exp(z)
    loss = -(share * p.y) @ z + L2 * w @ w
    gradient = p.x.T @ (share * (chance - p.y)) + 2 * L2 * w
    weighted = p.x * chance[:, np.newaxis]
    mean = np.add.reduceat(weighted, p.starts, axis=0)
    second = p.x.T @ (weighted * share[:, np.newaxis]) - mean.T @ (mean * p.shares[:, np.newaxis])
    return Point(float(loss), gradient, second + 2 * L2 * np.eye(len(w)))


def newton(p: Problem) -> Array:
    """Find the least loss; a step that leads up is halved."""
    w = np.zeros(p.x.shape[1])
    here = at(p, w)
    for _ in range(STEPS):
        step = np.linalg.solve(here.curvature, here.gradient)
        if here.gradient @ step < CLOSE:
            break
        share = 1.0
        while (there := at(p, w - share * step)).loss > here.loss and share > LEAST_SHARE:
            share /= 2
        w, here = w - share * step, there
    return w


def figures(sets: Sequence[Asked], model: Model) -> Array:
    """Compute the measures of each question, one row a question; each by the weights it takes."""
    return np.array(
        [
            measured(
                ranked(asked, model.weights if asked.read else model.alone),
                asked.question.evidence,
            )
            for asked in sets
        ]
    )


def ranked(asked: Asked, weights: Mapping[str, float]) -> list[str]:
    """Rank the turns of the memories that were found, each as its best passage."""
    scores = asked.values @ np.array([weights[name] for name in asked.names])
    found: dict[str, None] = {}
    order: list[int] = np.argsort(-scores, kind="stable").tolist()
    for i in order:
        found |= dict.fromkeys(asked.found[i])
        if len(found) >= TOP:
            break
    return list(found)
