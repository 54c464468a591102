"""Skills in folders: imported whole or not at all, and exported byte for byte."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from conftest import Call
from helpers_skills import FOLDER, folder, published, skill_md

from agent_mem.app import App
from agent_mem.cli import output
from agent_mem.cli.main import main
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.records.skill import Skill
from agent_mem.records.skill_file import SkillFile
from agent_mem.skills.contents import rows
from agent_mem.skills.folder import drafts, write
from agent_mem.skills.publishing import publishing

PICTURE = bytes(range(256)) * 700
"""Bytes that are no text, and more than one row holds."""
ODD = "\ufeffnaïve\r\n🦆\n\x00".encode()


def skills(*words: object) -> Result:
    return CliRunner().invoke(main, ["skills", *map(str, words)])


def tree(at: Path) -> dict[str, tuple[bytes, bool]]:
    """Read what is in a folder, and what of it can be run."""
    return {
        path.relative_to(at).as_posix(): (
            path.read_bytes(),
            bool(path.stat().st_mode & stat.S_IXUSR),
        )
        for path in at.rglob("*")
        if path.is_file()
    }


def refused(*words: object) -> str:
    result = skills(*words)
    assert result.exit_code == 1
    return result.output.strip().removeprefix("Error: ")


def imported(*words: object) -> list[tuple[str, str, str]]:
    told = json.loads(skills("import", "--json", *words).stdout)["skills"]
    return [(each["name"], each["version"], each["status"]) for each in told]


def test_what_is_imported_is_exported_byte_for_byte(tmp_path: Path) -> None:
    given = tmp_path / "given"
    for name in ("code-review", "release-notes", "tide-tables"):
        files = {path: data for path, (data, _) in tree(FOLDER / name).items()}
        write(given / name, files, frozenset({"scripts/changed.sh"} & files.keys()))
    more = {
        "assets__big.bin": PICTURE,
        "a__odd.txt": ODD,
        "empty": b"",
        "wide.md": b"\xc3\xa9" * 99_000,
    }
    folder(given, "odd-things", "\ufeff" + skill_md("odd-things").replace("\n", "\r\n"), **more)
    (given / "odd-things" / ".git").mkdir()
    (given / "not-a-skill").mkdir()

    first, again = skills("import", given), imported(given)
    exported = skills("export", tmp_path / "out")
    twice = skills("export", tmp_path / "out", "odd-things")
    (given / "odd-things" / ".git").rmdir()

    assert first.output.splitlines() == [
        "code-review 2.1.0: new.",
        "odd-things 1.0.0: new.",
        "release-notes 1.0.0: new.",
        "tide-tables 1.0: new.",
    ]
    assert {status for _, _, status in again} == {"same"}
    assert tree(tmp_path / "out") == tree(given)
    assert (exported.exit_code, twice.exit_code) == (0, 0)
    script = tmp_path / "out" / "code-review" / "scripts" / "changed.sh"
    assert os.access(script, os.X_OK) == (os.name == "posix")
    script.write_text("other", encoding="utf-8")
    assert refused("export", tmp_path / "out", "code-review").endswith(
        "code-review has something else in it: export elsewhere."
    )
    assert script.read_text(encoding="utf-8") == "other"


def test_a_change_of_what_has_no_version_is_the_next_one(tmp_path: Path) -> None:
    git = folder(tmp_path, "git", **{"a.md": b"1"})
    versions = [imported(git)]
    (git / "a.md").write_bytes(b"2")
    versions += [imported(git), imported(git)]
    (git / "a.md").write_bytes(b"1")
    versions += [imported(git), imported(git, "--version", "1.4-beta")]
    (git / "a.md").write_bytes(b"3")
    versions += [imported(git)]

    assert [v[0][1:] for v in versions] == [
        ("1.0.0", "new"),
        ("1.0.1", "new"),
        ("1.0.1", "same"),
        ("1.0.0", "same"),
        ("1.4-beta", "new"),
        ("1.4-beta.1", "new"),
    ]
    (git / "a.md").write_bytes(b"4")
    assert refused("import", git, "--version", "1.0.1") == (
        "`git` 1.0.1 is published: give the change a new version."
    )


def test_of_several_skills_all_are_imported_or_none(tmp_path: Path) -> None:
    folder(tmp_path, "good", skill_md("good", "metadata: {dependencies: nowhere}"))
    folder(tmp_path, "bad", "no frontmatter")
    folder(tmp_path, "worse", skill_md("other"))

    assert refused("import", tmp_path) == (
        "bad: It does not begin with a frontmatter: `---`, YAML, `---`. worse: Its name is `other`,"
        " but its folder's is `worse`: they must be the same."
    )
    assert json.loads(skills("list", "--json").stdout) == {"skills": []}
    told = skills("import", tmp_path / "good").output
    assert told == "good 1.0.0: new; it needs nowhere, which is no skill here.\n"


def test_skills_that_are_imported_together_may_need_each_other(tmp_path: Path) -> None:
    folder(tmp_path, "a", skill_md("a", "metadata: {dependencies: b}"))
    folder(tmp_path, "b")
    assert skills("import", tmp_path).output == "a 1.0.0: new.\nb 1.0.0: new.\n"
    (tmp_path / "b" / "SKILL.md").write_text(skill_md("b", "metadata: {dependencies: a}"))

    assert refused("import", tmp_path) == "`b` would depend on itself: b needs a needs b."


def test_where_no_skill_is_nothing_is_imported(tmp_path: Path) -> None:
    assert refused("import", tmp_path / "x") == f"There is no folder {tmp_path / 'x'}."
    assert refused("import", tmp_path).endswith("there is no SKILL.md, nor in a folder in it.")


def large(git: Path) -> None:
    with (git / "large").open("wb") as file:
        file.truncate(16 * 2**20)


SPOILT: dict[str, Callable[[Path], object]] = {
    "`link` is a link that leads to no file inside the folder.": lambda git: (
        git / "link"
    ).symlink_to(__file__),
    "`up` is a link that leads to no file inside the folder.": lambda git: (git / "up").symlink_to(
        git
    ),
    "`pipe` is neither a file nor a folder.": lambda git: os.mkfifo(git / "pipe"),
    "It has the path 'con.md', in which `con.md` is a device on Windows: rename it.": lambda git: (
        git / "con.md"
    ).touch(),
    "`A.md` and `a.md` are one file on some systems: rename one.": lambda git: [
        (git / name).touch() for name in ("a.md", "A.md")
    ],
    "It has 513 files, which is more than 512.": lambda git: [
        (git / f"{n}").touch() for n in range(512)
    ],
    "Its files have 16777299 bytes, which is more than 16777216.": large,
}


@pytest.mark.skipif(os.name != "posix", reason="Windows has neither such links nor such names.")
@pytest.mark.parametrize("why", SPOILT, ids=range(len(SPOILT)))
def test_what_cannot_travel_is_refused(tmp_path: Path, why: str) -> None:
    git = folder(tmp_path, "git", skill_md("git").ljust(83))
    SPOILT[why](git)

    assert refused("import", git) == f"git: {why}"


def test_what_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system refuses, which it does not where root runs the tests."""
    git = folder(tmp_path, "git")

    def refusing(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refusing)

    assert refused("import", git) == "git cannot be read: Permission denied."


