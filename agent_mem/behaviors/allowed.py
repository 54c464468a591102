"""The settings file of behaviors: what they may run and call. Only its owner writes it.

[commands.sync-photos]
program = "/usr/bin/rsync"
args = ["--archive", "/home/me/photos", "/mnt/copy"]
more = ["--dry-run"]            # patterns: further arguments that a behavior may give
folder = "/home/me"             # default: an empty one
env = { LANG = "C.UTF-8" }      # nothing is inherited

[webhooks.chat]
url = "https://hooks.example.com/services/T0/B0"
secret = "at least 16 characters"

[model]
url = "http://127.0.0.1:11434/v1"
name = "llama3.2"

[http.oauth]                    # whose access tokens `agent-mem serve --http` takes
issuer = "https://login.example.com/team"
resource = "https://memory.example.com/mcp"
audience = "agent-mem"          # default: the resource
owner_claim = "email"           # default: sub
"""

import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from anyio.to_thread import run_sync
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from agent_mem.config import Settings
from agent_mem.errors import ActionFailed, InvalidInput

OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def absolute(path: Path) -> Path:
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError("write a whole path, without `..`")
    return path


def pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is no pattern: {error}") from None
    return text


def web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError("write https://host/path")
    return text


Place = Annotated[Path, AfterValidator(absolute)]
Address = Annotated[str, AfterValidator(web_address)]


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Command(Entry):
    """A program that behaviors may run."""

    program: Place
    args: list[str] = Field(default_factory=list)
    more: list[Annotated[str, AfterValidator(pattern)]] = Field(default_factory=list)
    """What further arguments must look like, each as a whole; none by default."""
    folder: Place | None = None
    env: dict[str, str] = Field(default_factory=dict)


class Webhook(Entry):
    """An address that behaviors may call."""

    url: Address
    secret: Annotated[SecretStr, Field(min_length=16)]
    private: bool = False
    """It may be on this machine or in its network; a link-local address never."""


class Model(Entry):
    """A language model at an endpoint that speaks OpenAI's chat API."""

    url: Address
    name: str
    key: SecretStr | None = None


class OAuth(Entry):
    """An authorization server, and what its access tokens must say."""

    issuer: Address
    resource: Address
    """The address of this server, as clients know it."""
    audience: str | None = None
    owner_claim: str = "sub"


class Http(Entry):
    """How the server over HTTP knows who asks."""

    oauth: OAuth | None = None


class Allowed(Entry):
    """All of the file; without one, nothing is allowed."""

    commands: dict[str, Command] = Field(default_factory=dict)
    webhooks: dict[str, Webhook] = Field(default_factory=dict)
    model: Model | None = None
    http: Http = Field(default_factory=Http)
    backups: Place | None = None
    """The folder in which copies of the database are kept."""


def place(settings: Settings) -> Path:
    """Say where the file is."""
    beside = settings.db.expanduser().resolve().with_name("config.toml")
    return settings.config.expanduser().absolute() if settings.config else beside


async def allowed(settings: Settings) -> Allowed:
    """Read the file, as it is now.

    Raises:
        InvalidInput: it makes no sense.
        ActionFailed: others may write it.
    """
    return await run_sync(read, place(settings))


def read(path: Path) -> Allowed:
    try:
        with path.open("rb") as file:
            mine(path, os.fstat(file.fileno()))
            found = tomllib.load(file)
        return Allowed.model_validate(found)
    except FileNotFoundError:
        return Allowed()
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where, said = ".".join(map(str, first["loc"])), first["msg"]
        raise InvalidInput(f"{path}: {where}: {said.removeprefix('Value error, ')}.") from None
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}.") from None


def mine(path: Path, found: Any, *, posix: bool = os.name == "posix") -> None:  # noqa: ANN401 - the system's
    """Look whether only its owner may write the file: who may, decides what is run.

    Raises:
        ActionFailed: others may, too.
    """
    if posix and (found.st_mode & OTHERS or found.st_uid not in (os.geteuid(), 0)):
        raise ActionFailed(f"Others may write {path}: chmod 600 it. Until then nothing is run.")
