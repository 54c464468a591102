"""Tell what happened, project by project."""

from collections import defaultdict

from agent_mem.app import App
from agent_mem.behaviors.action import Found, Outcome, Task
from agent_mem.records.record import now

SHOWN = 5
"""Names of a kind that are told; the others are counted."""
RELEVANCE = 0.4
NOWHERE = "everywhere"
"""What is about no project in particular."""

Counts = dict[str, dict[str, int]]


async def digest(app: App, task: Task) -> Outcome:
    """Count what happened in the time window, and say it in a sentence for each project."""
    window = {"since": task.since, "project": task.params.project}
    projects: defaultdict[str | None, Counts] = defaultdict(dict)
    for row in await app.store.rows("insights.digest", **window):
        projects[row["project"]].setdefault(row["what"], {})[row["name"]] = row["n"]
    day = f"{now():%Y-%m-%d}"
    found = [
        Found("digest", f"Up to {day}: {sentence(counts)}", RELEVANCE, project)
        for project, counts in projects.items()
    ]
    return Outcome({"projects": {name or NOWHERE: c for name, c in projects.items()}}, found)


def sentence(counts: Counts) -> str:
    """Say what happened, the most frequent first."""
    return "; ".join(f"{what}: {several(names)}" for what, names in counts.items()) + "."


def several(names: dict[str, int]) -> str:
    told = [f"{name} ({n})" for name, n in list(names.items())[:SHOWN]]
    more = len(names) - SHOWN
    return ", ".join([*told, *([f"{more} more"] if more > 0 else [])])
