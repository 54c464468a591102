"""Settings, read once, from the environment (`AGENT_MEM_*`)."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from agent_mem.errors import InvalidInput

Named = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]

OPENAI = "https://api.openai.com/v1"


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
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="WARNING", description="How much is written to stderr."
    )


def read() -> Settings:
    """Read the settings.

    Raises:
        InvalidInput: one of them makes no sense.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper().removeprefix("AGENT_MEM_")
        raise InvalidInput(f"AGENT_MEM_{name}: {first['msg']}.") from None
