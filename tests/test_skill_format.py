"""The Agent Skills format: what is accepted, and one sentence for each thing that is wrong."""

import pytest
from helpers_skills import skill_md

from agent_mem.errors import InvalidInput
from agent_mem.records.portable import portable
from agent_mem.skills.document import decoded, document
from agent_mem.skills.frontmatter import read

HEAD = "name: git\ndescription: d\n"


def front(yaml: str) -> dict[str, object]:
    return read(f"---\n{yaml}\n---\nBody.").values


def test_scalars_are_those_of_the_core_schema() -> None:
    """As hosts read them: YAML 1.1 would make a truth of `yes`, and a date of the day."""
    yaml = """
a: yes
b: true
c: 1.10
d: 012
e: 2026-05-01
f: "7"
g: ~
h:
i: [1, -2e1, 0x1f, 0o17, 12345678901234567890]
j: {k: 'no', l: null}
"""

    assert front(yaml) == {
        "a": "yes",
        "b": True,
        "c": 1.1,
        "d": 12,
        "e": "2026-05-01",
        "f": "7",
        "g": None,
        "h": None,
        "i": [1, -20.0, 31, 15, 12345678901234567890.0],
        "j": {"k": "no", "l": None},
    }


@pytest.mark.parametrize(
    "text", ["\ufeff" + skill_md("git"), skill_md("git").replace("\n", "\r\n")]
)
def test_marks_and_line_ends_of_windows_are_read(text: str) -> None:
    assert document(text, "git")[1:3] == ("git", "How to git.")


def test_numbers_in_metadata_stay_as_they_are_written() -> None:
    assert document(skill_md("git", "metadata:", "  version: 1.10")).version == "1.10"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("# Git", "It does not begin with a frontmatter: `---`, YAML, `---`."),
        ("---\nname: git\n", "It does not begin with a frontmatter: `---`, YAML, `---`."),
        ("---\n- a\n---\n", "Its frontmatter is not a list of names with values."),
        ("---\n---\n", "Its frontmatter is not a list of names with values."),
        (f"---\nx: {'y' * 20_000}\n---\n", "Its frontmatter is longer than 20000 characters."),
        ("---\na: &b 1\nc: *b\n---\n", "Its frontmatter has an alias (`*name`): write it out."),
        ("---\na: 1\na: 2\n---\n", "Its frontmatter has `a` twice."),
        ("---\n? [a]\n: 1\n---\n", "Its frontmatter has a name that is not text."),
        ("---\na: !x 1\n---\n", "Its frontmatter has the YAML tag `!x`: leave it out."),
        (
            f"---\na: {'[' * 17}{']' * 17}\n---\n",
            "Its frontmatter is nested more than 16 levels deep.",
        ),
        (f"---\na: {'[' * 9000}\n---\n", "Its frontmatter is no YAML."),
        ("---\na: [\n---\n", "Its frontmatter is no YAML (line 3: "),
        ("---\na: \x07\n---\n", "Its frontmatter is no YAML."),
        (
            "---\n{}\n---\n",
            "Its frontmatter has no `name`. Its frontmatter has no `description`.",
        ),
        (
            "---\nname: Git_1\ndescription: d\n---\n",
            "Its name `Git_1` is not made of a-z, 0-9 and single hyphens between them",
        ),
        (
            f"---\nname: {'g' * 65}\ndescription: d\n---\n",
            "Its `name` has 65 characters, which is more than 64. Its name is",
        ),
        (
            f"---\nname: git\ndescription: {'d' * 1025}\n---\n",
            "Its `description` has 1025 characters, which is more than 1024.",
        ),
        ("---\nname: git\ndescription: ''\n---\n", "Its `description` is not a text."),
        ("---\nname: [git]\ndescription: d\n---\n", "Its `name` is not a text."),
        ("---\nname: got\ndescription: d\n---\n", "Its name is `got`, but its folder's is `git`"),
        (
            f"---\n{HEAD}compatibility: {'c' * 501}\n---\n",
            "Its `compatibility` has 501 characters, which is more than 500.",
        ),
        (f"---\n{HEAD}metadata: x\n---\n", "Its `metadata` is not a list of names with values."),
        (f"---\n{HEAD}metadata: {{a: [b]}}\n---\n", "`a` in its `metadata` is not a text."),
        (
            f"---\n{HEAD}metadata: {{version: ''}}\n---\n",
            "`version` in its `metadata` has to have 1 to 64 characters.",
        ),
        (
            f"---\n{HEAD}metadata: {{config_schema: '[]'}}\n---\n",
            "`config_schema` in its `metadata` is not a JSON object, written as text.",
        ),
        (
            f"---\n{HEAD}metadata: {{config_schema: 'x'}}\n---\n",
            "`config_schema` in its `metadata` is not a JSON object, written as text.",
        ),
    ],
    ids=range(26),
)
def test_what_is_wrong_is_told_in_a_sentence(text: str, why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        document(text, "git")

    assert str(refused.value).startswith(why)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff", "Its SKILL.md is not UTF-8."),
        (b"a\0", "Its SKILL.md holds a NUL character, which cannot be stored: leave it out."),
        (b" ", "Its SKILL.md is blank: say something."),
        (
            b"a" * 100_001,
            "Its SKILL.md is longer than 100000 characters: move some to references/.",
        ),
    ],
    ids=["bytes", "nul", "blank", "long"],
)
def test_a_skill_md_has_to_be_text(data: bytes, why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        decoded(data)

    assert str(refused.value) == why


@pytest.mark.parametrize(
    "path", ["a", "scripts/run.sh", ".env", "a b/é 日本.md", "console/com.txt"]
)
def test_what_is_a_file_everywhere_is_one(path: str) -> None:
    assert portable(path) == path


@pytest.mark.parametrize(
    "path",
    [
        *("", "/etc/passwd", "a/../b", "..", "./a", "a//b", "a/", "C:/a", "a\\b", "a\nb"),
        *(
            "con",
            "a/AUX.txt",
            "lpt1",
            "a.",
            "a ",
            " a",
            "a?",
            "a\udcff",
            "x" * 201,
            "a/" * 200 + "a",
        ),
    ],
)
def test_what_is_outside_or_no_file_somewhere_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"has the path|is a path|is an absolute path"):
        portable(path)
