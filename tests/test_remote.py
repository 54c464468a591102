"""An endpoint's vectors beside the built-in ones: never mixed, and nobody waits for them."""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from helpers_endpoint import (
    DIMENSIONS,
    MODEL,
    Embeddings,
    Handler,
    dropping,
    failing,
    hanging,
    listed,
    serving,
    unit_of,
)
from helpers_meaning import (
    BUILTIN,
    MEMORIES,
    QUESTION,
    queued,
    recall,
    remember,
    until,
    without_encoder,
)

from agent_mem.app import App, open_app
from agent_mem.config import Settings
from agent_mem.errors import InvalidInput
from agent_mem.recall import remote, space
from agent_mem.recall.address import identity
from agent_mem.recall.embedding import models
from agent_mem.recall.local_index import LocalIndex
from agent_mem.recall.meaning import Meant

pytestmark = pytest.mark.anyio

Opened = Callable[..., AbstractAsyncContextManager[App]]


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def api() -> Generator[Embeddings]:
    with serving() as server:
        yield server


@pytest.fixture
def opened(api: Embeddings, tmp_path: Path) -> Opened:
    """Open the memory with the endpoint set, unless told otherwise."""

    @asynccontextmanager
    async def opening(**more: Any) -> AsyncGenerator[App]:  # noqa: ANN401 - of each setting its own
        set_to: dict[str, Any] = {"embedder": MODEL, "embedder_url": api.url, **more}
        async with open_app(Settings(db=tmp_path / "home" / "memory.db", **set_to)) as app:
            yield app

    return opening


@pytest.fixture
def model(api: Embeddings) -> str:
    return identity(MODEL, api.url)


async def meant(app: App, text: str = QUESTION) -> Meant:
    found = await app.finder.meaning.ask(text)
    assert found
    return found


def used(found: Meant) -> str:
    """Name the model whose vectors are searched."""
    assert isinstance(found.index, LocalIndex)
    return found.index.model


async def sizes(app: App) -> dict[str, int]:
    """Tell how long the vectors of each model are."""
    return {n: m.dim for n, m in (await app.store.engine.read(models(app.store))).items()}


async def test_the_endpoint_s_vectors_serve_as_soon_as_all_passages_have_one(
    opened: Opened, api: Embeddings, model: str
) -> None:
    async with opened() as app:
        await remember(app, *MEMORIES)
        await app.finder.meaning.load()
        before = await meant(app)
        asked = len(api.bodies)
        await app.finder.meaning.embed()
        after = await meant(app)

        assert asked == 0  # the first recall of a process does not bring the endpoint in
        assert used(before) == BUILTIN
        assert used(after) == model
        assert after.vector == pytest.approx(unit_of(QUESTION))
        assert (after.model, after.words) == (BUILTIN, before.words)
        assert await sizes(app) == {BUILTIN: 384, model: DIMENSIONS}
        assert sorted(text for texts in api.inputs[1:-1] for text in texts) == sorted(MEMORIES)
        assert len(await recall(app)) == 3


async def test_a_process_that_finds_them_complete_uses_them_at_once(
    opened: Opened, model: str
) -> None:
    async with opened() as app:
        await remember(app, *MEMORIES)
        await app.finder.meaning.embed()
    async with opened() as app:
        await app.finder.meaning.load()

        assert used(await meant(app)) == model


async def test_from_the_built_in_encoder_to_the_endpoint_and_back(
    opened: Opened, model: str
) -> None:
    async with opened(embedder="builtin") as app:
        await remember(app, MEMORIES[0])
        await app.finder.meaning.embed()
    async with opened() as app:
        await app.finder.meaning.embed()
        await remember(app, MEMORIES[1])
        await app.finder.meaning.embed()
        assert used(await meant(app)) == model
    async with opened(embedder="builtin") as app:
        await remember(app, MEMORIES[2])
        await app.finder.meaning.embed()
        assert used(await meant(app)) == BUILTIN
        assert (await recall(app))[0] == MEMORIES[0]
        assert (await queued(app), await queued(app, model)) == (0, 1)
    async with opened() as app:
        assert await app.finder.meaning.embed() == 1


async def test_a_query_is_asked_once(opened: Opened, api: Embeddings) -> None:
    async with opened() as app:
        await remember(app, *MEMORIES)
        await app.finder.meaning.embed()
        asked = len(api.bodies)
        first, second = await meant(app), await meant(app)
        await meant(app, "another")

    assert np.array_equal(first.vector, second.vector)
    assert api.inputs[asked:] == [[QUESTION], ["another"]]


async def test_only_the_latest_queries_are_kept(
    opened: Opened, api: Embeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "KEPT", 2)
    async with opened() as app:
        await remember(app, *MEMORIES)
        await app.finder.meaning.embed()
        asked = len(api.bodies)
        for text in ("a", "b", "a", "c", "a", "b"):
            await meant(app, text)

    assert api.inputs[asked:] == [["a"], ["b"], ["c"], ["b"]]


async def test_no_recall_waits_for_an_endpoint_that_hangs(opened: Opened, api: Embeddings) -> None:
    async with opened() as app:
        await remember(app, *MEMORIES)
        await app.finder.meaning.embed()
        asked = len(api.bodies)
        api.replies = [hanging]
        first = await meant(app)
        second = await meant(app)

    assert used(first) == used(second) == BUILTIN
    assert len(api.bodies) == asked + 1  # it is left alone for a while


