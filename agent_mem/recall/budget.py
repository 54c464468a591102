"""How much of a model's context an answer takes."""

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from math import ceil
from typing import Any

PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+| {2,16}|[^\sA-Za-z0-9]")
RARE = re.compile("[jkqxz]")
LETTERS = 5
"""Letters of a word that make one token."""
LONG = 14
"""A word of more letters is none: a key, a hash, words run together."""
LETTERS_OF_LONG = 3
DIGITS = 2
"""Digits that make one token; capitals, too."""
SHORT = 3
SCRIPTS = (0x80, 0x370, 0x400, 0x530, 0x900, 0x980, 0x25A0, 0x2E80, 0xA000, 0x10000)
"""Where scripts begin: Latin, Greek, Cyrillic, Semitic, Hindi, other, signs, CJK, Hangul, emoji."""
COSTS = (1.0, 2.0, 1.4, 0.8, 1.2, 1.5, 2.1, 3.0, 1.2, 1.6, 2.5)
"""Tokens that one character takes: ASCII, then each of these."""


def tokens(text: str) -> int:
    """Bound the tokens of a text from above, without a tokenizer's vocabulary.

    Byte-pair vocabularies give a common English word one token, digits one for each two or
    three, and every other sign up to one for each byte; a space joins the word that follows
    it. Tried against a published vocabulary on prose in twenty languages, code, JSON, logs,
    ids and keys: hardly anything but made-up words and rare ideographs takes more.
    """
    return ceil(sum(map(_cost, PIECE.findall(text))))


@lru_cache(maxsize=4096)
def _cost(piece: str) -> float:
    if piece[-1].islower() and piece.isascii():
        return _word(piece)
    if piece.isalnum() and piece.isascii():
        return -(-len(piece) // DIGITS)
    return COSTS[bisect_right(SCRIPTS, ord(piece[0]))]


def _word(piece: str) -> int:
    """Count a word's tokens: more, if it does not look like a common English one."""
    size = len(piece)
    cost = -(-size // (LETTERS if size <= LONG else LETTERS_OF_LONG))
    foreign = size > SHORT and piece[-1] in "aiou"
    return cost + foreign + (RARE.search(piece) is not None)


def spent(value: Any) -> int:  # noqa: ANN401 - any JSON
    """Count the tokens of a value as it is sent."""
    return tokens(json.dumps(value, ensure_ascii=False))


class Budget:
    """Tokens to spend, and a count of what did not fit."""

    def __init__(self, limit: int) -> None:
        self.left = limit
        self.left_out = 0

    def take(self, value: Any) -> bool:  # noqa: ANN401 - any JSON
        """Spend what a value costs, if there is enough."""
        cost = spent(value) + 2
        if cost > self.left:
            return False
        self.left -= cost
        return True

    def fitting(self, values: Sequence[Any]) -> list[Any]:
        """Keep the values that fit, in their order; count the others."""
        kept = [value for value in values if self.take(value)]
        self.left_out += len(values) - len(kept)
        return kept
