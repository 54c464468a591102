"""Settings, read once, from the environment (`AGENT_MEM_*`)."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from agent_mem.errors import InvalidInput

Named = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]

OPENAI = "https://api.openai.com/v1"

Toolset = Literal["core", "decisions", "work", "agents", "authoring"]
"""What a tool belongs to; a server offers the toolsets that are turned on."""

TOOLSETS: Final = frozenset[Toolset](get_args(Toolset))
ALL: Final = "all"


def named_toolsets(value: object) -> object:
    """Read `core,work`, or `all`."""
    if not isinstance(value, str):
        return value
    names = {name.strip().lower() for name in value.split(",")} - {""}
    if wrong := sorted(names - TOOLSETS - {ALL}) or ([] if names else [value]):
        known = ", ".join(get_args(Toolset))
        raise ValueError(f"there is no toolset `{wrong[0][:80]}`: choose from {known}, or {ALL}")
    return TOOLSETS if ALL in names else names


Toolsets = Annotated[frozenset[Toolset], NoDecode, BeforeValidator(named_toolsets)]


def openai_key(others: dict[str, Any]) -> SecretStr | None:
    """Take the key that OpenAI's own programs use; no other server is to see it."""
    key = (
        os.environ.get("OPENAI_API_KEY")
        if others.get("embedder_url", "").rstrip("/") == OPENAI
        else None
    )
    return SecretStr(key) if key else None


def web_address(secret: SecretStr) -> SecretStr:
    """Check an address, of which nothing may be said: whoever has it can use it."""
    with suppress(ValueError):
        parts = urlsplit(secret.get_secret_value())
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return secret
    raise PydanticCustomError("web_address", "write https://host/path")


class Settings(BaseSettings):
    """What can be set; `docs/settings.md` lists the same, and a test keeps it so."""

    model_config = SettingsConfigDict(
        env_prefix="AGENT_MEM_", env_ignore_empty=True, populate_by_name=True
    )

    db: Path = Field(
        default_factory=lambda: Path.home() / ".agent-mem" / "memory.db",
        description="The SQLite file. Its folder must be on a local disk.",
    )
    owner: Named = Field(
        default="me",
        description="Whose memory this is: a person or a team. Owners never see each other.",
    )
    agent: Named = Field(
        default="agent",
        description="The name under which an agent writes when it gives none.",
    )
    project: str | None = Field(
        default=None,
        max_length=1000,
        validation_alias=AliasChoices("AGENT_MEM_PROJECT", "CLAUDE_PROJECT_DIR"),
        description="The project that is meant when none is named; unset means everywhere.",
    )
    embedder: Named = Field(
        default="builtin",
        description="What finds by meaning: builtin, none, or the name of a model at an endpoint.",
    )
    embedder_url: Named = Field(
        default=OPENAI, description="The endpoint: any that speaks OpenAI's embeddings API."
    )
    embedder_key: SecretStr | None = Field(
        default_factory=openai_key,
        description="The endpoint's key. For OpenAI itself, OPENAI_API_KEY unless it is set.",
    )
    server: SecretStr | None = Field(
        default=None,
        description="The PostgreSQL that several machines share: postgresql://user:password@host/db.",
    )
    sync_webhook: Annotated[SecretStr, AfterValidator(web_address)] | None = Field(
        default=None,
        description="An https:// address that is called when the sync fails, and when it recovers.",
    )
    toolsets: Toolsets = Field(
        default=frozenset({"core"}),
        description="The tools that a server offers, by name, as `core`, or all.",
    )
    config: Path | None = Field(
        default=None,
        description="The settings file of behaviors: which commands they may run, which addresses"
        " they may call. Default: config.toml beside the database.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="WARNING", description="How much is written to stderr."
    )


def read(**given: object) -> Settings:
    """Read the settings; what is given goes before the environment.

    Raises:
        InvalidInput: one of them makes no sense.
    """
    try:
        return Settings(**given)  # pyright: ignore[reportArgumentType] - it is checked
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper().removeprefix("AGENT_MEM_")
        said = first["msg"].removeprefix("Value error, ")
        raise InvalidInput(f"AGENT_MEM_{name}: {said}.") from None
