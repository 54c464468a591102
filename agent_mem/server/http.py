"""The process over HTTP: several clients, several owners, both protocol eras at `/mcp`."""

import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import anyio
import uvicorn
from mcp.server import Server
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agent_mem.behaviors.allowed import OAuth, place, read
from agent_mem.config import Settings
from agent_mem.errors import InvalidInput
from agent_mem.server.changes import Changes
from agent_mem.server.door import Door, Keys
from agent_mem.server.kernel import kernel
from agent_mem.server.limits import Limits
from agent_mem.server.oauth import Issuer
from agent_mem.server.opening import Opening
from agent_mem.server.owners import Asked, AskedChanges, Owners
from agent_mem.server.scopes import SCOPES
from agent_mem.server.tokens import Tokens

PATH: Final = "/mcp"
HEALTH: Final = "/healthz"
LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
GRACE: Final = 1
"""Seconds that requests which are under way get to finish when the process is told to stop."""
BACKLOG: Final = 1024


@dataclass(frozen=True, slots=True)
class Options:
    """Where and how to serve.

    Args:
        host: the address to listen at.
        port: the port; 0 is any that is free.
        names: hosts by which clients may call this one, beside the address itself.
        rate: requests a second for each token; 0 is no limit.
        largest: bytes of a request's body.
        direct: work on the server itself, without a file.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    names: Sequence[str] = ()
    rate: float = 200
    largest: int = 4 << 20
    direct: bool = False


Making = Callable[[Opening, Changes], Server[Any]]


async def serve(settings: Settings, options: Options, making: Making = kernel) -> int:
    """Serve until a signal comes; returns the exit code.

    Args:
        settings: where the memory is, and whose.
        options: where and how to serve.
        making: makes the server that stands behind it all.

    Raises:
        InvalidInput: nobody would be asked who they are, off this machine; or the address cannot
            be had.
        ActionFailed: others may write what says who may come in.
    """
    logging.basicConfig(stream=sys.stderr, level=settings.log_level)
    owners = Owners(settings, direct=options.direct)
    app = application(owners, options, making)
    listening = listen(options)
    ended: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises it again when all is done
        signal.signal(number, lambda number, _: ended.append(number))
    config = uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # anybody can write them
        ws="none",
        timeout_graceful_shutdown=GRACE,
        backlog=BACKLOG,
    )
    say(f"Serving MCP at {url(listening)}")
    await Process(config, owners).serve([listening])
    return (130 if signal.SIGINT in ended else 0) if ended else 1


class Process(uvicorn.Server):
    """Ends what listens when it is told to stop, and stops when there is nothing left to ask."""

    def __init__(self, config: uvicorn.Config, owners: Owners) -> None:
        super().__init__(config)
        self._owners = owners

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or not self._owners.running

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._owners.end_streams()
        await super().shutdown(sockets)


def application(owners: Owners, options: Options, making: Making) -> Starlette:
    """Wire the kernel to its transport, and put the door before it.

    Args:
        owners: whose memories are served.
        options: how.
        making: makes the server that stands behind it all.

    Raises:
        InvalidInput: nobody would be asked who they are, off this machine.
        ActionFailed: others may write what says who may come in.
    """
    oauth = read(place(owners.settings)).http.oauth
    keys = keys_of(owners.settings, oauth, options)
    manager = StreamableHTTPSessionManager(
        making(Asked(owners), AskedChanges(owners)),
        max_request_body_size=options.largest,
    )
    known = build_resource_metadata_url(AnyHttpUrl(oauth.resource)) if oauth else None
    door = Door(
        manager.handle_request,
        keys,
        owners,
        limits=Limits(options.rate),
        largest=options.largest,
        metadata=str(known) if known else None,
    )

    @asynccontextmanager
    async def running(_: Starlette) -> AsyncGenerator[None]:
        async with owners.run(), manager.run(), anyio.create_task_group() as tasks:
            tasks.start_soon(door.watch)
            yield
            tasks.cancel_scope.cancel()

    return Starlette(
        routes=[Route(HEALTH, healthy), Route(PATH, Hosts(door, options)), *published(oauth)],
        lifespan=running,
    )


def keys_of(settings: Settings, oauth: OAuth | None, options: Options) -> Keys:
    """Say how it is told who asks; off this machine, it has to be.

    Raises:
        InvalidInput: it is not.
    """
    keys = Keys(Tokens(settings), Issuer(oauth) if oauth else None)
    outside = [name for name in (options.host, *options.names) if not is_loopback(name)]
    if outside and not keys.asked_for:
        raise InvalidInput(
            f"Off this machine ({outside[0]}) everybody must say who they are: make a token first"
            " with `agent-mem token add`, or set [http.oauth]."
        )
    return keys


async def healthy(_: Request) -> PlainTextResponse:
    """Say that the process answers; nothing of what it knows."""
    return PlainTextResponse("ok\n")


def published(oauth: OAuth | None) -> list[Route]:
    """Tell clients who gives out access tokens for this server (RFC 9728)."""
    if oauth is None:
        return []
    return create_protected_resource_routes(
        AnyHttpUrl(oauth.resource),
        [AnyHttpUrl(oauth.issuer)],
        scopes_supported=list(SCOPES),
        resource_name="agent-mem",
    )


class Hosts:
    """Lets in who calls this server by a name that it has: a page in a browser may not.

    Args:
        inside: what is behind it.
        options: the names.
    """

    def __init__(self, inside: ASGIApp, options: Options) -> None:
        self._inside = inside
        own = () if is_any(options.host) else (bracketed(options.host),)
        names = dict.fromkeys((*LOOPBACK, *own, *map(bracketed, options.names)))
        hosts = [form for name in names for form in (name, f"{name}:*")]
        origins = [f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts]
        self._security = TransportSecurityMiddleware(
            TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = await self._security.validate_request(Request(scope))
        await (refused or self._inside)(scope, receive, send)


def listen(options: Options) -> socket.socket:
    """Take the address, before anything is opened.

    Raises:
        InvalidInput: it cannot be had.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        return socket.create_server(
            (options.host.strip("[]"), options.port), family=family, backlog=BACKLOG
        )
    except (OSError, OverflowError) as error:
        raise InvalidInput(f"{options.host}:{options.port} cannot be used: {error}.") from None


def url(listening: socket.socket) -> str:
    host, port, *_ = listening.getsockname()
    return f"http://{bracketed(host)}:{port}{PATH}"


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and is_address(host) else host


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_any(host: str) -> bool:
    return is_address(host) and ipaddress.ip_address(host).is_unspecified


def is_loopback(host: str) -> bool:
    bare = host.strip("[]")
    return bare == "localhost" or (is_address(bare) and ipaddress.ip_address(bare).is_loopback)


def say(text: str) -> None:
    """Tell whoever started it."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
