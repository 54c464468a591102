"""What a transcript tells of a conversation's work, free of secrets."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, cast

from agent_mem.hooks.redaction import redact
from agent_mem.hooks.transcript import Called, Json, Reading, Said

LONGEST: Final = 20_000
"""Characters of one thing that was said."""
TOLD: Final = 4_000
"""Characters of an answer or a summary in a snapshot, and of an error."""
LINE: Final = 500
LATEST: Final = {"asked": 10, "files": 30, "unsolved": 5}
"""Lines that a snapshot keeps."""
EDITS: Final = frozenset({"Edit", "MultiEdit", "Write", "NotebookEdit"})
STATUS: Final = {"pending": "todo", "in_progress": "doing", "completed": "done", "deleted": "done"}


class Solved(NamedTuple):
    """A command that failed and worked afterwards, and what was done in between."""

    call: Called
    problem: str
    solution: str


class News(NamedTuple):
    """What is new of a conversation."""

    said: list[Said]
    failed: list[tuple[Called, str]]
    solved: list[Solved]
    lists: dict[str, list[str]]
    """What a snapshot keeps the last lines of."""
    called: list[Called]


def news(reading: Reading) -> News:
    """Find what is worth keeping; from here on, no secret is in it."""
    # What is cut off before cannot be half a secret of what is kept: it is as long again.
    said = [one._replace(text=cut(clean(one.text[: 2 * LONGEST]), LONGEST)) for one in reading.said]
    called = [cleaned(call) for call in reading.called]
    failed = [(call, problem(call)) for call in called if call.failed]
    ways = {call.id: solving(call, called) for call, _ in failed}
    return News(
        said=[one for one in said if one.text],
        failed=failed,
        solved=[Solved(call, text, ways[call.id]) for call, text in failed if ways[call.id]],
        lists={
            "asked": [cut(one.text, LINE) for one in said if one.role == "user"],
            "files": [target(call) for call in called if call.tool in EDITS and not call.failed],
            "unsolved": [cut(text, LINE) for call, text in failed if not ways[call.id]],
        },
        called=called,
    )


def snapshot(before: Json, new: News, open_tasks: Sequence[str]) -> Json:
    """Bring where the work stands up to date; what a model has saved itself stays."""
    said = {one.role: cut(one.text, TOLD) for one in new.said}
    lists = {
        name: latest([*listed(before, name), *new.lists[name]], most)
        for name, most in LATEST.items()
    }
    told = {"answer": said.get("assistant"), "summary": said.get("summary")}
    after = {**before, **lists, **{name: text for name, text in told.items() if text}}
    return {name: value for name, value in (after | {"tasks": [*open_tasks]}).items() if value}


def listed(context: Json, name: str) -> list[str]:
    """Read a list of a snapshot, which others may have written otherwise."""
    value = context.get(name)
    return [str(item) for item in cast("list[Any]", value)] if isinstance(value, list) else []


def latest(lines: Iterable[str], most: int) -> list[str]:
    """Keep each line once, where it was said last, and of all the last."""
    once = dict.fromkeys(reversed([line for line in lines if line]))
    return list(once)[:most][::-1]


def tasks(before: Json, called: Iterable[Called]) -> Json:
    """Follow the client's list of tasks: each one's number, title and status."""
    found = dict(before)
    for call in called:
        number = str(call.given.get("taskId"))
        match call.tool:
            case "TaskCreate" if not call.failed:
                made = call.told.get("task")
                number = str(cast("Json", made).get("id")) if isinstance(made, dict) else ""
                found[number] = [str(call.given.get("subject")), "todo"]
            case "TaskUpdate" if number in found:
                title, status = found[number]
                found[number] = [title, STATUS.get(str(call.given.get("status")), status)]
            case "TodoWrite" if not call.failed:
                found = numbered(call.given.get("todos"))
            case _:
                pass
    return found


def numbered(todos: object) -> Json:
    """Read a list of tasks that was written as a whole."""
    given = cast("list[object]", todos) if isinstance(todos, list) else []
    listed = [cast("Json", todo) for todo in given if isinstance(todo, dict)]
    return {
        str(n): [
            cut(clean(str(todo.get("content"))), LINE),
            STATUS.get(str(todo.get("status")), "todo"),
        ]
        for n, todo in enumerate(listed, 1)
    }


def still_open(found: Json) -> list[str]:
    return [f"{status}: {title}" for title, status in found.values() if status != "done"]


def cleaned(call: Called) -> Called:
    """Take the secrets out of a call; what worked is not kept, but for what it was."""
    given = {
        name: cut(clean(value[:LONGEST]), LINE) if isinstance(value, str) else value
        for name, value in call.given.items()
    }
    # Of a long output the end is kept, where the error is.
    return call._replace(given=given, text=clean(call.text[-LONGEST:]) if call.failed else "")


def problem(call: Called) -> str:
    """Tell what failed, and how."""
    end = call.text if len(call.text) <= TOLD else "…" + call.text[-TOLD:]
    return f"{call.tool}: {target(call)}\n{end}".strip()


def target(call: Called) -> str:
    """Say what a tool was called for: the command or the file."""
    return str(call.given.get("command") or call.given.get("file_path") or "")


def solving(failed: Called, called: list[Called]) -> str:
    """Tell what was done between a failure and the same call's success; nothing if nothing was."""
    after = called[called.index(failed) + 1 :]
    worked = (n for n, c in enumerate(after) if not c.failed and same(c, failed))
    end = next(worked, 0)
    steps = [c for c in after[:end] if not c.failed and (c.tool in EDITS or c.tool == "Bash")]
    done = dict.fromkeys(f"{c.tool} {target(c)}" for c in steps)
    return "\n".join([*done, f"Then it worked: {target(failed)}"]) if done else ""


def same(one: Called, other: Called) -> bool:
    return bool(target(one)) and (one.tool, target(one)) == (other.tool, target(other))


def clean(text: str) -> str:
    """Take out the secrets, and what no database keeps."""
    return redact(text.encode(errors="replace").decode().replace("\x00", ""))


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
