"""The seed packs: what they teach, to whom, and that loading one again changes nothing."""

import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner, Result
from mcp.types import Tool

from agent_mem.app import App, open_app
from agent_mem.cli import output
from agent_mem.cli.main import main
from agent_mem.config import Settings
from agent_mem.errors import InvalidInput
from agent_mem.records.binding import Binding
from agent_mem.records.record import named_id, now
from agent_mem.records.skill import Skill

CATEGORIES = {
    "odoo_mailgate": ("integration", ["odoo", "mailgun"]),
    "mailgun_send": ("integration", ["mailgun"]),
    "scout_query": ("analysis", ["supabase", "postgresql"]),
    "bir_compliance": ("compliance", ["odoo", "philippine_tax"]),
    "docker_operations": ("deployment", ["docker"]),
    "nginx_config": ("deployment", ["nginx"]),
    "odoo_module_operations": ("deployment", ["odoo", "postgresql"]),
    "git_operations": ("deployment", ["git"]),
}
PRIORITIES = {
    "odoo_developer": [
        ("odoo_mailgate", 10),
        ("odoo_module_operations", 20),
        ("docker_operations", 30),
        ("nginx_config", 40),
        ("git_operations", 50),
        ("bir_compliance", 60),
    ],
    "finance_ssc_expert": [
        ("bir_compliance", 10),
        ("scout_query", 20),
        ("odoo_module_operations", 30),
    ],
    "devops_engineer": [
        ("docker_operations", 10),
        ("nginx_config", 20),
        ("git_operations", 30),
        ("odoo_module_operations", 40),
    ],
}
TABLES = ("skills", "agent_skill_bindings", "outbox", "changes", "replica")


def seed(*more: str) -> Result:
    return CliRunner().invoke(main, ["seed", *more])


@pytest.fixture
def seeded() -> dict[str, Any]:
    """Load the pack, and give what the command tells of it."""
    return json.loads(seed("ops-team", "--json").stdout)


def with_app(settings: Settings, work: Callable[[App], Any]) -> Any:  # noqa: ANN401 - whatever the work gives
    async def working() -> Any:  # noqa: ANN401 - see above
        async with open_app(settings) as app:
            return await work(app)

    return anyio.run(working)


def called(settings: Settings, tool: str, /, **arguments: object) -> dict[str, Any]:
    return with_app(settings, lambda app: output.tool(tool)(app, arguments))


def everything(path: Path) -> dict[str, list[Any]]:
    with sqlite3.connect(path) as connection:
        found = {t: connection.execute(f"SELECT * FROM {t}").fetchall() for t in TABLES}  # noqa: S608 - our own names
    connection.close()
    return found


def test_loading_tells_what_the_pack_has(seeded: dict[str, Any]) -> None:
    names = {agent: [name for name, _ in ranks] for agent, ranks in PRIORITIES.items()}

    assert seeded == {
        "pack": "ops-team",
        "skills": 8,
        "bindings": 13,
        "new": 21,
        "agents": names,
    }


def test_loading_tells_it_in_words() -> None:
    first, again = seed("ops-team").stdout, seed("ops-team").stdout

    assert first.startswith("The pack ops-team has 8 skills and 13 bindings: 21 of them new.\n")
    assert "finance_ssc_expert   bir_compliance, scout_query, odoo_module_operations" in first
    assert again.startswith("The pack ops-team has 8 skills and 13 bindings: nothing changed.\n")


