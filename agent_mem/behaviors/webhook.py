"""Call an address that the settings file names, signed, so that who is called can tell by whom."""

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

import anyio
from anyio.to_thread import run_sync
from pydantic import Field

from agent_mem.app import App
from agent_mem.behaviors.action import Outcome, Params, Task
from agent_mem.behaviors.allowed import Webhook, allowed
from agent_mem.behaviors.guarded import pinned
from agent_mem.errors import ActionFailed
from agent_mem.records.fields import Json, Name
from agent_mem.storage.alarm import ACCEPTED, unlogged

PATIENCE: Final = 10.0
"""Seconds that an answer may take."""
ATTEMPTS: Final = 3
PAUSE: Final = 0.5
"""Seconds before the second attempt; before each further one, twice as many."""
LATER: Final = frozenset({408, 425, 429, *range(500, 600)})
SIGNATURE: Final = "X-Agent-Mem-Signature"


class Calling(Params):
    """Whom to call, and what to tell."""

    webhook: Name
    """Its name in the settings file."""
    body: Json = Field(default_factory=dict)


class Later(ActionFailed):
    """It may work when it is tried again."""


async def webhook(app: App, task: Task) -> Outcome:
    """Call, and again if that may help; the same run has the same key each time."""
    params = Calling.model_validate(task.params.model_dump())
    found = await allowed(app.settings)
    hook = found.webhooks.get(params.webhook)
    if hook is None:
        known = ", ".join(found.webhooks) or "none"
        raise ActionFailed(
            f"The settings file allows no webhook `{params.webhook[:80]}`; it has: {known}."
        )
    body = json.dumps(told(task, params), ensure_ascii=False).encode("utf-8", "replace")
    key = str(task.run.id) if task.run else ""
    for attempt in range(1, ATTEMPTS):
        with suppress(Later):
            return answered(params, await called(hook, body, key))
        await anyio.sleep(PAUSE * 2 ** (attempt - 1))
    return answered(params, await called(hook, body, key))


def answered(params: Calling, code: int) -> Outcome:
    return Outcome({"webhook": params.webhook, "answered": code}, [])


def told(task: Task, params: Calling) -> dict[str, Any]:
    """Say what it is about."""
    run = task.run
    return {
        "behavior": task.behavior.name,
        "agent": task.behavior.agent_name,
        "run": str(run.id) if run else None,
        "due_at": run.due_at.isoformat() if run and run.due_at else None,
        "input": run.input if run else {},
        "results": task.results,
        "body": params.body,
    }


def signed(secret: str, body: bytes, at: int) -> str:
    """Sign a body and its time: `t=…,v1=…`, HMAC-SHA256 of `t.body`, hexadecimal."""
    made = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={made}"


async def called(hook: Webhook, body: bytes, key: str) -> int:
    """Call once; no redirect is followed, and no proxy is asked.

    Raises:
        Later: it may work when it is tried again.
        ActionFailed: it will not, or may not be called.
    """
    url, headers, extensions = await pinned(hook.url, private=hook.private)
    headers |= {
        "Content-Type": "application/json",
        "Idempotency-Key": key,
        SIGNATURE: signed(hook.secret.get_secret_value(), body, int(time.time())),
    }
    code = await posted(url, body, headers, extensions)
    if code in ACCEPTED:
        return code
    raise (Later if code in LATER else ActionFailed)(f"The webhook answered {code}.")


async def posted(
    url: str, body: bytes, headers: Mapping[str, str], extensions: Mapping[str, Any]
) -> int:
    """Send a body; what is answered is not read."""
    httpx: Any = await run_sync(import_module, "httpx2")
    client = httpx.AsyncClient(timeout=PATIENCE, follow_redirects=False, trust_env=False)
    try:
        with anyio.fail_after(PATIENCE), unlogged(url):
            request = client.stream(
                "POST", url, content=body, headers=headers, extensions=extensions
            )
            async with client, request as answer:
                return answer.status_code
    except TimeoutError:
        raise Later(f"The webhook gave no answer within {PATIENCE:g} seconds.") from None
    except (httpx.HTTPError, OSError) as error:
        raise Later(f"The webhook cannot be reached ({type(error).__name__}).") from error