async def test_an_endpoint_that_failed_is_asked_again_after_a_rest(
    opened: Opened, api: Embeddings, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "REST", 0.0)
    async with opened() as app:
        await remember(app, *MEMORIES)
        await app.finder.meaning.embed()
        api.replies = [dropping, failing(401)]
        found = [used(await meant(app)) for _ in range(3)]

    assert found == [BUILTIN, BUILTIN, model]


async def test_a_network_that_is_cut_in_the_middle_loses_nothing(
    opened: Opened, api: Embeddings, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "LONGEST_PAUSE", 0.01)
    async with opened() as app:
        await remember(app, *(f"Memory number {n}." for n in range(300)))
        troubles: list[str | None] = []
        # The first answers say how long a vector is, and embed one batch.
        api.replies = [properly_once, properly_once, *[failing(503)] * 12]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.finder.meaning.run)
            await until(lambda: len(api.bodies) > 8)
            troubles.append(app.finder.meaning.trouble)
            await until(lambda: bool(app.finder.meaning.far and app.finder.meaning.far.serves))
            tasks.cancel_scope.cancel()

        texts = [text for texts in api.inputs for text in texts]
        assert set(texts) >= {f"Memory number {n}." for n in range(300)}
        assert await queued(app, model) == 0
        assert "503" not in str(troubles)  # the built-in vectors answered all the while


def properly_once(handler: Handler, body: dict[str, Any]) -> None:
    base64 = body.get("encoding_format") == "base64"
    vectors = [unit_of(text) for text in body["input"]]
    handler.answer(listed(vectors, base64=base64))


async def test_a_wrong_key_is_told_and_the_built_in_vectors_answer(
    opened: Opened, api: Embeddings
) -> None:
    api.key = "sk-right"
    async with opened(embedder_key="sk-wrong") as app:
        await remember(app, *MEMORIES)
        await app.finder.meaning.embed()

        assert (await recall(app))[0] == MEMORIES[0]
        assert str(app.finder.meaning.trouble).startswith("The embedder that is set does not work")
        assert "check AGENT_MEM_EMBEDDER_KEY" in str(app.finder.meaning.trouble)
        assert "sk-wrong" not in str(app.finder.meaning.trouble)
        assert "sk-wrong" not in repr(app.settings)


async def test_what_was_refused_is_tried_again_later(
    opened: Opened, api: Embeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "REFUSED", 0.01)
    api.replies = [failing(401), failing(401)]
    async with opened() as app, anyio.create_task_group() as tasks:
        await remember(app, *MEMORIES)
        tasks.start_soon(app.finder.meaning.run)
        await until(lambda: "AGENT_MEM_EMBEDDER_KEY" in str(app.finder.meaning.trouble))
        await until(lambda: app.finder.meaning.trouble is None)
        await until(lambda: bool(app.finder.meaning.far and app.finder.meaning.far.serves))
        tasks.cancel_scope.cancel()

    assert len(api.bodies) >= 4


async def test_vectors_of_another_length_are_not_mixed_in_and_can_be_made_anew(
    opened: Opened, api: Embeddings, model: str
) -> None:
    def longer(handler: Handler, body: dict[str, Any]) -> None:
        base64 = body.get("encoding_format") == "base64"
        handler.answer(listed([np.ones(12) for _ in body["input"]], base64=base64))

    async with opened() as app:
        await remember(app, *MEMORIES)
        await app.finder.meaning.embed()
        api.replies = [longer] * 8
        await remember(app, "One more.")
        await app.finder.meaning.embed()
        trouble = str(app.finder.meaning.trouble)
        asked = await meant(app)
        await app.finder.meaning.renew()
        anew = await app.finder.meaning.embed()

        assert "were of 8 numbers, and are of 12 now: run `agent-mem reembed --all`" in trouble
        assert used(asked) == BUILTIN
        assert anew == 2 * 4  # each with both models
        assert await sizes(app) == {BUILTIN: 384, model: 12}
        assert used(await meant(app)) == model
        assert app.finder.meaning.trouble is None


async def test_an_endpoint_serves_where_the_built_in_encoder_cannot_run(
    opened: Opened, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_encoder(monkeypatch)
    async with opened() as app:
        await remember(app, *MEMORIES)
        await app.finder.meaning.embed()
        found = await meant(app)

        assert (used(found), found.words, len(found.tokens)) == (model, (), 0)
        assert app.finder.meaning.trouble is None
        assert len(await recall(app, QUESTION)) == 3
        assert await recall(app, "llamas") != []


async def test_an_address_that_cannot_be_one_is_told_at_the_start(opened: Opened) -> None:
    with pytest.raises(InvalidInput, match="AGENT_MEM_EMBEDDER_URL"):
        async with opened(embedder_url="nowhere"):
            pass


async def test_a_key_that_cannot_be_one_is_told(opened: Opened, api: Embeddings) -> None:
    async with opened(embedder_key="Sch\u00fcssel") as app:
        await remember(app, *MEMORIES)
        await app.finder.meaning.embed()

        assert "AGENT_MEM_EMBEDDER_KEY has a character" in str(app.finder.meaning.trouble)
        assert api.bodies == []


@pytest.mark.parametrize(
    ("url", "key"),
    [("https://api.openai.com/v1/", "sk-theirs"), ("https://embedder.example/v1", None)],
)
def test_openai_s_key_is_for_openai_alone(
    url: str, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-theirs")

    found = Settings(embedder_url=url).embedder_key

    assert (found.get_secret_value() if found else None) == key