@pytest.mark.usefixtures("seeded")
def test_each_skill_has_its_category_and_dependencies(settings: Settings) -> None:
    skills: list[Skill] = with_app(settings, lambda app: app.store.find(Skill, "skills.all"))

    assert {s.skill_name: (s.category, s.dependencies) for s in skills} == CATEGORIES
    assert all(skill.version == "1.0.0" and skill.is_active for skill in skills)


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("agent", PRIORITIES)
def test_an_agent_is_bound_to_its_skills_in_order(settings: Settings, agent: str) -> None:
    listed = called(settings, "list_skills", agent=agent)["skills"]
    bound: list[Binding] = with_app(
        settings,
        lambda app: app.store.find(Binding, "agent_skill_bindings.of_agent", agent=agent),
    )

    assert [(s["name"], b.priority) for s, b in zip(listed, bound, strict=True)] == PRIORITIES[
        agent
    ]
    assert all(binding.enabled for binding in bound)


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("name", CATEGORIES)
def test_a_skill_is_a_sound_skill_md_and_a_sound_tool(settings: Settings, name: str) -> None:
    skill = called(settings, "load_skill", name=name)

    opened = re.match(
        r'---\nname: ([a-z0-9-]{1,64})\ndescription: (".*")\n---\n\n# ', skill["body"]
    )
    assert opened
    assert opened[1] == name.replace("_", "-")
    assert json.loads(opened[2]) == skill["description"]
    assert "Use " in skill["description"]
    assert len(skill["description"]) <= 1024
    assert len(skill["body"].splitlines()) < 500
    tool = Tool.model_validate(skill["spec"])
    assert (tool.name, tool.description) == (name, skill["description"])
    properties: dict[str, dict[str, Any]] = tool.input_schema["properties"]
    assert tool.input_schema["type"] == "object"
    assert set(tool.input_schema["required"]) <= properties.keys()
    assert all(argument["type"] and argument["description"] for argument in properties.values())


@pytest.mark.usefixtures("seeded")
def test_an_agent_is_refused_a_skill_that_it_is_not_bound_to(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="no enabled binding to the skill `mailgun_send`"):
        called(settings, "load_skill", agent="devops_engineer", name="mailgun_send")


@pytest.mark.usefixtures("seeded")
def test_loading_twice_changes_nothing(settings: Settings) -> None:
    before = everything(settings.db)

    again = json.loads(seed("ops-team", "--json").stdout)

    assert again["new"] == 0
    assert everything(settings.db) == before
    assert len(before["skills"]) == 8
    assert len(before["agent_skill_bindings"]) == 13


@pytest.mark.usefixtures("seeded")
def test_what_the_user_has_changed_stays(settings: Settings) -> None:
    skill = named_id("skill", "me", "git_operations", "1.0.0")
    key = named_id("binding", "me", "devops_engineer", str(skill))

    async def switching_off(app: App) -> None:
        binding = await app.store.get(Binding, key)
        assert binding
        await app.store.put(binding.model_copy(update={"enabled": False}))

    with_app(settings, switching_off)
    seed("ops-team")

    names = [s["name"] for s in called(settings, "list_skills", agent="devops_engineer")["skills"]]
    assert names == ["docker_operations", "nginx_config", "odoo_module_operations"]


@pytest.mark.usefixtures("seeded")
def test_what_was_removed_comes_back(settings: Settings) -> None:
    key = named_id("skill", "me", "git_operations", "1.0.0")

    async def removing(app: App) -> None:
        skill = await app.store.get(Skill, key)
        assert skill
        await app.store.put(skill.model_copy(update={"deleted_at": now()}))

    with_app(settings, removing)
    again = json.loads(seed("ops-team", "--json").stdout)

    assert again["new"] == 1
    assert called(settings, "load_skill", name="git_operations")["name"] == "git_operations"


def test_two_machines_give_the_same_ids_and_two_owners_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keys(file: str, owner: str) -> set[str]:
        monkeypatch.setenv("AGENT_MEM_DB", str(tmp_path / file))
        monkeypatch.setenv("AGENT_MEM_OWNER", owner)
        seed("ops-team")
        found = everything(tmp_path / file)
        return {row[1] for name in TABLES[:2] for row in found[name]}

    here, there, others = keys("a.db", "team"), keys("b.db", "team"), keys("c.db", "else")

    assert len(here) == 21
    assert here == there
    assert not here & others


def test_an_unknown_pack_is_answered_with_the_packs_that_there_are() -> None:
    refused = seed("ops_crew")

    assert refused.exit_code == 1
    assert refused.stderr == "Error: There is no pack `ops_crew`; there is brainops, ops-team.\n"


def test_help_names_the_packs() -> None:
    assert "Packs: brainops, ops-team." in seed("--help").stdout
