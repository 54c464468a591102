"""Everything that can be expected to go wrong, each with a sentence for whoever reads it.

AgentMemError
├── InvalidInput          what the caller asked for makes no sense
│   ├── NotFound          what the caller named is not there
│   └── Outdated          what the caller had read is not the latest any more; it is given that
├── StorageError          the database refused
│   ├── StorageFull       no space is left; nothing was written, reading goes on
│   ├── StorageBusy       another process held the database for too long
│   ├── StorageDamaged    the file is not, or no longer, a sound database
│   ├── UnsafePlace       the folder cannot hold a database that several processes write
│   ├── ServerUnreachable PostgreSQL does not answer, or broke off; what was local is kept
│   ├── ServerRefused     PostgreSQL will not do it: the password, the certificate or the rights
│   └── RowRefused        the database cannot keep a row as it is
├── EmbedderRefused       the embeddings endpoint will not do it: the key, the model or the address
├── EmbedderUnreachable   the embeddings endpoint cannot be reached, or cannot do it now
├── SchemaError           the tables are not the ones that this program knows
│   ├── SchemaTooNew      a newer version of the program has changed the tables
│   └── SchemaDrift       a migration that was already applied has been edited
├── ActionFailed          what a behavior was to do could not be done, or may not be
├── AccessRefused         who asks over HTTP may not, or may not do that, or not so often
├── BehaviorBusy          a behavior runs already, and what is due has to wait for it
└── EncoderUnavailable    the sentence encoder cannot be loaded; words work without it
"""

from collections.abc import Mapping
from typing import Any


class AgentMemError(Exception):
    """Something went wrong in agent-mem."""

    def __init__(self, message: str = "") -> None:
        # One line, whatever was quoted in it.
        super().__init__(" ".join((message or type(self).__doc__ or "").split()))


class InvalidInput(AgentMemError):
    """The input makes no sense here."""


class NotFound(InvalidInput):
    """There is no such thing."""


class Outdated(InvalidInput):
    """What was read is not the latest any more."""

    def __init__(self, message: str, current: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.current = current


class StorageError(AgentMemError):
    """The database refused."""


class StorageFull(StorageError):
    """The disk is full: nothing was written, and what is stored can still be read."""


class StorageBusy(StorageError):
    """Another process has held the database for too long: try again."""


class StorageDamaged(StorageError):
    """The database file is damaged: run `agent-mem doctor`."""


class UnsafePlace(StorageError):
    """No database can be kept in this folder: use one on a local disk (AGENT_MEM_DB)."""


class ServerUnreachable(StorageError):
    """PostgreSQL cannot be reached: nothing is lost, and it is tried again."""


class ServerRefused(StorageError):
    """PostgreSQL refuses: check AGENT_MEM_SERVER, and what its role may do."""


class RowRefused(StorageError):
    """The database cannot keep a row as it is."""


class EmbedderRefused(AgentMemError):
    """The embeddings endpoint refuses: check AGENT_MEM_EMBEDDER and AGENT_MEM_EMBEDDER_KEY."""


class EmbedderUnreachable(AgentMemError):
    """The embeddings endpoint cannot be reached: check AGENT_MEM_EMBEDDER_URL."""


class SchemaError(AgentMemError):
    """The tables are not the ones that this program knows."""


class SchemaTooNew(SchemaError):
    """A newer agent-mem has changed this database: update this one to use it."""


class SchemaDrift(SchemaError):
    """A migration that was already applied to this database has been edited since."""


class EncoderUnavailable(AgentMemError):
    """The sentence encoder cannot be loaded: recall goes by words alone."""


class ActionFailed(AgentMemError):
    """What the behavior was to do could not be done."""


class AccessRefused(AgentMemError):
    """Who asks is not known here, or may not do that.

    Args:
        message: what to do about it, in one sentence.
        status: of HTTP.
        error: its name, as RFC 6750 has it; none where nothing was presented.
        more: what else the answer says, by the names that its header has for it.
    """

    def __init__(
        self, message: str, status: int, error: str = "", more: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.more = more or {}


class BehaviorBusy(AgentMemError):
    """The behavior runs already: what is due waits for that run to end."""
