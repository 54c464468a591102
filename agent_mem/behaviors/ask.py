"""Ask a language model; where none is set, the next agent that restores a session is asked."""

import json
from importlib import import_module
from typing import Any, Final

from anyio.to_thread import run_sync
from pydantic import Field

from agent_mem.app import App
from agent_mem.behaviors.action import Found, Outcome, Params, Task
from agent_mem.behaviors.allowed import Model, allowed
from agent_mem.errors import ActionFailed
from agent_mem.records.fields import Content, Name, Text
from agent_mem.storage.alarm import ACCEPTED

LARGEST: Final = 1 << 20
"""Bytes of an answer that are read."""
LONGEST: Final = 20_000
"""Characters of an answer that are kept."""
GIVEN: Final = 20_000
"""Characters of what a prompt is given beside its own words."""
RELEVANCE: Final = 0.6


class Asking(Params):
    """What to ask, or what was answered."""

    prompt: Content
    topic: Name = "answers"
    """The topic of the insight that the answer becomes."""
    answer: Text | None = Field(default=None, max_length=LONGEST)
    """What an agent that was asked has answered."""


async def ask(app: App, task: Task) -> Outcome:
    """Ask, and keep the answer as an insight."""
    params = Asking.model_validate(task.params.model_dump())
    if params.answer:
        return answered(params, params.answer)
    prompt = composed(task, params)
    model = (await allowed(app.settings)).model
    if model is None:
        return Outcome({"prompt": prompt}, [], "needs_agent")
    return answered(params, await completed(model, prompt))


def answered(params: Asking, answer: str) -> Outcome:
    kept = answer.replace("\x00", "\ufffd")[:LONGEST]
    return Outcome({"answer": kept}, [Found(params.topic, kept, RELEVANCE)])


def composed(task: Task, params: Asking) -> str:
    """Put the skill's instructions before the prompt, and what it is about after it."""
    about = {"input": task.run.input if task.run else {}, "results": task.results}
    given = {name: value for name, value in about.items() if value}
    parts = [
        task.skill.body if task.skill and task.skill.body else "",
        params.prompt,
        json.dumps(given, ensure_ascii=False)[:GIVEN] if given else "",
    ]
    return "\n\n".join(part for part in parts if part)


async def completed(model: Model, prompt: str) -> str:
    """Have a model answer.

    Raises:
        ActionFailed: it cannot be reached, or its answer makes no sense.
    """
    httpx: Any = await run_sync(import_module, "httpx2")
    key = model.key.get_secret_value() if model.key else None
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    body = {"model": model.name, "messages": [{"role": "user", "content": prompt}]}
    url = f"{model.url.rstrip('/')}/chat/completions"
    # How long it may take is the behavior's timeout, which cancels this.
    client = httpx.AsyncClient(timeout=None, follow_redirects=False, trust_env=False)
    try:
        async with client, client.stream("POST", url, json=body, headers=headers) as answer:
            content = b""
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > LARGEST:
                    raise ActionFailed("The model's answer is too long.")
            code = answer.status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise ActionFailed(f"The model cannot be reached ({type(error).__name__}).") from error
    if code not in ACCEPTED:
        raise ActionFailed(f"The model's endpoint answered {code}.")
    return words(content)


def words(content: bytes) -> str:
    """Read the words of an answer.

    Raises:
        ActionFailed: there are none.
    """
    try:
        found = json.loads(content)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        found = None
    if not isinstance(found, str) or not found.strip():
        raise ActionFailed("The model's answer has no words in it.")
    return found
