"""Who comes in over HTTP: what a request must show before the server sees it."""

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.transport_security import RequestBodyLimitMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_mem.errors import AccessRefused, AgentMemError
from agent_mem.server.limits import Limits
from agent_mem.server.oauth import Bearer, Issuer
from agent_mem.server.owners import Owners
from agent_mem.server.scopes import allows, asked
from agent_mem.server.tokens import PREFIX, Tokens

MOST: Final = 100
"""Requests of one client that may be inside at the same time, its streams among them."""
LOOK: Final = 1.0
"""Seconds between two looks whether those who are inside still may be."""
REALM: Final = 'Bearer realm="agent-mem"'

logger = logging.getLogger(__name__)


class Keys:
    """What tells who asks: the tokens that were given out, and an authorization server.

    Args:
        tokens: those that were given out.
        issuer: an authorization server, if one is set.
    """

    def __init__(self, tokens: Tokens, issuer: Issuer | None) -> None:
        self._tokens = tokens
        self._issuer = issuer
        self._asked_for = issuer is not None

    @property
    def asked_for(self) -> bool:
        """Tell whether a request must show one: once there was any, for ever."""
        self._asked_for = self._asked_for or self._tokens.exist
        return self._asked_for

    async def bearer(self, header: str | None) -> Bearer | None:
        """Say who asks, by what the request shows; None where nobody needs to say.

        Raises:
            AccessRefused: that is not told, or not known.
        """
        if not self.asked_for:
            return None
        kind, _, secret = (header or "").partition(" ")
        if kind.lower() != "bearer" or not secret.strip():
            raise AccessRefused("Send a bearer token in the header Authorization.", 401)
        secret = secret.strip()
        if self._issuer and not secret.startswith(PREFIX):
            return await self._issuer.check(secret)
        return self._given_out(secret)

    def _given_out(self, secret: str) -> Bearer:
        token = self._tokens.find(secret)
        if token is None:
            raise AccessRefused("The token is not known here.", 401, "invalid_token")
        if token.expired:
            raise AccessRefused("The token has expired.", 401, "invalid_token")
        return Bearer(owner=token.owner, client=f"token {token.name}", scopes=[token.scope])


class Door:
    """Lets in who may: known, not too often, with a body of bounded size, and only to what it may.

    Args:
        inside: the server.
        keys: what tells who asks.
        owners: whose memory is opened for the request.
        limits: how often each may ask.
        largest: bytes of a body.
        metadata: where a client reads how to get a token, if anywhere.
    """

    def __init__(
        self,
        inside: ASGIApp,
        keys: Keys,
        owners: Owners,
        *,
        limits: Limits,
        largest: int,
        metadata: str | None,
    ) -> None:
        self._inside = inside
        self._keys = keys
        self._owners = owners
        self._limits = limits
        self._metadata = metadata
        self._checked = RequestBodyLimitMiddleware(self._check, largest)
        self._inner: dict[anyio.CancelScope, tuple[str | None, str]] = {}
        """The requests that are inside, with what they have shown, and whose they are."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            bearer, name = await self._known(request)
        except AccessRefused as refused:
            await self._refusal(refused)(scope, receive, send)
            return
        if bearer:
            scope["user"] = AuthenticatedUser(access_token(bearer))
        through = self._checked if bearer else self._inside
        owner = bearer.owner if bearer else self._owners.settings.owner
        with anyio.CancelScope() as inside:
            self._inner[inside] = request.headers.get("authorization"), name
            try:
                async with self._owners.holding(owner):
                    await through(scope, receive, send)
            finally:
                del self._inner[inside]

    async def watch(self) -> None:
        """Put out who may not be inside any more, until cancelled: a stream has no end."""
        while True:
            await anyio.sleep(LOOK)
            for inside, (shown, _) in list(self._inner.items()):
                try:
                    await self._keys.bearer(shown)
                except AgentMemError:
                    inside.cancel()

    async def _known(self, request: Request) -> tuple[Bearer | None, str]:
        """Say who asks, and as whom it is counted; who is not known may not ask often, either."""
        peer = request.client.host if request.client else ""
        try:
            bearer = await self._keys.bearer(request.headers.get("authorization"))
        except AccessRefused:
            self._count(f"peer {peer}")
            raise
        except AgentMemError as error:
            logger.error("Nobody is let in: %s", error)  # noqa: TRY400 - the sentence says it all
            raise AccessRefused("The tokens cannot be read now.", 503) from error
        name = f"{bearer.issuer} {bearer.client} {bearer.owner}" if bearer else ""
        self._count(name)
        if bearer and sum(name == one for _, one in self._inner.values()) >= MOST:
            raise too_many(1)
        return bearer, name

    def _count(self, name: str) -> None:
        if wait := self._limits.take(name):
            raise too_many(wait)

    async def _check(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look whether what is asked for may be done; what was read is what is passed on."""
        try:
            passed = receive if scope["method"] != "POST" else await self._read(scope, receive)
        except AccessRefused as refused:
            await self._refusal(refused)(scope, receive, send)
        except (ValueError, RecursionError):
            await JSONResponse(NO_JSON, 400)(scope, receive, send)
        else:
            await self._inside(scope, passed, send)

    async def _read(self, scope: Scope, receive: Receive) -> Receive:
        message: Any = json.loads(await Request(scope, receive).body())
        needed = asked(message)
        if not allows(scope["user"].scopes, needed):
            raise AccessRefused(
                f"This needs the scope {needed}.", 403, "insufficient_scope", {"scope": needed}
            )
        return replay(json.dumps(message).encode(), receive)

    def _refusal(self, refused: AccessRefused) -> JSONResponse:
        """Refuse in the words of RFC 6750 and RFC 9728."""
        body = {"error": refused.error or "unauthorized", "error_description": str(refused)}
        headers = {k: v for k, v in refused.more.items() if k == "retry-after"}
        if refused.status in (401, 403):
            headers["www-authenticate"] = self._challenge(refused)
        return JSONResponse(body, refused.status, headers)

    def _challenge(self, refused: AccessRefused) -> str:
        said = dict(refused.more)
        if refused.error:
            said |= {"error": refused.error, "error_description": quotable(str(refused))}
        if self._metadata:
            said["resource_metadata"] = self._metadata
        return ", ".join([REALM, *(f'{name}="{value}"' for name, value in said.items())])


NO_JSON: Final = {
    "jsonrpc": "2.0",
    "id": None,
    "error": {"code": -32700, "message": "Parse error"},
}


def too_many(wait: int) -> AccessRefused:
    return AccessRefused("Too many requests.", 429, "too_many_requests", {"retry-after": str(wait)})


def quotable(text: str) -> str:
    """Keep of a sentence what may stand in a header's quotes."""
    return "".join(c for c in text if " " <= c <= "~" and c not in '"\\')


def access_token(bearer: Bearer) -> AccessToken:
    """Tell the SDK who asks: a session of another cannot be taken over."""
    return AccessToken(
        token="",
        client_id=bearer.client,
        scopes=bearer.scopes,
        expires_at=bearer.expires_at,
        subject=bearer.owner,
        claims={"iss": bearer.issuer} if bearer.issuer else None,
    )


def replay(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """Give a body that was read, and then whatever comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again
