"""Bearer tokens, in a file beside the database that all processes read: `tokens.json`.

Only a hash of each is kept. A server looks at the file at every request, so that what is
revoked is refused from then on.
"""

import hashlib
import hmac
import json
import os
import secrets
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from agent_mem.behaviors.allowed import mine
from agent_mem.config import Settings
from agent_mem.errors import InvalidInput, NotFound
from agent_mem.records.record import now
from agent_mem.server.scopes import Scope
from agent_mem.storage.lock import FileLock

PREFIX: Final = "amt_"
"""What a token begins with: neither a JWT nor another program's secret does."""
BYTES: Final = 32


class Token(BaseModel):
    """What is known of a token."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    owner: str
    scope: Scope
    sha256: str
    created_at: datetime
    expires_at: datetime | None = None

    @property
    def expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= now()


KEPT: Final = TypeAdapter(list[Token])


class Tokens:
    """The file of tokens.

    Args:
        settings: whose database it is beside.
    """

    def __init__(self, settings: Settings) -> None:
        self.path = settings.db.expanduser().resolve().with_name("tokens.json")
        self._read: tuple[int, int, int] | None = None
        self._known: list[Token] = []

    @property
    def exist(self) -> bool:
        """Tell whether a token was ever given out: when the last is revoked, the file stays."""
        return self.path.exists()

    def known(self) -> list[Token]:
        """List all tokens, as the file has them now.

        Raises:
            InvalidInput: the file makes no sense.
            ActionFailed: others may write it.
        """
        try:
            found = self.path.stat()
            state = (found.st_mtime_ns, found.st_size, found.st_ino)
            if state != self._read:
                mine(self.path, found)
                self._known = KEPT.validate_json(self.path.read_bytes())
                self._read = state
        except FileNotFoundError:
            return []
        except (OSError, ValidationError) as error:
            raise InvalidInput(f"{self.path} cannot be read: {type(error).__name__}.") from error
        return self._known

    def find(self, secret: str) -> Token | None:
        """Find a token by its secret, in a time that says nothing of it."""
        hashed = digest(secret)
        found = [one for one in self.known() if hmac.compare_digest(one.sha256, hashed)]
        return found[0] if found else None

    def add(self, name: str, owner: str, scope: Scope, until: datetime | None = None) -> str:
        """Make a token, and return its secret, which is kept nowhere.

        Raises:
            InvalidInput: there is one of this name.
        """
        secret = PREFIX + secrets.token_urlsafe(BYTES)
        with self._changing() as tokens:
            if any(one.name == name for one in tokens):
                raise InvalidInput(f"There is a token `{name}` already: revoke it first.")
            made = Token(
                name=name, owner=owner, scope=scope, sha256=digest(secret), created_at=now(),
                expires_at=until,
            )  # fmt: skip
            tokens.append(made)
        return secret

    def revoke(self, name: str) -> None:
        """Take a token back, from every server on this file at once.

        Raises:
            NotFound: there is none of this name.
        """
        with self._changing() as tokens:
            found = [one for one in tokens if one.name == name]
            if not found:
                raise NotFound(f"There is no token `{name}`.")
            tokens.remove(found[0])

    @contextmanager
    def _changing(self) -> Generator[list[Token]]:
        """Change the list, one process at a time."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (
            closing(FileLock(self.path.with_name(f"{self.path.name}.lock"))) as lock,
            lock,
        ):
            tokens = list(self.known())
            yield tokens
            replace(self.path, json.dumps(KEPT.dump_python(tokens, mode="json"), indent=1))


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def replace(path: Path, text: str) -> None:
    """Write a file that only its owner reads, in one step: nobody ever reads half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
