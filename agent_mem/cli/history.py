"""Real input for the demo: the history of the repository that the user stands in."""

import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple

NEWEST = 50
FEWEST = 3
LONGEST = 300
SECONDS = 10
GIT = ("git", "log", "-z", f"-{NEWEST}", "--date=short", "--format=%h%x1f%ad%x1f%an%x1f%s")
# The user's own settings may say otherwise.
PLAIN = ("--encoding=UTF-8", "--no-show-signature")


class Commit(NamedTuple):
    hash: str
    date: str
    author: str
    subject: str

    @property
    def by(self) -> str:
        """Name the author as far as a name can be stored."""
        return self.author[:200].strip() or "unknown"

    def __str__(self) -> str:
        return f"{self.date} {self.hash} {self.subject}"


class History(NamedTuple):
    """Commits, oldest first, and where they are from."""

    source: str
    commits: list[Commit]

    def facts(self) -> dict[str, str]:
        """Tell what is worth remembering of it, each with a question that it answers."""
        first, last = self.commits[0], self.commits[-1]
        author, count = Counter(commit.by for commit in self.commits).most_common(1)[0]
        return {
            "Who wrote most of the commits?": (
                f"{author} wrote {count} of the {len(self.commits)} commits that were read."
            ),
            "What is the newest commit?": f"The newest commit is {last.hash}: {last.subject}",
            "When does the history begin?": f"The history that was read begins on {first.date}.",
            "What should a review look at first?": (
                "Asked for a review, look at the newest commit first, then at its tests."
            ),
        }


BUILT_IN = History(
    "a small built-in history",
    [
        Commit("3f1c2aa", "2026-03-02", "Ana", "Keep sessions in one SQLite file"),
        Commit(
            "8b07d1e", "2026-03-05", "Ben", "Fix the lost update when two clients write at once"
        ),
        Commit("c94e650", "2026-03-09", "Ana", "Move the staging database to port 6432"),
        Commit("17ad3b2", "2026-03-12", "Ana", "Write the outbox in the transaction of its row"),
        Commit("e2590cf", "2026-03-16", "Mia", "Explain in the README how to restore a backup"),
    ],
)


def history(folder: Path) -> tuple[History, str | None]:
    """Read the newest commits of a folder's repository, or say why others are used instead."""
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            [*GIT, *PLAIN], cwd=folder, capture_output=True, timeout=SECONDS, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return BUILT_IN, "git did not answer"
    if done.returncode:
        return BUILT_IN, f"there is no git history in {folder}"
    lines = done.stdout.decode(errors="replace").split("\0")
    commits = [commit(line) for line in reversed(lines) if line]
    if len(commits) < FEWEST:
        return BUILT_IN, f"the repository in {folder} has fewer than {FEWEST} commits"
    return History(str(folder), commits), None


def commit(line: str) -> Commit:
    """Read a line of git's; a whole paragraph can stand where a subject should."""
    key, date, author, subject = line.split("\x1f", 3)
    return Commit(key, date, author, subject[:LONGEST])
