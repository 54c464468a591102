"""A real authorization server on this machine, as far as one that takes its tokens sees of it."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, cast

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from agent_mem.records.record import now

RESOURCE = "https://memory.example.com/mcp"
HOUR = timedelta(hours=1)
OAUTH = "/.well-known/oauth-authorization-server/team"
OPENID = "/team/.well-known/openid-configuration"

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class Authority(ThreadingHTTPServer):
    """The server. It publishes `keys`, and says what it is at `place`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server_address[1]}/team"
        self.told_issuer = self.issuer
        self.place = OAUTH
        self.keys: dict[str, Private] = {"first": rsa.generate_private_key(65537, 2048)}
        self.asked: list[str] = []
        self.padding = ""

    def published(self) -> list[dict[str, Any]]:
        return [
            {
                **(RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm).to_jwk(
                    cast("Any", key.public_key()), as_dict=True
                ),
                "kid": name,
                "use": "sig",
            }
            for name, key in self.keys.items()
        ]

    def signed(self, kid: str | None = "first", **changed: object) -> str:
        """Sign a token for an hour; what is None is left out of it."""
        claims = {
            "iss": self.issuer,
            "aud": RESOURCE,
            "sub": "ana",
            "scope": "openid read write",
            "exp": now() + HOUR,
            **changed,
        }
        key = self.keys[kid or "first"]
        return jwt.encode(
            {name: value for name, value in claims.items() if value is not None},
            key,
            "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256",
            headers={"kid": kid} if kid else {},
        )


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        authority = cast("Authority", self.server)
        authority.asked.append(self.path)
        told: dict[str, Any] = {
            "issuer": authority.told_issuer,
            "jwks_uri": f"{authority.issuer}/keys",
        }
        known = {authority.place: told, "/team/keys": {"keys": authority.published()}}
        body = json.dumps(known.get(self.path, {})).encode() + authority.padding.encode()
        self.send_response(200 if self.path in known else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@contextmanager
def authority() -> Generator[Authority]:
    with Authority() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
