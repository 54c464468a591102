"""How much of a model's context an answer takes."""

import json
import re
from collections.abc import Iterable
from typing import Any

PIECE = re.compile(r"[A-Za-z]+|[0-9]+|[^\sA-Za-z0-9]")
LETTERS = 5
DIGITS = 2


def tokens(text: str) -> int:
    """Bound the tokens of a text from above, without a tokenizer's vocabulary.

    Byte-pair vocabularies give a common word one token, a rare one about a token for each
    three or four letters, digits one for each two or three, and every other sign up to one
    for each byte; a space joins the word that follows it.
    """
    return sum(_cost(piece) for piece in PIECE.findall(text))


def _cost(piece: str) -> int:
    if piece.isascii():
        return -(-len(piece) // (DIGITS if piece.isdigit() else LETTERS))
    return 2


def spent(value: Any) -> int:  # noqa: ANN401 - any JSON
    """Count the tokens of a value as it is sent."""
    return tokens(json.dumps(value, ensure_ascii=False))


class Budget:
    """Tokens to spend; what does not fit is left out and counted."""

    def __init__(self, limit: int) -> None:
        self.left = limit
        self.left_out = 0

    def take(self, value: Any) -> bool:  # noqa: ANN401 - any JSON
        """Spend what a value costs, if there is enough."""
        cost = spent(value) + 2
        if cost > self.left:
            self.left_out += 1
            return False
        self.left -= cost
        return True

    def fitting(self, values: Iterable[Any]) -> list[Any]:
        """Keep the values that fit, in their order."""
        return [value for value in values if self.take(value)]
