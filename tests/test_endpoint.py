"""Embeddings of an HTTP endpoint, asked from a real server on this machine."""

import logging
import socket
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AsyncExitStack
from typing import Any, Final

import anyio
import numpy as np
import pytest
from anyio.to_thread import run_sync
from helpers_endpoint import (
    DIMENSIONS,
    MODEL,
    NEEDED_HEADERS,
    Embeddings,
    Reply,
    dropping,
    failing,
    hanging,
    listed,
    saying,
    serving,
    unit_of,
    vector_of,
)

from agent_mem.errors import EmbedderRefused, EmbedderUnreachable, InvalidInput
from agent_mem.recall.endpoint import BLANK, LONGEST, MOST_TEXTS, PATIENCE, RETRIES, Endpoint

pytestmark = pytest.mark.anyio

KEY = "sk-proj-0123456789abcdefghijklmnop"
VECTOR = vector_of("anything")
Opened = Callable[..., Endpoint]


@pytest.fixture(autouse=True)
def _no_proxy_or_key_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def api() -> Generator[Embeddings]:
    with serving() as server:
        yield server


@pytest.fixture
async def opened(api: Embeddings) -> AsyncGenerator[Opened]:
    """Open endpoints of the server, and close them at the end."""
    async with AsyncExitStack() as stack:

        def opening(
            model: str = MODEL,
            url: str = api.url,
            key: str | None = None,
            timeout: float = PATIENCE,
            retries: int = RETRIES,
        ) -> Endpoint:
            endpoint = Endpoint(model, url, key, timeout=timeout, retries=retries)
            stack.push_async_callback(endpoint.aclose)
            return endpoint

        yield opening


async def refused(endpoint: Endpoint, texts: list[str] | None = None) -> str:
    with pytest.raises(EmbedderRefused) as caught:
        await endpoint.embed(texts or ["tea"])
    return str(caught.value)


async def unreached(endpoint: Endpoint) -> str:
    with pytest.raises(EmbedderUnreachable) as caught:
        await endpoint.embed(["tea"])
    return str(caught.value)


# What is sent.


async def test_each_text_gets_its_vector_in_its_place(opened: Opened) -> None:
    texts = ["green tea", "black tea", "Ünïcode 茶"]

    found = await opened().embed(texts)

    assert found.dtype == np.float32
    assert found.shape == (3, DIMENSIONS)
    np.testing.assert_allclose(found, [unit_of(text) for text in texts], rtol=1e-6)


async def test_without_texts_nothing_is_asked(opened: Opened, api: Embeddings) -> None:
    assert (await opened().embed([])).shape == (0, 0)
    assert not api.bodies


async def test_many_texts_go_in_several_requests_and_keep_their_order(
    opened: Opened, api: Embeddings
) -> None:
    texts = [f"text {n}" for n in range(2 * MOST_TEXTS + 1)]

    found = await opened().embed(texts)

    assert [len(sent) for sent in api.inputs] == [MOST_TEXTS, MOST_TEXTS, 1]
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(found, [unit_of(text) for text in texts], rtol=1e-6)


async def test_long_texts_go_in_several_requests(opened: Opened, api: Embeddings) -> None:
    texts = [f"{n:02} ".ljust(LONGEST, "x") for n in range(25)]

    await opened().embed(texts)

    assert [len(sent) for sent in api.inputs] == [12, 12, 1]  # 12 * 8,000 <= 100,000 < 13 * 8,000


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("x" * (LONGEST + 1), "x" * LONGEST),
        ("茶" * LONGEST, "茶" * (LONGEST // 3)),  # three bytes each
        ("", BLANK),
        (" \n\t", BLANK),
        ("half a pair: \ud83c", "half a pair: ?"),
    ],
    ids=["long", "long in bytes", "empty", "blank", "half a surrogate pair"],
)
async def test_any_text_is_sent_so_that_a_server_takes_it(
    text: str, sent: str, opened: Opened, api: Embeddings
) -> None:
    found = await opened().embed([text])

    assert api.inputs == [[sent]]
    np.testing.assert_allclose(found[0], unit_of(sent), rtol=1e-6)


