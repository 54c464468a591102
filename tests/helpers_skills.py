"""Skills to test with: some in folders, and some that are simply there."""

from pathlib import Path

from agent_mem.app import App
from agent_mem.records.skill import Skill
from agent_mem.skills.registry import approving

FOLDER = Path(__file__).parent / "data" / "skills"


async def published(app: App, *skills: Skill) -> None:
    """Have skills be there and approved, as those that were registered here are."""
    for skill in skills:
        await app.store.put(skill)
        await app.store.engine.write(approving(app.store, skill))


def folder(at: Path, name: str, text: str | None = None, /, **files: bytes) -> Path:
    """Make a skill's folder; `__` in a name of a file is a slash."""
    made = at / name
    made.mkdir(parents=True)
    (made / "SKILL.md").write_bytes((text or skill_md(name)).encode())
    for path, data in files.items():
        (made / path.replace("__", "/")).parent.mkdir(parents=True, exist_ok=True)
        (made / path.replace("__", "/")).write_bytes(data)
    return made


def skill_md(name: str, *lines: str, body: str = "Do it well.") -> str:
    front = "\n".join([f"name: {name}", f"description: How to {name}.", *lines])
    return f"---\n{front}\n---\n\n{body}\n"