@pytest.mark.skipif(os.name != "posix", reason="Not everybody may make links on Windows.")
def test_a_link_inside_the_folder_is_the_file_that_it_leads_to(tmp_path: Path) -> None:
    git = folder(tmp_path, "git", **{"a.md": b"1"})
    (git / "b.md").symlink_to("a.md")

    (found,) = drafts([git])

    assert found.files == {"a.md": b"1", "b.md": b"1"}


def test_nothing_is_written_outside_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is no name"):
        write(tmp_path / "out", {"../x": b""}, frozenset())

    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_a_sentence_tells_so(tmp_path: Path) -> None:
    skills("import", FOLDER)
    (tmp_path / "file").touch()

    assert "cannot be written: " in refused("export", tmp_path / "file" / "x")


def test_a_skill_is_switched_off_and_on(settings: Any) -> None:  # noqa: ANN401, ARG001 - for its folder
    skills("import", FOLDER / "code-review")

    off = skills("deactivate", "code-review", "--version", "2.1.0")
    listed = json.loads(skills("list", "--json").stdout)["skills"]
    gone = refused("export", "out", "code-review")
    on = skills("deactivate", "code-review", "--undo")

    assert (off.output, on.output) == (
        "Versions that are inactive now: 1.\n",
        "Versions that are active again: 1.\n",
    )
    assert [(each["name"], each["state"]) for each in listed] == [("code-review", "inactive")]
    assert gone == "There is no skill `code-review`: list_skills names them."
    assert "active" in skills("list").output
    assert skills("deactivate", "code-review", "--undo").output.endswith(": 0.\n")


@pytest.mark.parametrize("name", ["../x", "/abs", "a/../../x", "con", ".."])
def test_what_a_skill_is_called_leads_out_of_no_folder(tmp_path: Path, name: str) -> None:
    """A name comes by sync as some machine made it."""
    skills("import", FOLDER / "code-review")

    async def named(app: App) -> None:
        await published(app, Skill(skill_name=name, description="d", body="b"))

    output.run(named)

    assert refused("export", tmp_path / "a" / "b") == (
        f"`{name}` cannot be a folder: deactivate it, or name the others."
    )
    assert list(tmp_path.rglob("SKILL.md")) == []


