"""One client's entry for this server: read from its file, put into it, taken out of it."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from agent_mem.cli import json_text, rewriting, toml_text
from agent_mem.cli.clients import Client
from agent_mem.errors import InvalidInput

NAME = "agent-mem"
Entry = dict[str, Any]


def is_a(kind: type, value: object) -> bool:
    return isinstance(value, kind)


def is_entry(value: Any) -> bool:  # noqa: ANN401 - JSON
    """Tell whether a value is what a client can start."""
    return (
        is_a(dict, value) and is_a(dict, value.get("env", {})) and is_a(list, value.get("args", []))
    )


@dataclass(frozen=True)
class Place:
    """A file of a client, as it was read; `text` is None where there is none."""

    client: Client
    path: Path
    text: str | None

    @property
    def entry(self) -> Entry | None:
        """Read the entry that is there."""
        return self.inside(self.text)

    def inside(self, text: str | None) -> Entry | None:
        """Read the entry of a text of this file.

        Raises:
            InvalidInput: the text is not what such a file holds.
        """
        table = self.parse(text or "").get(self.client.table, {})
        entry = table.get(NAME, {}) if is_a(dict, table) else None
        if is_entry(entry):
            return entry or None
        why = f"`{self.client.table}` in {self.path} does not hold servers"
        raise InvalidInput(f"{why}: mend it first, nothing was changed.")

    def parse(self, text: str) -> dict[str, Any]:
        """Read a text of this file.

        Raises:
            InvalidInput: it is not of the form that the client reads.
        """
        form = self.client.form
        parse: Callable[[str], dict[str, Any]] = (
            toml_text.parse
            if form == "toml"
            else partial(json_text.parse, comments=form == "jsonc")
        )
        try:
            return parse(text)
        except ValueError as error:
            named = "TOML" if form == "toml" else "JSON"
            why = f"{self.path} is not {named} ({error})"
            raise InvalidInput(f"{why}: mend it first, nothing was changed.") from None

    def changed(self, entry: Entry | None) -> str:
        """Write the text anew, with that entry or with none; all else stays as it is.

        Raises:
            InvalidInput: the file is written in a way that we cannot change.
        """
        form = toml_text if self.client.form == "toml" else json_text
        text, table = self.text or "", self.client.table
        wanted = deepcopy(self.parse(text))
        if entry is None:
            wanted[table].pop(NAME)
            made = form.drop(text, table, NAME)
        else:
            wanted.setdefault(table, {})[NAME] = entry
            made = form.put(text, table, NAME, entry)
        if self.same(made, wanted):
            return made
        why = f"{self.path} is written in a way that this program cannot change"
        raise InvalidInput(f"{why}: nothing was changed, put the entry in by hand.")

    def same(self, text: str, wanted: dict[str, Any]) -> bool:
        """Tell whether a text holds that; an empty table of servers is as good as none."""
        try:
            return self.bare(self.parse(text)) == self.bare(wanted)
        except InvalidInput:
            return False

    def bare(self, held: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in held.items() if k != self.client.table or v}

    def without(self) -> tuple[str | None, Entry | None]:
        """Find the text, and the entry in it, as they were before us; None is no file.

        It is the copy, byte for byte, where nothing else has changed since.
        """
        saved = rewriting.read(rewriting.backup(self.path))
        before = self.inside(saved)
        text = self.changed(before)
        if saved is not None and self.same(text, self.parse(saved)):
            return saved or None, before
        return text, before

    def veiled(self, text: str | None, shown: set[str]) -> list[str]:
        """Give the lines of a text for a diff, without what is nobody's business."""
        form = toml_text if self.client.form == "toml" else json_text
        return form.veil(text or "", self.client.table, NAME, shown).splitlines()
