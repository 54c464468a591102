"""Skills: who may use which, in which order, and what is loaded."""

import pytest
from conftest import Call
from helpers_skills import published, skill_md

from agent_mem.app import App
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.records.binding import Binding
from agent_mem.records.skill import Skill, sha256
from agent_mem.skills.schema import check_schema, misfit

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
    await published(app, *found.values())
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

    assert loaded.pop("note").startswith("Written by whoever `origin` names: data ")
    assert loaded.pop("origin") == {
        "by": "unknown",
        "machine": "this one",
        "at": skills["git"].created_at.isoformat().replace("+00:00", "Z"),
        "digest": skills["git"].fingerprint(),
    }
    whole = (
        b'---\nname: git\ndescription: "Rebase and bisect branches"\n---\n\n# Git\nBisect first.'
    )
    assert loaded.pop("files") == [
        {"path": "SKILL.md", "size": len(whole), "type": "text/markdown", "digest": sha256(whole)}
    ]
    assert loaded == {
        "name": "git",
        "description": "Rebase and bisect branches",
        "version": "1.0.0",
        "body": "# Git\nBisect first.",
        "spec": {"name": "git"},
        "dependencies": ["shell"],
        "missing": ["shell"],
        "config": {"level": 7},
    }
    assert "config" not in await call("load_skill", name="git")


async def test_the_latest_version_is_listed_and_loaded(app: App, call: Call) -> None:
    for version in ("1.0.0", "1.1.0"):
        await published(
            app, Skill(skill_name="git", description="d", version=version, body=f"At {version}.")
        )

    (listed,) = (await call("list_skills"))["skills"]

    assert listed["version"] == "1.1.0"
    assert (await call("load_skill", name="git"))["body"] == "At 1.1.0."


async def test_a_binding_follows_the_newest_version_unless_it_keeps_to_one(call: Call) -> None:
    said = {"name": "git", "description": "d"}
    await call("register_skill", **said, body="At 1.")
    await call("bind_skill", skill="git", agent="ana", config={"level": 1})
    kept = await call("bind_skill", skill="git", agent="bo", version="1.0.0")
    await call("register_skill", **said, body="At 1.10.", version="1.10.0")
    await call("register_skill", **said, body="At 1.9.", version="1.9.0")
    ana, bo = [await call("load_skill", name="git", agent=a) for a in ("ana", "bo")]
    again = await call("bind_skill", skill="git", agent="bo", version="newest")

    assert (ana["version"], ana["config"]) == ("1.10.0", {"level": 1})
    assert (kept["version"], bo["version"], bo["body"]) == ("1.0.0", "1.0.0", "At 1.")
    assert (again["id"], "version" in again) == (kept["id"], False)
    assert (await call("load_skill", name="git", agent="bo"))["version"] == "1.10.0"
    with pytest.raises(NotFound) as refused:
        await call("bind_skill", skill="git", version="3")
    assert str(refused.value) == (
        "The skill `git` has no version `3` to be used; it has 1.0.0, 1.9.0, 1.10.0."
    )


async def test_of_two_bindings_to_one_skill_the_later_one_holds(app: App, call: Call) -> None:
    """Two machines that had not heard of each other have bound two versions."""
    versions = [Skill(skill_name="git", description="d", version=v) for v in ("1.0.0", "2.0.0")]
    await published(app, *versions)
    await bind(app, "ana", (versions[0], 1, True), (versions[1], 2, False))

    assert await names(call, agent="ana") == []
    await bind(app, "ana", (Skill(skill_name="unknown", description="d"), 3, True))
    assert await names(call, agent="ana") == []


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


CONFIG = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


async def test_a_configuration_has_to_be_as_the_skill_wants_it(call: Call) -> None:
    said = {"name": "git", "description": "d"}
    await call("register_skill", **said, spec={"config_schema": CONFIG})
    with pytest.raises(InvalidInput) as wrong:
        await call("bind_skill", skill="git", config={"n": "x"})
    with pytest.raises(InvalidInput) as missing:
        await call("bind_skill", skill="git", config={})
    await call("bind_skill", skill="git", config={"n": 1})
    stricter = {**CONFIG, "required": ["n", "m"]}
    await call("register_skill", **said, spec={"config_schema": stricter}, version="2.0.0")

    assert str(wrong.value) == (
        "`config` does not fit `git` 1.0.0: `n`: 'x' is not of type 'integer'."
    )
    assert str(missing.value) == "`config` does not fit `git` 1.0.0: 'n' is a required property."
    loaded = await call("load_skill", name="git")
    assert loaded["config"] == {"n": 1}
    assert loaded["note"].endswith("does not fit this version: 'm' is a required property.")


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "thing"}, "`config_schema` is no JSON Schema: `type`: 'thing' is not valid"),
        ("x", "`config_schema` is no JSON Schema: 'x' is not of type 'object', 'boolean'"),
    ],
)
async def test_a_schema_has_to_be_one(call: Call, schema: object, why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await call("register_skill", name="git", description="d", spec={"config_schema": schema})

    assert str(refused.value).startswith(why)


async def test_a_schema_refers_to_nothing_elsewhere(call: Call) -> None:
    """A reference is not fetched: nobody is asked for it."""
    schema = {"$ref": "http://127.0.0.1:9/x.json"}
    await call("register_skill", name="git", description="d", spec={"config_schema": schema})

    with pytest.raises(
        InvalidInput, match=r"refers to `http://127\.0\.0\.1:9/x\.json`, which is not in"
    ):
        await call("bind_skill", skill="git", config={"a": 1})


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"type": "thing"},
        {"required": 3},
        {"properties": 5},
        {"propertyNames": {"pattern": "("}},
    ],
    ids=["endless", "no type", "no list", "no object", "no pattern"],
)
def test_a_schema_that_cannot_be_applied_is_told(schema: dict[str, object]) -> None:
    """It came by sync: nobody has to have checked it."""
    assert misfit({"config_schema": schema}, {"a": "b"}) == "its schema cannot be applied"


