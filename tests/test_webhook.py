"""Addresses that a behavior calls: signed, pinned to where they were checked, and never inward."""

import hashlib
import hmac
import ipaddress
import json
import socket
import sys
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from conftest import Call
from helpers_endpoint import Embeddings, dropping, failing, hanging, saying, serving

from agent_mem.behaviors.allowed import place
from agent_mem.behaviors.guarded import pinned, public, reachable, resolved
from agent_mem.config import Settings
from agent_mem.errors import ActionFailed

pytestmark = pytest.mark.anyio

MODULE = sys.modules["agent_mem.behaviors.webhook"]
"""The module; by that name the package gives its function."""
SECRET = "correct horse battery"  # noqa: S105 - a test's
Allow = Callable[..., None]


@pytest.fixture
def endpoint() -> Any:  # noqa: ANN401 - a generator
    with serving() as server:
        yield server


@pytest.fixture
def allow(settings: Settings) -> Allow:
    def write(url: str, *, private: bool) -> None:
        path = place(settings)
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f'[webhooks.it]\nurl = "{url}"\nsecret = "{SECRET}"\n'
            f"private = {str(private).lower()}\n",
            encoding="utf-8",
        )
        path.chmod(0o600)

    return write


async def run(call: Call, name: str = "it") -> dict[str, Any]:
    params = {"webhook": name, "body": {"text": "Grüße"}}
    rules = {"retries": 0}
    await call("register_behavior", name="b", action="webhook", params=params, rules=rules)
    return await call("run_behavior", name="b")


async def test_a_call_is_signed_and_has_its_run_as_its_key(
    call: Call, allow: Allow, endpoint: Embeddings
) -> None:
    endpoint.replies = [saying({})]
    allow(endpoint.url, private=True)

    ran = await run(call)

    (headers,) = endpoint.headers
    (body,) = endpoint.bodies
    assert ran["output"] == {"webhook": "it", "answered": 200}
    assert headers["idempotency-key"] == ran["run"] == body["run"]
    assert (body["behavior"], body["body"]) == ("b", {"text": "Grüße"})
    at, made = (part.partition("=")[2] for part in headers["x-agent-mem-signature"].split(","))
    raw = json.dumps(body, ensure_ascii=False).encode()
    expected = hmac.new(SECRET.encode(), at.encode() + b"." + raw, hashlib.sha256)
    assert made == expected.hexdigest()
    assert SECRET not in json.dumps([headers, body])


async def test_a_call_that_failed_for_now_is_made_again_with_the_same_key(
    call: Call, allow: Allow, endpoint: Embeddings
) -> None:
    endpoint.replies = [failing(503), dropping, saying({})]
    allow(endpoint.url, private=True)

    ran = await run(call)

    assert ran["status"] == "complete"
    assert {headers["idempotency-key"] for headers in endpoint.headers} == {ran["run"]}
    assert len(endpoint.headers) == 3


@pytest.mark.parametrize(("status", "calls"), [(500, 3), (404, 1), (429, 3)])
async def test_a_call_that_goes_on_failing_is_told(
    call: Call, allow: Allow, endpoint: Embeddings, status: int, calls: int
) -> None:
    endpoint.replies = [failing(status)] * 3
    allow(endpoint.url, private=True)

    assert (await run(call))["error"] == f"The webhook answered {status}."
    assert len(endpoint.headers) == calls


async def test_an_address_that_does_not_answer_is_not_waited_for(
    call: Call, allow: Allow, endpoint: Embeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MODULE, "PATIENCE", 0.3)
    endpoint.replies = [hanging] * 3
    allow(endpoint.url, private=True)

    assert (await run(call))["error"] == "The webhook gave no answer within 0.3 seconds."


@pytest.mark.parametrize("where", ["http://127.0.0.1:{port}/v2", "http://169.254.169.254/latest"])
async def test_no_redirect_is_followed(
    call: Call, allow: Allow, endpoint: Embeddings, where: str
) -> None:
    port = endpoint.server_address[1]
    endpoint.replies = [saying({}, 307, Location=where.format(port=port))]
    allow(endpoint.url, private=True)

    assert (await run(call))["error"] == "The webhook answered 307."
    assert endpoint.paths == ["/v1"]


