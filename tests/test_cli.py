"""The command in the shell: what it prints, and how it fails."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result
from helpers_endpoint import MODEL, serving

from agent_mem.app import open_app
from agent_mem.cli import output
from agent_mem.cli.main import COMMANDS, main
from agent_mem.cli.status import size
from agent_mem.config import Settings
from agent_mem.errors import InvalidInput
from agent_mem.recall.ranking import WEIGHTS, WORDS_ALONE, Weights
from agent_mem.records import RECORDS
from agent_mem.storage.migrations import steps

COLD = ("--kind", "preference", "--topic", "drinks", "--subject", "Ana")

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """Run the command in this process, on the memory that the environment names."""

    def running(*arguments: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(main, arguments, input=stdin)

    return running


@pytest.fixture
def told(run: Run) -> Callable[..., Any]:
    """Run the command and read the JSON that it prints."""

    def running(*arguments: str) -> Any:  # noqa: ANN401 - JSON
        result = run(*arguments, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    return running


def in_process(name: str, settings: Settings, **arguments: object) -> dict[str, Any]:
    """Run a tool as a server does."""

    async def calling() -> dict[str, Any]:
        async with open_app(settings) as app:
            await app.finder.meaning.load()
            return await output.tool(name)(app, arguments)

    return anyio.run(calling)


def test_what_is_remembered_is_recalled_with_who_and_why(run: Run) -> None:
    done = run("remember", "Ana drinks her tea cold.", *COLD)
    found = run("recall", "How does Ana drink tea?")

    assert done.exit_code == 0
    assert done.stdout.startswith("Remembered: ")
    key = done.stdout.split()[-1]
    heading, text, why, last = found.stdout.splitlines()
    assert heading.endswith("preference · Ana · drinks")
    assert text == "    Ana drinks her tea cold."
    assert why.startswith("    why: words: ")
    assert "tea" in why
    assert last == f"    id: {key}"


def test_the_json_of_a_command_is_the_answer_of_its_tool(
    told: Callable[..., Any], settings: Settings
) -> None:
    done = told("remember", "Ben moved the port to 6432.", "--tag", "net", "--tag", "db")

    assert done.keys() == {"id", "status"}
    assert told("recall", "Ben's port", "--limit", "5") == in_process(
        "recall", settings, query="Ben's port", limit=5
    )


@pytest.mark.parametrize(
    ("command", "own"), [("remember", {"as_json"}), ("recall", {"as_json", "explain"})]
)
def test_a_command_takes_all_that_its_tool_takes(command: str, own: set[str]) -> None:
    found = main.get_command(click.Context(main), command)

    assert found
    names = {parameter.name for parameter in found.params}
    assert names == output.tool(command).arguments.model_fields.keys() | own


def test_remembering_says_what_became_of_it(run: Run) -> None:
    first = run("remember", "The port is 6432 on every machine.").stdout
    old = first.split()[-1]
    again = run("remember", "The port is 6432 on every machine.").stdout
    near = run("remember", "The port is 6432 on every one machine.").stdout
    corrected = run("remember", "It is 6433 by now.", "--supersedes", old, "--key", "k").stdout
    repeated = run("remember", "It is 6433 by now.", "--key", "k").stdout

    assert again == f"Known already, and reinforced: {old}\n"
    assert near.splitlines()[1:] == [
        f"Says nearly the same: {old}  The port is 6432 on every machine."
    ]
    assert corrected.startswith("Remembered as a correction: ")
    assert repeated == f"Remembered before under this key: {corrected.split()[-1]}\n"


def test_a_text_can_come_through_stdin(run: Run, told: Callable[..., Any]) -> None:
    run("remember", "-", stdin="Zoë moved to Zürich.\nIt rains there.\n".encode())

    (hit,) = told("recall", "Zürich")["hits"]
    assert hit["text"] == "Zoë moved to Zürich.\nIt rains there."


def test_what_is_not_text_is_refused_in_a_sentence(run: Run) -> None:
    refused = run("remember", "-", stdin=b"caf\xe9")

    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: `content` holds half of a surrogate pair")
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "wrong",
    [{"limit": "51"}, {"limit": "many"}, {"max_tokens": "1"}, {"since": "yesterday"}],
)
def test_a_bound_is_told_in_the_sentence_that_a_model_reads(
    run: Run, wrong: dict[str, str]
) -> None:
    ((name, value),) = wrong.items()

    refused = run("recall", "x", f"--{name.replace('_', '-')}", value)

    with pytest.raises(InvalidInput) as sentence:
        output.tool("recall").check({"query": "x", **wrong})
    assert refused.exit_code == 1
    assert refused.stderr == f"Error: {sentence.value}\n"
    assert refused.stdout == ""


def test_kinds_can_be_given_several_times(run: Run, told: Callable[..., Any]) -> None:
    for kind in ("fact", "plan", "error"):
        run("remember", f"The harbour has a {kind}.", "--kind", kind)

    hits = told("recall", "harbour", "--kind", "plan", "--kind", "error")["hits"]

    assert {hit["kind"] for hit in hits} == {"plan", "error"}


def test_nothing_found_is_said(run: Run) -> None:
    assert run("recall", "giraffes").stdout == "Nothing found. Try other words, or fewer filters.\n"


def test_what_does_not_fit_is_counted(run: Run, told: Callable[..., Any]) -> None:
    for town in ("Oslo", "Rome", "Kyiv", "Lima"):
        run("remember", f"{town} has a harbour, {'and a long quay by the sea ' * 12}at {town}.")

    left_out = told("recall", "harbour", "--max-tokens", "200")["left_out"]
    last = run("recall", "harbour", "--max-tokens", "200").stdout.splitlines()[-1]

    assert left_out >= 2
    assert last == f"{left_out} more did not fit into --max-tokens."


@pytest.mark.parametrize(("embedder", "weights"), [("builtin", WEIGHTS), ("none", WORDS_ALONE)])
def test_explaining_shows_what_every_score_is_the_sum_of(
    run: Run,
    told: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    embedder: str,
    weights: Weights,
) -> None:
    monkeypatch.setenv("AGENT_MEM_EMBEDDER", embedder)
    run("remember", "Ana moved the port to 6432 in May.", "--subject", "Ana")
    run("remember", "Ben asked which port it was.", "--subject", "Ben")
    run("remember", "Ana will choose a port.", "--kind", "plan")

    plain = told("recall", "which port did Ana choose", "--kind", "fact")["hits"]
    hits = told("recall", "which port did Ana choose", "--kind", "fact", "--explain")["hits"]
    shown = run("recall", "which port did Ana choose", "--kind", "fact", "--explain").stdout
    lines = [line.split() for line in shown.splitlines()]

    assert [hit["id"] for hit in hits] == [hit["id"] for hit in plain]
    assert hits[0]["who"] == "Ana"
    assert hits[0]["score"] > hits[1]["score"]
    for hit in hits:
        total = sum(weights[name] * value for name, value in hit["features"].items())
        assert hit["score"] == pytest.approx(total)
        assert f"score {hit['score']:.3f}" in shown
        assert hit["features"].keys() == weights.keys()
        for name, value in hit["features"].items():
            figures = (value, weights[name], value * weights[name])
            assert [name, *(f"{figure:.3f}" for figure in figures)] in lines


def test_the_latest_are_shown_without_a_query_and_explained_by_nothing(
    told: Callable[..., Any], run: Run
) -> None:
    run("remember", "The sea is calm.")

    (hit,) = told("recall", "", "--explain")["hits"]

    assert (hit["why"], hit["score"], hit["features"]) == ("latest", 0, {})
    assert "score 0.000" in run("recall", "", "--explain").stdout


def test_a_stored_text_cannot_steer_the_terminal(run: Run) -> None:
    evil = "Title \x1b]0;owned\x07 and \x9b2J [bold]port[/bold] end"
    run("remember", evil)

    shown = run("recall", "title").stdout

    assert "Title \N{REPLACEMENT CHARACTER}]0;owned\N{REPLACEMENT CHARACTER} and" in shown
    assert "[bold]port[/bold] end" in shown
    assert not {"\x1b", "\x07", "\x9b"} & set(shown)


def test_a_setting_that_makes_no_sense_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_MEM_OWNER", "x" * 201)

    refused = run("status")

    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: AGENT_MEM_OWNER: ")
    assert refused.stderr.count("\n") == 1


def test_a_damaged_file_is_told_in_a_sentence(run: Run, settings: Settings) -> None:
    settings.db.parent.mkdir()
    settings.db.write_bytes(b"This is not a database. " * 1000)

    refused = run("recall", "x")

    assert refused.exit_code == 1
    assert refused.stderr == ("Error: The database file is damaged: run `agent-mem doctor`.\n")


@pytest.mark.parametrize("file", [".", "taken/memory.db"])
def test_a_place_that_cannot_be_written_is_told_in_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str
) -> None:
    (tmp_path / "taken").touch()
    monkeypatch.setenv("AGENT_MEM_DB", str(tmp_path / file))

    refused = run("remember", "x")

    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"Error: No database can be kept at {tmp_path / file} (")
    assert refused.stderr.count("\n") == 1


def test_status_counts_what_is_stored_and_what_waits(
    told: Callable[..., Any], run: Run, settings: Settings
) -> None:
    run("remember", "One.", "--session", "morning")
    two = run("remember", "Two.").stdout.split()[-1]
    in_process("forget", settings, id=two)

    found = told("status")

    empty = dict.fromkeys((model.TABLE for model in RECORDS), 0)
    assert found["records"] == {**empty, "memories": 1, "sessions": 1}
    assert found["sync"]["waiting"] == 3  # two memories, one of them forgotten, and a session
    known = len(steps("sqlite"))
    assert found["schema"] == {"applied": known, "known": known}
    assert found["file"] == str(settings.db)
    assert found["bytes"] >= settings.db.stat().st_size > 0
    assert found["sqlite"] == sqlite3.sqlite_version
    assert (found["owner"], found["agent"], found["project"]) == ("me", "agent", None)
    assert found["embedder"] == "builtin"
    (model,) = found["models"]
    assert model.items() >= {"set": True, "embedded": 1, "passages": 1, "trouble": None}.items()


def test_status_says_it_in_words(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    everywhere = run("status").stdout
    monkeypatch.setenv("AGENT_MEM_PROJECT", "/src/boat")
    here = run("status").stdout

    assert "recall    all-MiniLM-L6-v2: 0 of 0 passages embedded\n" in everywhere
    assert "project   everywhere" in everywhere
    assert "project   /src/boat" in here
    assert [line.split() for line in here.splitlines() if "insights" in line] == [["insights", "0"]]


def test_status_tells_what_finds_by_meaning(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("remember", "One.")
    run("recall", "one")
    ready = run("status").stdout
    with serving() as api:
        monkeypatch.setenv("AGENT_MEM_EMBEDDER", MODEL)
        monkeypatch.setenv("AGENT_MEM_EMBEDDER_URL", api.url)
        monkeypatch.setenv("AGENT_MEM_EMBEDDER_KEY", "sk-wrong")
        answering = run("status").stdout
        api.key = "sk-right"
        refused = run("status")
    monkeypatch.setenv("AGENT_MEM_EMBEDDER", "none")
    alone = run("status").stdout

    assert "recall    all-MiniLM-L6-v2: 1 of 1 passages embedded\n" in ready
    assert f"embedded; {MODEL}@" in answering
    assert ": 0 of 1 passages embedded\n" in answering
    assert "does not work: " in refused.stdout
    assert "check AGENT_MEM_EMBEDDER_KEY" in refused.stdout
    assert "sk-" not in refused.output + run("status", "--json").output
    assert (
        "recall    by words alone, as AGENT_MEM_EMBEDDER says; all-MiniLM-L6-v2 (not in use): 1 of"
        " 1 passages embedded\n" in alone
    )


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (5 * 1024**2, "5.0 MiB"),
        (3 * 1024**4, "3072.0 GiB"),
    ],
)
def test_a_size_is_written_in_its_largest_unit(count: int, words: str) -> None:
    assert size(count) == words


def test_help_names_every_command(run: Run) -> None:
    shown = run("--help").stdout

    assert all(f"\n  {name} " in shown for name in COMMANDS)


shell = partial(subprocess.run, cwd=Path(__file__).parent, capture_output=True, timeout=60)


def test_an_unknown_command_is_named(run: Run) -> None:
    result = run("nonsense")

    assert result.exit_code == 2
    assert "No such command 'nonsense'" in result.stderr


def test_the_shell_completes_commands() -> None:
    completion = ShellComplete(main, {}, "agent-mem", "_AGENT_MEM_COMPLETE")

    offered = [item.value for item in completion.get_completions([], "re")]

    assert offered == ["remember", "recall", "reembed"]


def test_a_server_with_a_setting_that_makes_no_sense_says_so(env: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent_mem", "serve"],
        env={**env, "AGENT_MEM_LOG_LEVEL": "LOUD"},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: AGENT_MEM_LOG_LEVEL: Input should be 'DEBUG', 'INFO'")


def test_a_real_process_keeps_what_the_next_one_finds(env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "agent_mem"]
    text = "漢字 stand in this memory."
    # JSON is UTF-8 even where the terminal is not.
    poor = {**env, "PYTHONIOENCODING": "latin-1"}

    done = shell([*command, "remember", "-"], env=env, input=text.encode())
    found = shell([*command, "recall", "memory", "--json"], env=poor)

    assert (done.returncode, done.stderr) == (0, b"")
    assert (found.returncode, found.stderr) == (0, b"")
    (hit,) = json.loads(found.stdout.decode("utf-8"))["hits"]
    assert hit["text"] == text
    assert text.encode() in found.stdout


def test_a_real_process_fails_in_one_sentence(env: dict[str, str]) -> None:
    refused = shell([sys.executable, "-m", "agent_mem", "recall", "x", "--limit", "0"], env=env)

    assert refused.returncode == 1
    assert refused.stdout == b""
    assert refused.stderr.startswith(b"Error: `limit`: ")
    assert len(refused.stderr.splitlines()) == 1