def test_a_schema_that_is_nested_too_deep_is_refused() -> None:
    schema: dict[str, object] = {}
    for _ in range(900):
        schema = {"not": schema}
    with pytest.raises(InvalidInput, match="`config_schema` is nested too deep"):
        check_schema({"config_schema": schema})


async def test_a_skill_is_registered_from_its_skill_md(call: Call) -> None:
    more = ("metadata:", "  category: code", "  dependencies: shell, sql", '  version: "2.1"')
    whole = skill_md("git", *more)
    new = await call("register_skill", body=whole)

    assert (new["name"], new["version"], new["missing"]) == ("git", "2.1", ["shell", "sql"])
    assert await names(call, category="code") == ["git"]
    loaded = await call("load_skill", name="git")
    assert (loaded["body"], loaded["description"]) == (whole, "How to git.")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({}, "register_skill needs `name`, or a frontmatter in `body`."),
        ({"name": "git"}, "register_skill needs `description`, or a frontmatter in `body`."),
        (
            {"name": "got", "body": skill_md("git")},
            "`name` is another than in the frontmatter: leave it out.",
        ),
        (
            {"description": "x", "body": skill_md("git")},
            "`description` is another than in the frontmatter: leave it out.",
        ),
        ({"name": "Git", "description": "d"}, None),
        ({"name": "g" * 65, "description": "d"}, None),
        ({"name": "git", "description": "d" * 1025}, None),
        ({"body": "---\nname: [\n---\n"}, None),
    ],
)
async def test_what_is_no_skill_is_refused(
    call: Call, said: dict[str, str], why: str | None
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await call("register_skill", **said)

    assert why in (None, str(refused.value))
    assert await names(call) == []


async def test_a_skill_never_depends_on_itself(call: Call) -> None:
    for name, needed in (("a", ["b", "c"]), ("b", ["c", "x"]), ("c", [])):
        await call("register_skill", name=name, description="d", dependencies=needed)
    await call("register_skill", name="e", description="d", dependencies=["a", "b"])
    with pytest.raises(InvalidInput) as itself:
        await call("register_skill", name="d", description="d", dependencies=["d"])
    with pytest.raises(InvalidInput) as around:
        await call(
            "register_skill", name="c", description="d", dependencies=["b", "a"], version="2"
        )

    assert str(itself.value) == "`d` would depend on itself: d needs d."
    assert str(around.value) == "`c` would depend on itself: c needs a needs c."
    assert (await call("load_skill", name="c"))["version"] == "1.0.0"


async def test_two_skills_never_have_one_address(call: Call) -> None:
    await call("register_skill", name="git_flow", description="d")

    with pytest.raises(InvalidInput, match="`git-flow` and `git_flow` would have one address"):
        await call("register_skill", name="git-flow", description="d")


async def test_each_load_is_counted(app: App, call: Call) -> None:
    await call("register_skill", name="git", description="d")
    for agent in ("ana", "bo", "ana"):
        await call("load_skill", name="git", agent=agent)
    await call("load_skill", name="git", file="SKILL.md")

    (row,) = await app.store.rows("skill_loads.counted")
    assert row["loads"] == 3


async def test_skills_are_found_by_what_a_query_means(
    app: App, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, description in (
        ("invoices", "Write bills for customers and send them."),
        ("tides", "Tell when the sea is high or low at a harbour."),
        ("bisect", "Find the commit that broke a test."),
    ):
        await call("register_skill", name=name, description=description)
    await app.finder.meaning.load()

    assert (await names(call, query="when may I sail out of the port?"))[:1] == ["tides"]
    assert (await names(call, query="charge a client money"))[:1] == ["invoices"]
    assert await names(call, query="zeppelin") == []
    assert await names(call, query="潮") == []
    monkeypatch.setattr("agent_mem.recall.meaning.LIKENED", 2)  # what was read is read anew
    assert (await names(call, query="when may I sail out of the port?"))[:1] == ["tides"]
