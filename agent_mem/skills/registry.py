"""The versions of all skills: which of them are approved here, and which one an agent gets."""

import re
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from agent_mem.errors import NotFound
from agent_mem.records.binding import Binding
from agent_mem.records.record import now
from agent_mem.records.skill import Skill
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Store, decode

NUMBERED: Final = re.compile(r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(-.*)?(?:\+.*)?")


def age(skill: Skill) -> tuple[object, ...]:
    """Order versions by their numbers, a release after what led to it; all else by its time."""
    found = NUMBERED.fullmatch(skill.version)
    numbers = tuple(int(part or 0) for part in found.groups()[:3]) if found else (-1,)
    release = not (found and found[4])
    return numbers, release, skill.created_at, skill.id


@dataclass(frozen=True, slots=True)
class Registry:
    """All versions that are here, and what was approved of them."""

    skills: list[Skill]
    approvals: set[tuple[UUID, str]]

    def approved(self, skill: Skill) -> bool:
        """Look whether a version was approved here as it is, or made here before approvals were."""
        either = {(skill.id, skill.fingerprint()), (skill.id, f"{skill.hlc}:{skill.origin}")}
        return bool(either & self.approvals)

    def versions(self, name: str) -> list[Skill]:
        """List the versions of a skill, the oldest first."""
        return sorted((s for s in self.skills if s.skill_name == name), key=age)

    def serving(self) -> dict[str, list[Skill]]:
        """List by their names the versions that may be used, the oldest first."""
        found: dict[str, list[Skill]] = {}
        for skill in sorted(self.skills, key=age):
            if skill.is_active and self.approved(skill):
                found.setdefault(skill.skill_name, []).append(skill)
        return {name: found[name] for name in sorted(found)}

    def waiting(self) -> list[Skill]:
        """List what has to be approved here before it may be used, by name."""
        wait = (s for s in self.skills if s.is_active and not self.approved(s))
        return sorted(wait, key=lambda s: (s.skill_name, age(s)))

    def newest(self, name: str) -> Skill:
        """Give the version of a skill that may be used.

        Raises:
            NotFound: there is none.
        """
        if found := self.serving().get(name):
            return found[-1]
        if any(skill.skill_name == name for skill in self.waiting()):
            raise NotFound(
                f"The skill `{name}` came from another machine and waits for approval: the user"
                f" looks at it and approves it with `agent-mem skills approve {name}`."
            )
        raise NotFound(f"There is no skill `{name[:80]}`: list_skills names them.")


def knowing(store: Store) -> Transaction[Registry]:
    """Read what is here."""
    rows = yield store.query("skills.all")
    skills = [decode(Skill, row) for row in rows]
    approved = yield store.query("skill_approvals.all")
    return Registry(skills, {(UUID(str(row["skill_id"])), row["digest"]) for row in approved})


def approving(store: Store, skill: Skill) -> Transaction[None]:
    """Note that a person here has said that a version may be used, or has made it."""
    noted = {"skill_id": skill.id, "digest": skill.fingerprint(), "approved_at": now()}
    yield store.query("skill_approvals.add", **noted)


def permitted(store: Store, agent: str) -> Transaction[list[tuple[Skill, dict[str, Any]]]]:
    """List an agent's skills with their configuration, the most important first.

    An agent that has bindings may use what is bound and enabled; one that has none, any skill.
    """
    return allowed((yield from knowing(store)), (yield from bindings(store, agent)))


def bindings(store: Store, agent: str) -> Transaction[list[Binding]]:
    """List what is bound to an agent, in its order."""
    rows = yield store.query("agent_skill_bindings.of_agent", agent=agent)
    return [decode(Binding, row) for row in rows]


def allowed(registry: Registry, bound: list[Binding]) -> list[tuple[Skill, dict[str, Any]]]:
    """Choose the version of each skill that bindings allow."""
    serving = registry.serving()
    if not bound:
        return [(versions[-1], {}) for versions in serving.values()]
    found: list[tuple[Skill, dict[str, Any]]] = []
    for name, binding in named(registry, bound).items():
        fitting = [s for s in serving.get(name, []) if binding.version in (None, s.version)]
        if binding.enabled and fitting:
            found.append((fitting[-1], binding.config))
    return found


def named(registry: Registry, bound: list[Binding]) -> dict[str, Binding]:
    """Name the skills that are bound; of two bindings to one name the later one holds."""
    names = {skill.id: skill.skill_name for skill in registry.skills}
    last: dict[str, Binding] = {}
    for binding in sorted(bound, key=lambda b: (b.hlc, b.origin)):
        if name := names.get(binding.skill_id):
            last[name] = binding
    return dict(sorted(last.items(), key=lambda item: (item[1].priority, item[1].id)))