async def test_the_key_is_sent_as_a_bearer_token_and_not_logged(
    opened: Opened, api: Embeddings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api.key = KEY

    await opened(key=f"{KEY}\n").embed(["green tea"])

    assert api.headers[0]["authorization"] == f"Bearer {KEY}"
    assert api.paths == ["/v1/embeddings"]
    assert "POST" in caplog.text
    assert KEY not in caplog.text
    assert "green tea" not in caplog.text


async def test_nothing_of_this_machine_and_no_other_key_is_sent(
    opened: Opened, api: Embeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("API_KEY", "ADMIN_KEY", "ORG_ID", "PROJECT_ID"):
        monkeypatch.setenv(f"OPENAI_{name}", "of-another-program")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer x\nX-Secret: x")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/elsewhere")

    await opened().embed(["tea"])
    await opened(key=KEY).embed(["tea"])

    assert api.headers[0].keys() == NEEDED_HEADERS
    assert api.headers[1].keys() == NEEDED_HEADERS | {"authorization"}
    assert api.headers[1]["authorization"] == f"Bearer {KEY}"


async def test_no_proxy_stands_between_this_machine_and_itself(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    assert len(await opened(retries=0).embed(["tea"])) == 1


async def test_a_proxy_of_the_environment_leads_to_other_machines(
    opened: Opened, api: Embeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", api.url.removesuffix("/v1"))

    await opened(url="http://embeddings.invalid/v1").embed(["tea"])

    assert api.paths == ["http://embeddings.invalid/v1/embeddings"]


# How a server may differ.


async def test_base64_is_asked_for_and_read(opened: Opened, api: Embeddings) -> None:
    api.replies = [saying(listed([VECTOR], base64=True))]

    found = await opened().embed(["tea"])

    assert api.bodies == [{"model": MODEL, "input": ["tea"], "encoding_format": "base64"}]
    np.testing.assert_allclose(found[0], unit_of("anything"), rtol=1e-6)


async def test_numbers_are_read_where_base64_is_not_known(opened: Opened, api: Embeddings) -> None:
    api.replies = [saying(listed([VECTOR]), Content_Type="text/plain")]

    found = await opened().embed(["tea"])

    np.testing.assert_allclose(found[0], unit_of("anything"), rtol=1e-6)


async def test_where_base64_is_refused_numbers_are_asked_for_from_then_on(
    opened: Opened, api: Embeddings
) -> None:
    api.knows_base64 = False
    endpoint = opened()

    first = await endpoint.embed(["tea", "milk"])
    await endpoint.embed(["sugar"])

    assert ["encoding_format" in body for body in api.bodies] == [True, False, False]
    np.testing.assert_allclose(first, [unit_of("tea"), unit_of("milk")], rtol=1e-6)


async def test_a_server_that_takes_fewer_texts_gets_fewer_from_then_on(
    opened: Opened, api: Embeddings
) -> None:
    api.most = 40
    endpoint = opened()
    texts = [f"text {n}" for n in range(MOST_TEXTS)]

    first = await endpoint.embed(texts)
    before = len(api.bodies)
    second = await endpoint.embed(texts)

    # All twice (with and without base64), then halves, then quarters: 32 fit.
    assert [len(sent) for sent in api.inputs[:before]] == [128, 128, 64, 32, 32, 64, 32, 32]
    assert [len(sent) for sent in api.inputs[before:]] == [32, 32, 32, 32]
    np.testing.assert_allclose(first, [unit_of(text) for text in texts], rtol=1e-6)
    np.testing.assert_array_equal(first, second)


async def test_vectors_are_put_in_the_order_of_their_numbers(
    opened: Opened, api: Embeddings
) -> None:
    body = listed([vector_of("a"), vector_of("b"), vector_of("c")])
    shuffled = {**body, "data": [body["data"][n] for n in (2, 0, 1)]}
    api.replies = [saying(shuffled)]

    found = await opened().embed(["a", "b", "c"])

    np.testing.assert_allclose(found, [unit_of(text) for text in "abc"], rtol=1e-6)


async def test_vectors_without_numbers_are_taken_as_they_come(
    opened: Opened, api: Embeddings
) -> None:
    vectors = [vector_of("a").tolist(), vector_of("b").tolist()]
    api.replies = [saying({"data": [{"embedding": vector} for vector in vectors]})]

    found = await opened().embed(["a", "b"])

    np.testing.assert_allclose(found, [unit_of("a"), unit_of("b")], rtol=1e-6)


async def test_huge_numbers_make_a_vector_of_unit_length(opened: Opened, api: Embeddings) -> None:
    api.replies = [saying(listed([np.array([3e150, 4e150])]))]

    np.testing.assert_allclose(await opened().embed(["tea"]), [[0.6, 0.8]], rtol=1e-6)


# What goes wrong for a while.


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
@pytest.mark.parametrize("header", ["retry_after", "retry_after_ms"])
async def test_a_passing_failure_is_tried_again_when_the_server_says(
    status: int, header: str, opened: Opened, api: Embeddings
) -> None:
    api.replies = [failing(status, **{header: "0.001"})] * 2

    assert len(await opened().embed(["tea"])) == 1
    assert len(api.bodies) == 3


async def test_a_dropped_connection_is_tried_again(opened: Opened, api: Embeddings) -> None:
    api.replies = [dropping]

    assert len(await opened().embed(["tea"])) == 1
    assert len(api.bodies) == 2


@pytest.mark.parametrize("status", [429, 500, 529])
async def test_a_failure_that_lasts_is_told(status: int, opened: Opened, api: Embeddings) -> None:
    api.replies = [failing(status)] * 3

    said = await unreached(opened())

    assert len(api.bodies) == 3
    assert said == (
        f"127.0.0.1:{api.server_port} answered {status} (Not now.): if it goes on, check"
        " AGENT_MEM_EMBEDDER_URL, and what AGENT_MEM_EMBEDDER_KEY is allowed."
    )


async def test_a_server_that_is_not_there_is_told(opened: Opened) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
        said = await unreached(opened(url=f"http://127.0.0.1:{port}/v1", retries=0))

    assert said.startswith(f"127.0.0.1:{port} cannot be reached (")
    assert said.endswith("): check AGENT_MEM_EMBEDDER_URL.")


async def test_an_answer_that_breaks_off_is_told(opened: Opened, api: Embeddings) -> None:
    api.replies = [dropping]

    assert "cannot be reached (Server disconnected" in await unreached(opened(retries=0))


async def test_a_server_that_does_not_answer_is_not_waited_for(
    opened: Opened, api: Embeddings
) -> None:
    api.replies = [hanging]

    with anyio.fail_after(30):
        said = await unreached(opened(timeout=0.05, retries=0))

    assert "cannot be reached (no answer within 0.05 seconds)" in said
    assert await run_sync(api.left.wait, 5)


async def test_who_is_cancelled_closes_the_connection(opened: Opened, api: Embeddings) -> None:
    api.replies = [hanging]
    endpoint = opened()

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(endpoint.embed, ["tea"])
            await run_sync(api.asked.wait)
            tasks.cancel_scope.cancel()
        assert await run_sync(api.left.wait, 5)

    assert len(await endpoint.embed(["tea"])) == 1


async def test_calls_at_the_same_time_do_not_mix(opened: Opened) -> None:
    endpoint = opened()
    found: dict[str, Any] = {}

    async def ask(text: str) -> None:
        found[text] = (await endpoint.embed([text]))[0]

    async with anyio.create_task_group() as tasks:
        for n in range(20):
            tasks.start_soon(ask, f"text {n}")

    assert len(found) == 20
    for text, vector in found.items():
        np.testing.assert_allclose(vector, unit_of(text), rtol=1e-6)


async def test_closing_leaves_no_connection_open(opened: Opened, api: Embeddings) -> None:
    endpoint = opened()
    await endpoint.embed(["tea"])
    assert not api.left.is_set()

    await endpoint.aclose()

    assert await run_sync(api.left.wait, 5)


# What will not go better by itself.


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_key_is_told_once_and_never_shown(
    status: int, opened: Opened, api: Embeddings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api.replies = [saying({"error": {"message": f"Incorrect API key: {KEY}"}}, status)]

    said = await refused(opened(key=KEY))

    assert said.removeprefix(f"127.0.0.1:{api.server_port} ") == (
        f"answered {status} for `{MODEL}`: check AGENT_MEM_EMBEDDER_KEY."
    )
    assert len(api.bodies) == 1
    assert {"openai", "httpx2", "httpcore2"} <= {r.name.partition(".")[0] for r in caplog.records}
    assert KEY not in caplog.text


async def test_a_missing_key_is_told(opened: Opened, api: Embeddings) -> None:
    api.key = KEY

    assert "it wants a key; set AGENT_MEM_EMBEDDER_KEY." in await refused(opened())


async def test_an_unknown_model_is_told(opened: Opened, api: Embeddings) -> None:
    said = await refused(opened(model="gone"))

    assert said == (
        f"127.0.0.1:{api.server_port} answered 404 (The model `gone` does not exist.): check"
        " AGENT_MEM_EMBEDDER (`gone`), and AGENT_MEM_EMBEDDER_URL, which ends in `/v1` as a rule."
    )
    assert len(api.bodies) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_text_that_is_refused_alone_is_told(
    status: int, opened: Opened, api: Embeddings
) -> None:
    api.replies = [failing(status)] * 4

    said = await refused(opened(), ["tea", "milk"])

    assert said.endswith(f"check that AGENT_MEM_EMBEDDER (`{MODEL}`) is a model for embeddings.")
    assert api.inputs == [["tea", "milk"], ["tea", "milk"], ["tea"]]


async def test_a_redirection_is_not_followed(opened: Opened, api: Embeddings) -> None:
    api.replies = [saying(b"", 307, Location=f"{api.url}/elsewhere")]

    assert "it points elsewhere; set AGENT_MEM_EMBEDDER_URL" in await refused(opened(key=KEY))
    assert api.paths == ["/v1/embeddings"]


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        ({"error": {"message": f"You sent {KEY}\nand more."}}, " (You sent [key] and more.):"),
        ({"error": "Batches are full."}, " (Batches are full.):"),
        ({"message": "x" * 1000}, f" ({'x' * 200}):"),
        ({"detail": [{"loc": ["body"]}]}, ":"),
        (["?"], ":"),
        (b"<html><body>Bad gateway</body></html>", ":"),
        (b"", ":"),
    ],
    ids=["key", "plain", "long", "list", "other JSON", "page", "nothing"],
)
async def test_the_server_is_quoted_briefly_and_without_the_key(
    body: object, quoted: str, opened: Opened, api: Embeddings
) -> None:
    api.replies = [saying(body, 502)]

    said = await unreached(opened(key=KEY, retries=0))

    assert said.startswith(f"127.0.0.1:{api.server_port} answered 502{quoted} if it goes on")


ONE: Final = vector_of("a").tolist()
NO_LIST: Final = "the answer is not a list of vectors"
NOT_EACH: Final = "there is not one for each of 2 texts"
USELESS: Final[dict[str, tuple[Reply, str]]] = {
    "web page": (saying(b"<html>Sign in</html>", Content_Type="text/html"), NO_LIST),
    "nothing": (saying(b""), NO_LIST),
    "no content": (saying(b"", 204), NO_LIST),
    "another shape": (saying({"embeddings": [ONE]}), NO_LIST),
    "no number": (saying({"data": [{"embedding": [1.0, None]}]}), NO_LIST),
    "no base64": (saying({"data": [{"embedding": "?"}]}), NO_LIST),
    "half a number": (saying({"data": [{"embedding": b64encode(b"12").decode()}]}), NO_LIST),
    "too few": (saying(listed([VECTOR])), NOT_EACH),
    "too many": (saying(listed([VECTOR] * 3)), NOT_EACH),
    "one twice": (saying({"data": [{"embedding": ONE, "index": 0}] * 2}), NOT_EACH),
    "two lengths": (saying(listed([VECTOR, VECTOR[1:]])), "they differ in length"),
    "no dimensions": (saying(listed([VECTOR[:0]] * 2)), "one is zero"),
    "zero": (saying(listed([VECTOR, VECTOR * 0])), "one is zero"),
    "NaN": (saying(listed([VECTOR, VECTOR * np.nan])), "no finite number"),
    "infinity": (saying(listed([VECTOR, VECTOR * np.inf], base64=True)), "no finite number"),
    "overflow": (saying(listed([VECTOR, VECTOR * 1e300])), "no finite number"),
}


@pytest.mark.parametrize("name", USELESS)
async def test_an_answer_that_cannot_be_used_is_told(
    name: str, opened: Opened, api: Embeddings
) -> None:
    reply, why = USELESS[name]
    api.replies = [reply]

    said = await refused(opened(), ["a", "b"])

    assert why in said
    assert said.startswith(f"The embeddings of 127.0.0.1:{api.server_port} are of no use, ")
    assert said.endswith(f": check AGENT_MEM_EMBEDDER_URL and AGENT_MEM_EMBEDDER (`{MODEL}`).")
    assert len(api.bodies) == 1


async def test_requests_that_differ_in_length_are_told(opened: Opened, api: Embeddings) -> None:
    api.replies = [saying(listed([VECTOR] * MOST_TEXTS)), saying(listed([VECTOR[1:]]))]

    assert "they differ in length" in await refused(opened(), ["tea"] * (MOST_TEXTS + 1))


@pytest.mark.parametrize("key", ["sk-hush\nmore", "sk hush", "sk-hush…", "“sk-hush”"])
async def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(InvalidInput, match="AGENT_MEM_EMBEDDER_KEY has a") as caught:
        Endpoint(MODEL, "https://api.openai.com/v1", key)
    assert "hush" not in str(caught.value)
