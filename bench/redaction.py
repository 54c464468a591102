"""How much ordinary text and code redaction alters: it should alter none.

    python bench/redaction.py

Python's own library, this project's sources, and its documents. What is altered is shown, since
some of it is a password in a test, which is right to be taken out.
"""

import sysconfig
import time
from collections.abc import Iterable
from pathlib import Path

from agent_mem.hooks.redaction import redact

ROOT = Path(__file__).parent.parent
SHOWN = 8


def python() -> list[Path]:
    folder = Path(sysconfig.get_path("stdlib"))
    return [path for path in folder.rglob("*.py") if "site-packages" not in path.parts]


def sources() -> list[Path]:
    return [
        path for room in ("agent_mem", "tests", "bench") for path in (ROOT / room).rglob("*.py")
    ]


def documents() -> list[Path]:
    data = (ROOT / "bench" / "data").rglob("*.txt")
    return [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *data]


def measure(name: str, paths: Iterable[Path]) -> None:
    """Print the share of lines that are altered, some of them, and the speed."""
    text = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in paths)
    began = time.perf_counter()
    lines, after = text.split("\n"), redact(text).split("\n")
    took = time.perf_counter() - began
    if len(lines) != len(after):
        print(
            f"{name}: {len(lines) - len(after)} lines were taken out: a key, with what follows it"
        )
        return
    altered = [(old, new) for old, new in zip(lines, after, strict=True) if old != new]
    share, speed = len(altered) / len(lines), len(text) / took / 1e6
    print(f"{name}: {len(altered)} of {len(lines):,} lines ({share:.4%}), {speed:.1f} MB/s")
    for _, new in altered[:SHOWN]:
        print(f"    {new.strip()[:100]}")


if __name__ == "__main__":
    measure("Python's library", sorted(python()))
    measure("own sources", sorted(sources()))
    measure("own documents", sorted(documents()))