def test_what_is_to_be_approved_can_be_read(tmp_path: Path) -> None:
    async def waiting(app: App) -> None:
        (draft,) = drafts([folder(tmp_path, "git", **{"a.sh": b"one\x1b[2J\n"})])
        done = await app.store.engine.write(publishing(app.store, draft))
        changed = {"spec": {"k": "ü"}, "dependencies": ["shell"], "category": "code"}
        await app.store.put(done.skill.model_copy(update=changed))

    output.run(waiting)
    shown = skills("show", "git").output.splitlines()

    assert "waits for approval" in skills("list").output
    assert shown[2:5] == ["  category: code", "  needs: shell", '  spec: {"k": "ü"}']
    assert skills("show", "git", "--file", "a.sh").output == "one\ufffd[2J\n"
    assert skills("show", "git", "--file", "SKILL.md").output == skill_md("git")
    assert refused("show", "git", "--file", "b") == "`git` 1.0.0 has no file `b`."


def test_one_version_is_shown_and_exported(tmp_path: Path) -> None:
    skills("import", FOLDER / "code-review")
    shown = skills("show", "code-review", "--version", "2.1.0").output

    assert "scripts/changed.sh  52 bytes  sha256:" in shown
    assert "allowed-tools: Bash(git diff:*) Read" in shown
    assert refused("show", "x") == "There is no skill `x`."
    assert refused("show", "code-review", "--version", "3") == "There is no skill `code-review` 3."
    assert refused("approve", "code-review", "--yes") == (
        "Nothing of the skill `code-review` waits for approval."
    )
    assert skills("export", tmp_path, "code-review", "--version", "2.1.0").exit_code == 0
    assert refused("export", tmp_path, "code-review", "--version", "3") == (
        "The skill `code-review` has no version `3` to be used."
    )


@pytest.mark.anyio
async def test_one_file_is_loaded(app: App, call: Call) -> None:
    for draft in drafts([FOLDER]):
        await app.store.engine.write(publishing(app.store, draft))

    text = await call("load_skill", name="tide-tables", file="assets/tides.csv")
    picture = await call("load_skill", name="tide-tables", file="assets/icons/wave.png")

    assert (text["text"], text["type"]) == ("harbour,high,low\nKiel,04:10,10:25\n", "text/csv")
    assert (picture["base64"][:8], picture["type"]) == ("iVBORw0K", "image/png")
    with pytest.raises(NotFound) as unknown:
        await call("load_skill", name="tide-tables", file="../tide-tables/SKILL.md")
    assert str(unknown.value) == (
        "`tide-tables` has no file `../tide-tables/SKILL.md`: load_skill names them."
    )


@pytest.mark.anyio
@pytest.mark.parametrize("content", ["eA==", "a", None], ids=["another", "broken", "none"])
async def test_a_file_that_is_not_as_it_was_registered_is_not_given(
    app: App, call: Call, tmp_path: Path, content: str | None
) -> None:
    """It may not have arrived yet, or somebody has changed it on the server."""
    (draft,) = drafts([folder(tmp_path, "git", a=b"\xff\xfe")])
    skill = (await app.store.engine.write(publishing(app.store, draft))).skill
    (row,) = rows(skill.id, skill.files[0], b"\xff\xfe")
    changed = {"deleted_at": skill.created_at} if content is None else {"content": content}
    await app.store.put(row.model_copy(update=changed))

    with pytest.raises(NotFound) as refusal:
        await call("load_skill", name="git", file="a")

    assert str(refusal.value).startswith("The file `a` of `git` 1.0.0 is not here as it was")


@pytest.mark.anyio
async def test_a_long_file_is_a_resource(app: App, call: Call, tmp_path: Path) -> None:
    (draft,) = drafts([folder(tmp_path, "git", **{"a.txt": b"x" * 100_001})])
    skill = (await app.store.engine.write(publishing(app.store, draft))).skill
    with pytest.raises(InvalidInput, match=r"read it as the resource skill://git/a\.txt"):
        await call("load_skill", name="git", file="a.txt")

    pieces = await app.store.find(
        SkillFile,
        "skill_files.pieces",
        skill_id=skill.id,
        path="a.txt",
        digest=skill.files[0].digest,
    )
    assert [len(piece.content) for piece in pieces] == [96_000, 4_001]


@pytest.mark.anyio
async def test_a_skill_that_is_too_large_is_refused(app: App, tmp_path: Path) -> None:
    (draft,) = drafts([folder(tmp_path, "git")])
    draft.files["a"] = bytes(16 * 2**20)  # type: ignore[index] - as a caller might

    with pytest.raises(InvalidInput, match="a skill has at most 512 files and 16777216 bytes"):
        await app.store.engine.write(publishing(app.store, draft))
