"""Access tokens of an authorization server: which are taken, and whose they are."""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from helpers_http import web
from helpers_issuer import OPENID, RESOURCE, Authority, authority

from agent_mem.behaviors.allowed import OAuth
from agent_mem.config import Settings
from agent_mem.errors import AccessRefused
from agent_mem.records.record import now
from agent_mem.server.oauth import FRESH, MOST, PAUSE, Issuer

pytestmark = pytest.mark.anyio

TOPICS = ("resources/read", {"uri": "memory://topics"})


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def there() -> Generator[Authority]:
    with authority() as started:
        yield started


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(there: Authority, clock: Clock) -> Issuer:
    return Issuer(OAuth(issuer=there.issuer, resource=RESOURCE), clock)


async def refused(issuer: Issuer, token: str) -> str:
    with pytest.raises(AccessRefused) as told:
        await issuer.check(token)
    assert (told.value.status, told.value.error) == (401, "invalid_token")
    return str(told.value)


async def test_a_good_token_says_whose_it_is_and_what_it_may(
    issuer: Issuer, there: Authority
) -> None:
    bearer = await issuer.check(there.signed(client_id="editor"))

    assert (bearer.owner, bearer.client, bearer.issuer) == ("ana", "editor", there.issuer)
    assert bearer.scopes == ["openid", "read", "write"]


async def test_keys_are_found_where_openid_has_them_and_may_be_of_curves(
    there: Authority, clock: Clock
) -> None:
    there.place = OPENID
    there.keys = {"first": ec.generate_private_key(ec.SECP256R1())}
    oauth = OAuth(issuer=there.issuer, resource=RESOURCE, audience="agent-mem", owner_claim="email")
    issuer = Issuer(oauth, clock)

    bearer = await issuer.check(
        there.signed(None, aud=["x", "agent-mem"], email=" a@b.c ", scope=None, scp=["read", 1])
    )

    assert (bearer.owner, bearer.client, bearer.scopes) == ("a@b.c", "ana", ["read", "1"])


async def test_a_token_that_is_not_for_this_server_is_refused(
    issuer: Issuer, there: Authority
) -> None:
    own = rsa.generate_private_key(65537, 2048)
    public = there.keys["first"].public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip
    claims: dict[str, Any] = jwt.decode(there.signed(), options={"verify_signature": False})
    kid = {"kid": "first"}
    by_another = jwt.encode(claims, own, "RS256", headers=kid)
    unsigned = jwt.encode(claims, "", "none", headers=kid)
    head, body, _ = jwt.encode(claims, b"x" * 32, "HS256", headers=kid).split(".")
    shared = f"{head}.{body}.{hmac_of(public, f'{head}.{body}')}"
    long_ago = now() - timedelta(minutes=5)

    found = {
        "wrong audience": await refused(issuer, there.signed(aud="https://other.example.com")),
        "no audience": await refused(issuer, there.signed(aud=None)),
        "wrong issuer": await refused(issuer, there.signed(iss="https://evil.example.com")),
        "expired": await refused(issuer, there.signed(exp=long_ago)),
        "never expires": await refused(issuer, there.signed(exp=None)),
        "not yet": await refused(issuer, there.signed(nbf=now() + timedelta(hours=1))),
        "no owner": await refused(issuer, there.signed(sub=None)),
        "empty owner": await refused(issuer, there.signed(sub=" ")),
        "signed by another": await refused(issuer, by_another),
        "unsigned": await refused(issuer, unsigned),
        "signed with the public key": await refused(issuer, shared),
        "no JWT": await refused(issuer, "not.a.token"),
    }

    assert all(found.values())
    assert found["no owner"] == "The token names no owner in `sub`."
    assert len(there.asked) == 2  # its metadata and its keys, once


def hmac_of(key: bytes, text: str) -> str:
    """Sign as one would who takes a public key for a shared secret."""
    signed = hmac.new(key, text.encode(), "sha256").digest()
    return urlsafe_b64encode(signed).decode().rstrip("=")


async def test_new_keys_are_asked_for_but_not_at_every_unknown_name(
    issuer: Issuer, there: Authority, clock: Clock
) -> None:
    await issuer.check(there.signed())
    there.keys["second"] = rsa.generate_private_key(65537, 2048)
    token = there.signed("second")

    assert "not one of its issuer's" in await refused(issuer, token)
    clock.now += PAUSE + 1
    assert (await issuer.check(token)).owner == "ana"
    asked = len(there.asked)
    for _ in range(3):
        await issuer.check(token)
    assert len(there.asked) == asked == 4


async def test_a_key_that_was_withdrawn_is_gone_after_a_time(
    issuer: Issuer, there: Authority, clock: Clock
) -> None:
    token = there.signed()
    await issuer.check(token)
    there.keys = {"second": there.keys["first"]}

    clock.now += FRESH + 1

    await refused(issuer, token)


async def test_an_issuer_that_does_not_answer_well_costs_no_key_that_is_known(
    issuer: Issuer, there: Authority, clock: Clock
) -> None:
    token = there.signed()
    await issuer.check(token)
    for place, told, padding in (
        ("/nowhere", there.issuer, ""),
        (OPENID, "https://evil.example.com", ""),
        (OPENID, there.issuer, "x"),
        (OPENID, there.issuer, " " * MOST),
    ):
        there.place, there.told_issuer, there.padding = place, told, padding
        clock.now += FRESH + 1
        assert (await issuer.check(token)).owner == "ana"


async def test_a_server_takes_tokens_of_its_issuer_and_says_where_to_get_them(
    env: dict[str, str], settings: Settings, there: Authority
) -> None:
    settings.db.parent.mkdir()
    config = settings.db.with_name("config.toml")
    config.write_text(
        f'[http.oauth]\nissuer = "{there.issuer}"\nresource = "{RESOURCE}"\n', encoding="utf-8"
    )
    config.chmod(0o600)
    write = ("tools/call", {"name": "remember", "arguments": {"content": "The crane is red."}})
    where = "https://memory.example.com/.well-known/oauth-protected-resource/mcp"

    async with web(env, "--allow-host", "memory.example.com") as one:
        host = {"host": "memory.example.com"}
        path = one.url.removesuffix("/mcp") + "/.well-known/oauth-protected-resource/mcp"
        metadata = await one.client.get(path, headers=host)
        nobody = await one.post(*TOPICS, None, **host)
        narrow = await one.post(*write, there.signed(scope="read"), **host)
        none = await one.post(*TOPICS, there.signed(scope="openid"), **host)
        good = await one.post(*write, there.signed(), **host)
        other = await one.post(*TOPICS, there.signed(aud="https://other.example.com"), **host)
        given_out = await one.post(*TOPICS, "amt_" + "x" * 43, **host)
        asked = len(there.asked)

    assert metadata.json() == {
        "resource": RESOURCE,
        "authorization_servers": [there.issuer],
        "scopes_supported": ["read", "write", "admin"],
        "bearer_methods_supported": ["header"],
        "resource_name": "agent-mem",
    }
    assert nobody.headers["www-authenticate"] == (
        f'Bearer realm="agent-mem", resource_metadata="{where}"'
    )
    assert [answer.status_code for answer in (nobody, narrow, none, good, other, given_out)] == [
        401, 403, 403, 200, 401, 401,
    ]  # fmt: skip
    assert 'scope="write", error="insufficient_scope"' in narrow.headers["www-authenticate"]
    assert 'error="invalid_token"' in other.headers["www-authenticate"]
    assert not good.json()["result"].get("isError")
    assert asked == 2
