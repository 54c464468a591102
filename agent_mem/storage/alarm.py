"""Tell a chat or a pager that the sync fails, and that it works again."""

import logging
import platform
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
from anyio.to_thread import run_sync

from agent_mem.storage.statements import Row
from agent_mem.storage.store import Store

PATIENCE: Final = 5.0
"""Seconds that the webhook has for its answer."""
ACCEPTED: Final = range(200, 300)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Alarm:
    """A webhook, which is called with JSON that Slack and Mattermost understand, too."""

    local: Store
    path: Path
    url: str

    async def ring(self, trouble: Row, *, over: bool) -> None:
        """Call the webhook; where that fails, log it, and let all else go on."""
        (counted,) = await self.local.rows("sync.counted")
        body = told(trouble, counted["waiting"], self.path, self.local.owner, over=over)
        if wrong := await posted(self.url, body):
            # Whoever has the rest of the address can post: it is told to nobody.
            logger.warning("AGENT_MEM_SYNC_WEBHOOK: %s %s.", urlsplit(self.url).hostname, wrong)


def told(trouble: Row, waiting: int, path: Path, owner: str, *, over: bool) -> dict[str, object]:
    """Say what fails, where and since when; `text` is what a chat shows."""
    machine, since, error = platform.node(), f"{trouble['at'][:19]}Z", trouble["error"]
    how = "works again. It failed" if over else "fails"
    text = f"agent-mem on {machine} ({path}, owner {owner}): the sync {how} since {since}: {error}"
    return {
        "text": f"{text} Records waiting: {waiting}.",
        "status": "recovered" if over else "failing",
        "error": error,
        "machine": machine,
        "file": str(path),
        "owner": owner,
        "since": since,
        "waiting": waiting,
    }


async def posted(url: str, body: dict[str, object]) -> str | None:
    """Send JSON once, and follow no redirect; tell what went wrong."""
    # Here, since it takes long to load and mostly nothing fails.
    httpx: Any = await run_sync(import_module, "httpx2")
    client = httpx.AsyncClient(timeout=PATIENCE, follow_redirects=False)
    try:
        with anyio.fail_after(PATIENCE), unlogged(url):
            async with client, client.stream("POST", url, json=body) as answer:
                code = answer.status_code
    except TimeoutError:
        return f"gave no answer within {PATIENCE:g} seconds"
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return f"cannot be reached ({type(error).__name__})"
    return None if code in ACCEPTED else f"answered {code}"


@contextmanager
def unlogged(url: str) -> Generator[None]:
    """Keep an address out of the client's logs: its own, and that of what is answered."""
    secret = urlsplit(url)._replace(scheme="", netloc="").geturl()

    def other(record: logging.LogRecord) -> bool:
        return secret not in record.getMessage()

    clients = [logging.getLogger(name) for name in ("httpx2", "httpcore2.http11")]
    for client in clients:
        client.addFilter(other)
    try:
        yield
    finally:
        for client in clients:
            client.removeFilter(other)
