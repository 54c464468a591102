"""Publishing a version of a skill: it is approved here with that, and never changed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from agent_mem.errors import InvalidInput
from agent_mem.records.record import named_id
from agent_mem.records.skill import (
    LARGEST,
    MOST_FILES,
    SKILL_MD,
    Entry,
    Maker,
    Skill,
    sha256,
    slug,
)
from agent_mem.skills.contents import manifest, rows
from agent_mem.skills.registry import Registry, approving, knowing
from agent_mem.storage.statements import Transaction
from agent_mem.storage.store import Store

FIRST: Final = "1.0.0"
LAST_NUMBER: Final = re.compile(r"(.*?)(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be published."""

    name: str = ""
    description: str = ""
    body: str | None = None
    category: str | None = None
    version: str | None = None
    """None is the next one, if anything is another than in the last."""
    spec: dict[str, Any] = field(default_factory=dict[str, Any])
    dependencies: list[str] = field(default_factory=list[str])
    active: bool = True
    files: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    executable: frozenset[str] = frozenset()
    maker: Maker | None = None

    def entries(self) -> list[Entry]:
        """List the files beside the SKILL.md.

        Raises:
            InvalidInput: one is too long.
        """
        size = sum(map(len, self.files.values())) + len((self.body or "").encode())
        if size > LARGEST or len(self.files) >= MOST_FILES:
            raise InvalidInput(
                f"`{self.name}` has {len(self.files) + 1} files of {size} bytes in all: a skill has"
                f" at most {MOST_FILES} files and {LARGEST} bytes."
            )
        return [
            Entry(path=p, size=len(b), digest=sha256(b), executable=p in self.executable)
            for p, b in sorted(self.files.items())
        ]

    def of(self, owner: str, version: str) -> Skill:
        """Make its record."""
        return Skill(
            id=named_id("skill", owner, self.name, version),
            skill_name=self.name,
            description=self.description,
            category=self.category,
            version=version,
            spec=self.spec,
            body=self.body,
            dependencies=self.dependencies,
            is_active=self.active,
            files=self.entries(),
            registered_by=self.maker,
        )


class Published(NamedTuple):
    skill: Skill
    status: str
    """`new`, `same`, or `changed`: it is active now, or not any more."""
    missing: list[str]
    """What it depends on that is no skill here."""


def publishing(store: Store, draft: Draft) -> Transaction[Published]:
    """Write a version that is new, or whether it is active.

    Raises:
        InvalidInput: the version was published with other content; another skill has its address;
            or it would depend on itself.
    """
    registry = yield from knowing(store)
    for other in registry.skills:
        if other.skill_name != draft.name and slug(other.skill_name) == slug(draft.name):
            raise InvalidInput(f"`{draft.name}` and `{other.skill_name}` would have one address.")
    skill = draft.of(store.owner, draft.version or following(registry, draft, store.owner))
    refuse_circles(registry, skill)
    known = {other.skill_name for other in registry.skills}
    missing = [name for name in skill.dependencies if name not in known]
    before = yield from store.getting(Skill, skill.id, forgotten=True)
    if before and not before.deleted_at:
        status = yield from again(store, before, skill)
    else:
        skill, status = (yield from store.saving(skill)), "new"
    yield from filing(store, skill, draft.files)
    yield from approving(store, skill)
    return Published(skill, status, missing)


def again(store: Store, before: Skill, skill: Skill) -> Transaction[str]:
    """Publish what is published: only whether it is active may be another.

    Raises:
        InvalidInput: it is another.
    """
    if before.fingerprint() != skill.fingerprint():
        raise InvalidInput(
            f"`{skill.skill_name}` {skill.version} is published: give the change a new version."
        )
    if before.is_active == skill.is_active:
        return "same"
    yield from store.saving(before.model_copy(update={"is_active": skill.is_active}))
    return "changed"


def filing(store: Store, skill: Skill, files: Mapping[str, bytes]) -> Transaction[None]:
    """Write the files that are not there."""
    for entry in manifest(skill):
        if entry.path != SKILL_MD:
            for row in rows(skill.id, entry, files[entry.path]):
                if (yield from store.getting(type(row), row.id)) is None:
                    yield from store.saving(row)


def following(registry: Registry, draft: Draft, owner: str) -> str:
    """Find the version that a draft without one is: one that says the same, or the next."""
    versions = registry.versions(draft.name)
    if not versions:
        return FIRST
    for known in reversed(versions):
        if draft.of(owner, known.version).fingerprint() == known.fingerprint():
            return known.version
    taken = {skill.version for skill in versions}
    version = versions[-1].version
    while version in taken:
        version = stepped(version)
    return version


def stepped(version: str) -> str:
    """Count the last number of a version up by one."""
    if found := LAST_NUMBER.fullmatch(version):
        return f"{found[1]}{int(found[2]) + 1}"
    return f"{version}.1"


def refuse_circles(registry: Registry, skill: Skill) -> None:
    """Walk what a skill depends on, by the newest versions.

    Raises:
        InvalidInput: it depends on itself.
    """
    needs = {s.skill_name: s.dependencies for s in sorted(registry.skills, key=lambda s: s.hlc)}
    needs[skill.skill_name] = skill.dependencies
    seen: set[str] = set()
    left = [(name, [skill.skill_name, name]) for name in skill.dependencies]
    while left:
        name, way = left.pop()
        if name == skill.skill_name:
            raise InvalidInput(f"`{name}` would depend on itself: {' needs '.join(way)}.")
        if name not in seen:
            seen.add(name)
            left += [(further, [*way, further]) for further in needs.get(name, [])]
