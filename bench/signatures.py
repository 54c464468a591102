"""Error messages and their signatures: `python bench/signatures.py [--misses]`.

Each message of `data/errors.jsonl` comes in three variants, as the same failure would come again in
another place: with other paths, numbers, ids, addresses and times. Beside them is a different error
that looks alike. The messages of the set `dev` were at hand when the rules were written. Those of
`held-out` were written before, and no rule was made for any of them.
"""

import argparse
import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Final, NamedTuple

from agent_mem.records.signature import signature

DATA: Final = Path(__file__).parent / "data" / "errors.jsonl"
SETS: Final = ("dev", "held-out")


class Message(NamedTuple):
    program: str
    set: str
    variants: list[str]
    near: str

    def signatures(self) -> list[str]:
        return [signature(variant) for variant in self.variants]

    def shared(self) -> bool:
        """Tell whether all variants have one signature."""
        return len(set(self.signatures())) == 1

    def apart(self) -> bool:
        """Tell whether the error that looks alike has another signature than any variant."""
        return signature(self.near) not in self.signatures()


def messages(name: str) -> list[Message]:
    lines = DATA.read_text(encoding="utf-8").splitlines()
    return [message for line in lines if (message := Message(**json.loads(line))).set == name]


def different(some: Sequence[Message]) -> tuple[int, int]:
    """Count the pairs of variants of different messages, and those with different signatures."""
    found = [(n, made) for n, one in enumerate(some) for made in set(one.signatures())]
    pairs = [(a, b) for (n, a), (m, b) in combinations(found, 2) if n != m]
    return len(pairs), sum(a != b for a, b in pairs)


def row(name: str) -> str:
    """Write the rates of one set."""
    some = messages(name)
    pairs, apart = different(some)
    shared, near = sum(m.shared() for m in some), sum(m.apart() for m in some)
    return (
        f"| {name} | {len(some)} | {shared} ({shared / len(some):.1%})"
        f" | {near} ({near / len(some):.1%}) | {apart} of {pairs} ({apart / pairs:.1%}) |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--misses", action="store_true", help="show the misses of the set `dev`")
    print("| messages | n | variants share one | a look-alike has another | different differ |")
    print("| --- | --- | --- | --- | --- |")
    for name in SETS:
        print(row(name))
    if parser.parse_args().misses:
        for message in messages("dev"):
            if not message.shared():
                print(f"\n{message.program}", *sorted(set(message.signatures())), sep="\n  ")


if __name__ == "__main__":
    main()
