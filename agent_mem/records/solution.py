from typing import ClassVar

from pydantic import BaseModel, Field

from agent_mem.records.fields import Content, Moment, Number
from agent_mem.records.rate import wilson
from agent_mem.records.record import Findable, Record


class Attempt(BaseModel):
    """One way to solve a problem, and how often it worked."""

    solution: Content
    success_count: int = 0
    usage_count: int = 0

    def promise(self) -> float:
        """Tell how often it works at least: what worked once in one attempt has shown little.

        Counts that cannot be, as somebody else's row may have them, are cut to what can.
        """
        uses = max(self.usage_count, 0)
        return wilson(min(max(self.success_count, 0), uses), uses).low

    def rank(self) -> tuple[float, int]:
        """Order by what works, then by what has failed less often."""
        return -self.promise(), self.usage_count - self.success_count


class Solution(Record):
    """A problem, what solves it best, and what else was tried."""

    TABLE: ClassVar[str] = "knowledge_base"
    KIND: ClassVar[str] = "solution"

    agent_name: str
    project: str | None = None
    problem_signature: str
    problem_description: Content
    solution: Content
    success_count: int = 0
    usage_count: int = 0
    success_rate: Number = 0.0
    last_used: Moment | None = None
    others: list[Attempt] = Field(default_factory=list[Attempt])

    def attempt(self) -> Attempt:
        """Give the way that comes first, and how often it worked."""
        return Attempt(
            solution=self.solution, success_count=self.success_count, usage_count=self.usage_count
        )

    def findable(self) -> Findable:
        return Findable(
            text=f"{self.problem_description}\n{self.solution}",
            at=self.last_used or self.created_at,
            agent_name=self.agent_name,
            project=self.project,
            importance=self.attempt().promise(),
        )

    def tried(self, solution: str, *, worked: bool) -> "Solution":
        """Count one more attempt; the one that is likeliest to work comes first."""
        known = {attempt.solution: attempt for attempt in (self.attempt(), *self.others)}
        before = known.get(solution, Attempt(solution=solution))
        known[solution] = Attempt(
            solution=solution,
            success_count=before.success_count + worked,
            usage_count=before.usage_count + 1,
        )
        best, *others = sorted(known.values(), key=Attempt.rank)
        return self.model_copy(
            update={
                **best.model_dump(),
                "success_rate": best.success_count / best.usage_count,
                "others": others,
            }
        )
