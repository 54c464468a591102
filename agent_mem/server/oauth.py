"""Access tokens of an authorization server: JWTs, checked against the keys that it publishes."""

import logging
from collections.abc import Callable
from time import monotonic
from typing import Any, Final, cast

import anyio
import httpx2
import jwt
from jwt import PyJWK, PyJWKSet
from pydantic import BaseModel, TypeAdapter, ValidationError

from agent_mem.behaviors.allowed import OAuth
from agent_mem.config import Named
from agent_mem.errors import AccessRefused

ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
"""Those with a public key: `none` and a shared secret are refused."""
LEEWAY: Final = 30.0
"""Seconds by which clocks may differ."""
PAUSE: Final = 30.0
"""Seconds in which the keys are asked for once, however many unknown ones are named."""
FRESH: Final = 3600.0
"""Seconds after which the keys are asked for anew: one that was withdrawn is gone then."""
PATIENCE: Final = 5.0
MOST: Final = 1 << 20
"""Bytes of what an authorization server may publish."""
OWNER: Final[TypeAdapter[str]] = TypeAdapter(Named)

logger = logging.getLogger(__name__)


class Published(BaseModel):
    """What is needed of an authorization server's metadata."""

    issuer: str
    jwks_uri: str


class Bearer(BaseModel):
    """Who presents a token."""

    owner: str
    client: str
    issuer: str | None = None
    scopes: list[str]
    expires_at: int | None = None


class Issuer:
    """One authorization server, with the keys that it has published.

    Args:
        oauth: which, and what its tokens must say.
        clock: seconds that only grow.
    """

    def __init__(self, oauth: OAuth, clock: Callable[[], float] = monotonic) -> None:
        self._oauth = oauth
        self._clock = clock
        self._keys: dict[str | None, PyJWK] = {}
        self._asked: float | None = None
        self._lock = anyio.Lock()

    async def check(self, token: str) -> Bearer:
        """Check a token, and say whose it is.

        Raises:
            AccessRefused: it is none of this issuer's for this server, or has run out.
        """
        oauth = self._oauth
        try:
            key = await self._key(jwt.get_unverified_header(token).get("kid"))
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=oauth.audience or oauth.resource,
                issuer=oauth.issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud"]},
            )
            owner = OWNER.validate_python(claims.get(oauth.owner_claim), strict=True)
        except jwt.InvalidTokenError as error:
            raise unfit(str(error)) from None
        except ValidationError:
            raise unfit(f"The token names no owner in `{oauth.owner_claim}`.") from None
        client = claims.get("client_id") or claims.get("azp") or claims.get("sub") or owner
        return Bearer(
            owner=owner,
            client=str(client),
            issuer=oauth.issuer,
            scopes=scopes_of(claims),
            expires_at=int(claims["exp"]),
        )

    async def _key(self, kid: str | None) -> PyJWK:
        """Find a key; where it is unknown, or all are old, ask the issuer for its keys again."""
        async with self._lock:
            since = None if self._asked is None else self._clock() - self._asked
            if since is None or since > FRESH or (since > PAUSE and kid not in self._keys):
                await self._ask()
        if kid in self._keys:
            return self._keys[kid]
        raise jwt.InvalidTokenError("The key of the token is not one of its issuer's.")

    async def _ask(self) -> None:
        """Read the issuer's keys; those that are known stay if it does not answer."""
        self._asked = self._clock()
        try:
            self._keys = await published(self._oauth.issuer)
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, jwt.PyJWTError) as error:
            logger.warning("The keys of %s cannot be read: %s", self._oauth.issuer, error)


async def published(issuer: str) -> dict[str | None, PyJWK]:
    """Read the keys that an authorization server publishes (RFC 8414, or OpenID Connect).

    Raises:
        httpx2.HTTPError: it cannot be reached.
        ValueError, jwt.PyJWTError: what it says makes no sense.
    """
    async with httpx2.AsyncClient(timeout=PATIENCE) as client:
        told = Published.model_validate_json(await metadata(client, issuer))
        if told.issuer.rstrip("/") != issuer.rstrip("/"):
            raise ValueError(f"its metadata is of {told.issuer[:200]}")
        keys = PyJWKSet.from_json((await fetched(client, told.jwks_uri)).decode())
    found: dict[str | None, PyJWK] = {key.key_id: key for key in keys.keys}
    if len(keys.keys) == 1:
        found[None] = keys.keys[0]
    return found


async def metadata(client: httpx2.AsyncClient, issuer: str) -> bytes:
    """Find the metadata of an issuer where one of two standards puts it."""
    url = httpx2.URL(issuer)
    path = url.path.rstrip("/")
    try:
        there = url.copy_with(path=f"/.well-known/oauth-authorization-server{path}")
        return await fetched(client, str(there))
    except httpx2.HTTPStatusError:
        return await fetched(client, f"{issuer.rstrip('/')}/.well-known/openid-configuration")


async def fetched(client: httpx2.AsyncClient, url: str) -> bytes:
    """Fetch a small document."""
    async with client.stream("GET", url) as answer:
        answer.raise_for_status()
        found = bytearray()
        async for part in answer.aiter_bytes():
            found += part
            if len(found) > MOST:
                raise ValueError(f"{url} is too long")
        return bytes(found)


def scopes_of(claims: dict[str, Any]) -> list[str]:
    """Read what was granted: `scope` is a string of names, `scp` one or a list."""
    granted = claims.get("scope", claims.get("scp", ""))
    if isinstance(granted, str):
        return granted.split()
    return [str(one) for one in cast("list[object]", granted)] if isinstance(granted, list) else []


def unfit(why: str) -> AccessRefused:
    return AccessRefused(why, 401, "invalid_token")
