"""What a client's transcript tells: one JSON object a line, only ever added to.

Read as Claude Code writes it. What the client put there itself, what a hook injected, and what
subagents say among themselves is passed over.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, cast

from agent_mem.hooks.place import LABEL, MARK

Json = dict[str, Any]

AT_ONCE: Final = 32 << 20
"""Bytes that are read at once; of more, the rest is read the next time."""
CLIENTS: Final = re.compile(
    r"\s*(?:<(?:task-notification|command-\w+|local-command-\w+|bash-\w+|user-memory-input)\b"
    r"|\[Request interrupted|Caveat: )"
)
"""How a user's line begins that the client wrote."""
REMINDER: Final = re.compile(r"(?s)<system-reminder>.*?(?:</system-reminder>|\Z)")
SUMMARY: Final = re.compile(
    r"(?s)\A.*?summary below covers[^\n]*\n|\n[^\n]*read the full transcript at:.*\Z"
)
"""What the client puts around a summary."""
REFUSED: Final = ("<tool_use_error>", "The user doesn't want to", "[Request interrupted")
"""How a failure begins that is none of the tool's."""
TAKEN: Final = ("command", "file_path", "subject", "taskId", "status", "todos")
"""What is kept of what a tool was given."""


class Said(NamedTuple):
    """A prompt, the last words of an answer, or a client's summary of what it left out."""

    id: str
    at: datetime
    role: str
    text: str


class Called(NamedTuple):
    """A tool that was called, and how it ended."""

    id: str
    at: datetime
    tool: str
    given: Json
    failed: bool
    text: str
    told: Json
    """What the client noted of the result, where it noted something."""


@dataclass
class Reading:
    """What stood between two places of a transcript."""

    session: str
    offset: int = 0
    """Where the next reading begins, in bytes."""
    head: str = ""
    """A digest of the first line: another file has another."""
    said: list[Said] = field(default_factory=list["Said"])
    called: list[Called] = field(default_factory=list["Called"])
    begun: datetime | None = None
    ended: datetime | None = None
    more: bool = False
    """There is more than was read at once, and the next reading gets on with it."""
    _asked: dict[str, tuple[int, Json]] = field(default_factory=dict[str, tuple[int, Json]])
    """Calls that have no result yet, with the place of their lines."""
    _last: Said | None = None

    def take(self, place: int, line: Json) -> None:
        """Take one line, if it is of this conversation and not the client's own."""
        at = moment(line.get("timestamp"))
        mine = line.get("sessionId", self.session) == self.session
        if at is None or not mine or line.get("isSidechain") or line.get("isMeta"):
            return
        message = line.get("message")
        if line.get("type") not in ("user", "assistant") or not isinstance(message, dict):
            return
        self.begun = self.begun or at
        self.ended = at
        blocks = blocks_of(cast("Json", message).get("content"))
        if line["type"] == "assistant":
            self._answer(line, at, blocks, place)
        else:
            self._prompt(line, at, blocks)

    def finish(self) -> None:
        """Keep the last words: nothing more was done after them."""
        if self._last:
            self.said.append(self._last)
            self._last = None

    def end(self, begun: int) -> None:
        """End a reading that began there; a call without a result is read again with it."""
        self.finish()
        waiting = [place for place, _ in self._asked.values() if place > begun]
        self.offset = min([self.offset, *waiting])

    def _answer(self, line: Json, at: datetime, blocks: list[Json], place: int) -> None:
        for block in blocks:
            if block.get("type") == "tool_use":
                self._asked[str(block.get("id"))] = (place, block)
                self._last = None  # what is said before a call is not the answer
        text = plain(blocks)
        if text and not any(block.get("type") == "tool_use" for block in blocks):
            self._last = Said(str(line.get("uuid")), at, "assistant", text)

    def _prompt(self, line: Json, at: datetime, blocks: list[Json]) -> None:
        for block in blocks:
            if block.get("type") == "tool_result":
                self._result(line, at, block)
        origin = line.get("origin")
        if line.get("promptSource") == "system" or (isinstance(origin, dict) and "kind" in origin):
            return
        text = plain(blocks)
        if line.get("isCompactSummary"):
            self.said.append(
                Said(str(line.get("uuid")), at, "summary", SUMMARY.sub("", text).strip())
            )
        elif text and not CLIENTS.match(text):
            self.finish()
            self.said.append(Said(str(line.get("uuid")), at, "user", text))

    def _result(self, line: Json, at: datetime, block: Json) -> None:
        _, asked = self._asked.pop(str(block.get("tool_use_id")), (0, None))
        if asked is None:
            return
        given, told = asked.get("input"), line.get("toolUseResult")
        text = plain(blocks_of(block.get("content")))
        self.called.append(
            Called(
                id=str(asked.get("id")),
                at=at,
                tool=str(asked.get("name")),
                given=taken(given),
                failed=bool(block.get("is_error")) and not text.startswith(REFUSED),
                text=text,
                told=cast("Json", told) if isinstance(told, dict) else {},
            )
        )


def read(path: Path, session: str, offset: int = 0, head: str = "") -> Reading:
    """Read what was added to a transcript, up to the last line that is whole.

    Args:
        path: the transcript.
        session: whose lines are wanted.
        offset: where the last reading ended; another or a shorter file is read from its start.
        head: the digest of the first line then.

    Raises:
        OSError: the file cannot be read.
    """
    if path.is_dir():  # Windows says of it that it is forbidden, which may pass
        raise IsADirectoryError(str(path))
    with path.open("rb") as file:
        first = file.readline()
        now = hashlib.sha256(first).hexdigest()[:16] if first.endswith(b"\n") else ""
        size = file.seek(0, 2)
        going_on = now == head and offset <= size and goes_on(file, offset)
        begun = file.seek(offset if going_on else 0)
        text = file.read(AT_ONCE)
        if b"\n" not in text:  # of a line that is longer, all is read
            text += file.readline()
    end = text.rfind(b"\n") + 1
    reading = Reading(session, begun + end, now, more=begun + len(text) < size)
    for place, line in lines(text[:end]):
        reading.take(begun + place, line)
    reading.end(begun)
    reading.more = reading.more and reading.offset > begun
    return reading


def goes_on(file: BinaryIO, offset: int) -> bool:
    """Look whether a line ends where the last reading ended."""
    file.seek(max(offset - 1, 0))
    return offset == 0 or file.read(1) == b"\n"


def lines(text: bytes) -> Iterator[tuple[int, Json]]:
    """Read each line that is a JSON object, with its place; what is broken is passed over."""
    place = 0
    for line in text.split(b"\n"):
        try:
            found: object = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            yield place, cast("Json", found)
        place += len(line) + 1


def taken(given: object) -> Json:
    """Keep of what a tool was given what is looked at; what was written into files is not."""
    found = cast("Json", given) if isinstance(given, dict) else {}
    return {name: found[name] for name in TAKEN if name in found}


def moment(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def blocks_of(content: object) -> list[Json]:
    """Give the blocks of a message; a text alone is one."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    found = cast("list[object]", content) if isinstance(content, list) else []
    return [cast("Json", block) for block in found if isinstance(block, dict)]


def plain(blocks: list[Json]) -> str:
    """Give what was said, without what the client or a hook of ours had put in between."""
    texts = [block.get("text") for block in blocks if block.get("type") == "text"]
    text = REMINDER.sub("", "\n".join(text for text in texts if isinstance(text, str)))
    kept = [line for line in text.split("\n") if MARK not in line and not LABEL.search(line)]
    return "\n".join(kept).replace("\x00", "").strip()
