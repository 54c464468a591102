"""Skills: who may use which, in which order, and what is loaded."""

import pytest
from conftest import Call

from agent_mem.app import App
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.records.binding import Binding
from agent_mem.records.skill import Skill

pytestmark = pytest.mark.anyio


@pytest.fixture
async def skills(app: App) -> dict[str, Skill]:
    found = {
        "git": Skill(
            skill_name="git",
            description="Rebase and bisect branches",
            category="code",
            body="# Git\nBisect first.",
            spec={"name": "git"},
            dependencies=["shell"],
        ),
        "sql": Skill(skill_name="sql", description="Write queries", category="data"),
        "css": Skill(skill_name="css", description="Style pages", category="code"),
        "old": Skill(skill_name="old", description="Write Perl", is_active=False),
    }
    await app.store.put(*found.values())
    return found


async def bind(app: App, agent: str, *bindings: tuple[Skill, int, bool]) -> None:
    await app.store.put(
        *(
            Binding(
                agent_name=agent,
                skill_id=skill.id,
                priority=priority,
                enabled=enabled,
                config={"level": priority},
            )
            for skill, priority, enabled in bindings
        )
    )


async def names(call: Call, **arguments: object) -> list[str]:
    return [skill["name"] for skill in (await call("list_skills", **arguments)).get("skills", [])]


@pytest.mark.usefixtures("skills")
async def test_an_agent_without_bindings_may_use_every_active_skill(call: Call) -> None:
    listed = await call("list_skills")

    assert [skill["name"] for skill in listed["skills"]] == ["css", "git", "sql"]
    assert listed["skills"][1] == {
        "name": "git",
        "description": "Rebase and bisect branches",
        "category": "code",
        "version": "1.0.0",
    }


async def test_an_agent_with_bindings_uses_what_is_enabled_in_its_order(
    app: App, call: Call, skills: dict[str, Skill]
) -> None:
    bound = ((skills["git"], 2, True), (skills["sql"], 1, True), (skills["css"], 0, False))
    await bind(app, "ana", *bound, (skills["old"], 3, True))

    assert await names(call, agent="ana") == ["sql", "git"]
    assert await names(call, agent="bo") == ["css", "git", "sql"]


@pytest.mark.usefixtures("skills")
async def test_skills_are_listed_by_category_and_by_words(call: Call) -> None:
    assert await names(call, category="code") == ["css", "git"]
    assert await names(call, query="how do I bisect a branch?") == ["git"]
    assert await names(call, query="sql or css") == ["css", "sql"]
    assert await names(call, category="data", query="git") == []
    assert await call("list_skills", query="zeppelin") == {"note": "No such skills."}


async def test_a_skill_is_loaded_with_its_configuration_for_the_agent(
    app: App, call: Call, skills: dict[str, Skill]
) -> None:
    await bind(app, "ana", (skills["git"], 7, True))

    loaded = await call("load_skill", name="git", agent="ana")

    assert loaded == {
        "name": "git",
        "description": "Rebase and bisect branches",
        "version": "1.0.0",
        "body": "# Git\nBisect first.",
        "spec": {"name": "git"},
        "dependencies": ["shell"],
        "config": {"level": 7},
    }
    assert "config" not in await call("load_skill", name="git")


async def test_the_latest_version_is_listed_and_loaded(app: App, call: Call) -> None:
    for version in ("1.0.0", "1.1.0"):
        await app.store.put(
            Skill(skill_name="git", description="d", version=version, body=f"At {version}.")
        )

    (listed,) = (await call("list_skills"))["skills"]

    assert listed["version"] == "1.1.0"
    assert (await call("load_skill", name="git"))["body"] == "At 1.1.0."


async def test_an_agent_keeps_the_version_that_is_bound(app: App, call: Call) -> None:
    old = Skill(skill_name="git", description="d", version="1.0.0")
    await app.store.put(old, Skill(skill_name="git", description="d", version="1.1.0"))
    await bind(app, "ana", (old, 1, True))

    assert (await call("load_skill", name="git", agent="ana"))["version"] == "1.0.0"


@pytest.mark.parametrize("name", ["sql", "css"])
async def test_a_skill_that_is_not_bound_or_not_enabled_is_refused(
    app: App, call: Call, skills: dict[str, Skill], name: str
) -> None:
    await bind(app, "ana", (skills["git"], 1, True), (skills["css"], 2, False))

    with pytest.raises(InvalidInput) as refused:
        await call("load_skill", name=name, agent="ana")

    assert str(refused.value) == f"The agent `ana` has no enabled binding to the skill `{name}`."


@pytest.mark.usefixtures("skills")
@pytest.mark.parametrize("name", ["perl", "old"])
async def test_a_skill_that_is_not_there_is_refused(call: Call, name: str) -> None:
    with pytest.raises(NotFound) as refused:
        await call("load_skill", name=name)

    assert str(refused.value) == f"There is no skill `{name}`: list_skills names them."
