"""Settings, read once, from the environment (`AGENT_MEM_*`)."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from agent_mem.errors import InvalidInput

Named = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


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
