from typing import Annotated
from uuid import UUID

from pydantic import Field

from agent_mem.app import App
from agent_mem.behaviors.solving import counting, known_as
from agent_mem.recall.search import Request
from agent_mem.records.fields import Content
from agent_mem.records.signature import signature
from agent_mem.records.solution import Solution
from agent_mem.storage.statements import Transaction
from agent_mem.tools.scope import Agent, Project, Scope
from agent_mem.tools.tool import Result

LONGEST = 1_000
"""Characters of a text that are shown; the whole is behind a link."""
OTHERS = 3

Problem = Annotated[Content, Field(description="The problem: its error message, or in words")]


class Known(Result):
    id: UUID
    problem: str
    solution: str
    worked: int
    used: int
    others: list[str]
    exact: bool | None
    """It is the same problem but for its numbers."""
    more: str | None


class KnownSolutions(Result):
    solutions: list[Known]
    note: str | None = None


async def find_solution(
    app: App,
    *,
    problem: Problem,
    limit: Annotated[int, Field(ge=1, le=20)] = 3,
) -> KnownSolutions:
    """Find known solutions to a problem, with how often each worked. Call it before you debug."""
    key = await known_as(app, problem)
    request = Request(query=problem, kinds=("solution",), limit=limit, literal=True)
    meant = await app.finder.meant(request)

    def finding() -> Transaction[list[Solution]]:
        same = yield from app.store.getting(Solution, key)
        hits = (yield from app.finder.searching(request, meant)).hits
        like = [hit.record for hit in hits if isinstance(hit.record, Solution)]
        return [*([same] if same else []), *(found for found in like if found.id != key)]

    found = await app.store.engine.read(finding())
    return KnownSolutions(
        solutions=[known(solution, key) for solution in found[:limit]],
        note=None if found else "No solution is known. Record yours with record_solution.",
    )


class Recorded(Result):
    id: UUID
    solution: str
    worked: int
    used: int


async def record_solution(
    app: App,
    *,
    problem: Problem,
    solution: Annotated[Content, Field(description="What was done about it")],
    worked: bool = True,
    agent: Agent = None,
    project: Project = None,
) -> Recorded:
    """Record what solved a problem, or that it did not; every attempt counts.

    Returns the solution that is likeliest to work by now.
    """
    scope = Scope.of(app, agent, project)
    key = await known_as(app, problem)
    first = Solution(
        id=key,
        agent_name=scope.agent_name,
        project=scope.project,
        problem_signature=signature(problem),
        problem_description=problem,
        solution=solution,
    )

    saved = await app.store.engine.write(counting(app, first, worked=worked))
    return Recorded(
        id=key, solution=saved.solution, worked=saved.success_count, used=saved.usage_count
    )


def known(solution: Solution, asked: UUID) -> Known:
    texts = (
        solution.problem_description,
        solution.solution,
        *(o.solution for o in solution.others),
    )
    cut = len(solution.others) > OTHERS or any(len(text) > LONGEST for text in texts)
    return Known(
        id=solution.id,
        problem=clipped(solution.problem_description),
        solution=clipped(solution.solution),
        worked=solution.success_count,
        used=solution.usage_count,
        others=[clipped(attempt.solution) for attempt in solution.others[:OTHERS]],
        exact=True if solution.id == asked else None,
        more=f"memory://item/{solution.id}" if cut else None,
    )


def clipped(text: str) -> str:
    """Show so much of a text as a model can act on."""
    return text if len(text) <= LONGEST else text[:LONGEST].rstrip() + "…"