INWARD = [
    "https://127.0.0.1/x",
    "https://localhost/x",
    "https://[::1]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://[64:ff9b::7f00:1]/x",
    "https://[2002:7f00:1::]/x",
    "https://0.0.0.0/x",
    "https://2130706433/x",
    "https://0x7f.1/x",
    "https://10.1.2.3/x",
    "https://172.16.0.1/x",
    "https://192.168.1.1/x",
    "https://100.64.0.1/x",
    "https://169.254.169.254/latest/meta-data",
    "https://[fd00:ec2::254]/latest",
    "https://[fe80::1]/x",
    "https://224.0.0.1/x",
]


@pytest.mark.parametrize("url", INWARD)
async def test_an_address_inside_is_not_called(call: Call, allow: Allow, url: str) -> None:
    allow(url, private=False)

    error = (await run(call))["error"]

    assert "which may not be called" in error or "is not known" in error


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest", "http://[fe80::1]/x", "http://[fd00:ec2::254]/x"],
)
async def test_where_clouds_tell_their_secrets_is_not_called_even_where_private_is_allowed(
    call: Call, allow: Allow, url: str
) -> None:
    allow(url, private=True)

    assert "which may not be called" in (await run(call))["error"]


async def test_without_encryption_only_what_is_private_is_called(call: Call, allow: Allow) -> None:
    allow("http://example.com/x", private=False)

    assert (await run(call))["error"] == (
        "example.com is not called without encryption: write https."
    )


async def test_only_a_name_of_the_settings_file_is_called(call: Call, allow: Allow) -> None:
    allow("https://example.com", private=False)

    assert (await run(call, "https://evil.example"))["error"] == (
        "The settings file allows no webhook `https://evil.example`; it has: it."
    )


def answers(monkeypatch: pytest.MonkeyPatch, *told: list[str]) -> list[str]:
    """Have names lead to these addresses, another list at each question."""
    left, asked = list(told), list[str]()

    async def lookup(host: str, port: int, **_: object) -> list[Any]:
        await anyio.lowlevel.checkpoint()
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in found]

    monkeypatch.setattr(anyio, "getaddrinfo", lookup)
    return asked


async def test_a_name_that_leads_elsewhere_when_asked_again_is_called_where_it_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = answers(monkeypatch, ["93.184.216.34"], ["127.0.0.1"])

    url, headers, extensions = await pinned("https://rebind.example:8443/x?y=1", private=False)

    # The connection is made to the number: the name is asked once, and is only shown and checked.
    assert asked == ["rebind.example"]
    assert url == "https://93.184.216.34:8443/x?y=1"
    assert headers == {"Host": "rebind.example:8443"}
    assert extensions == {"sni_hostname": "rebind.example"}
    with pytest.raises(ActionFailed, match=r"leads to 127\.0\.0\.1, which may not be called"):
        await pinned("https://rebind.example:8443/x", private=False)


async def test_a_name_that_leads_inside_among_others_is_not_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers(monkeypatch, ["93.184.216.34", "10.0.0.1"])

    with pytest.raises(ActionFailed, match=r"leads to 10\.0\.0\.1"):
        await resolved("mixed.example", 443, private=False)


async def test_a_name_that_leads_nowhere_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, [])

    with pytest.raises(ActionFailed, match="leads nowhere"):
        await resolved("empty.example", 443, private=False)


async def test_an_address_of_the_newer_kind_is_written_in_brackets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers(monkeypatch, ["2606:2800:220:1::1"])

    url, *_ = await pinned("https://six.example/x", private=False)

    assert url == "https://[2606:2800:220:1::1]:443/x"


def test_the_internet_may_be_called() -> None:
    assert public(ipaddress.ip_address("8.8.8.8"))
    assert public(ipaddress.ip_address("2606:2800:220:1::1"))
    assert reachable(ipaddress.ip_address("127.0.0.1"), private=True)
    assert not public(ipaddress.ip_address("127.0.0.1"))
