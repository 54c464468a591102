"""A real server on this machine that speaks OpenAI's embeddings API, and can be told to fail."""

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

MODEL = "tiny-embedder"
DIMENSIONS = 8
NEEDED_HEADERS = {
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "user-agent",
}

Reply = Callable[["Handler", dict[str, Any]], None]


def vector_of(text: str) -> NDArray[np.float32]:
    """Make up the vector of a text, always the same; its length is about 400, not 1."""
    return np.frombuffer(hashlib.sha256(text.encode()).digest()[:DIMENSIONS], np.uint8) + 1.0


def unit_of(text: str) -> NDArray[np.float32]:
    vector = vector_of(text)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class Embeddings(ThreadingHTTPServer):
    """The server. Replies in `replies` are used up first; then it answers as it should."""

    request_queue_size = 64  # more than the 5 of the library come at once

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: list[Reply] = []
        self.key: str | None = None
        self.most = 2048
        self.knows_base64 = True
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.asked = Event()
        """Somebody waits for an answer that does not come."""
        self.left = Event()
        """A connection has come to its end."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def inputs(self) -> list[list[str]]:
        return [body["input"] for body in self.bodies]

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients leave before they are answered, as they were told to."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits for 40 ms

    @property
    def embeddings(self) -> Embeddings:
        return cast("Embeddings", self.server)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.embeddings
        server.bodies.append(body)
        server.headers.append({name.lower(): value for name, value in self.headers.items()})
        server.paths.append(self.path)
        reply = server.replies.pop(0) if server.replies else properly
        reply(self, body)

    def finish(self) -> None:
        super().finish()
        self.embeddings.left.set()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Write no log."""

    def answer(self, content: object, status: int = 200, **headers: str) -> None:
        """Send bytes as they are, and anything else as JSON."""
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def refuse(self, status: int, message: str) -> None:
        self.answer({"error": {"message": message, "type": "invalid_request_error"}}, status)


def properly(handler: Handler, body: dict[str, Any]) -> None:
    """Answer as OpenAI does."""
    server = handler.embeddings
    base64 = body.get("encoding_format") == "base64"
    if server.key and handler.headers.get("Authorization") != f"Bearer {server.key}":
        handler.refuse(401, f"Incorrect API key provided: {handler.headers.get('Authorization')}")
    elif body["model"] != MODEL:
        handler.refuse(404, f"The model `{body['model']}` does not exist.")
    elif not all(body["input"]) or len(body["input"]) > server.most:
        handler.refuse(400, "'$.input' is invalid.")
    elif base64 and not server.knows_base64:
        handler.refuse(400, "Something about the body.")
    else:
        handler.answer(listed([vector_of(text) for text in body["input"]], base64=base64))


def listed(vectors: list[NDArray[Any]], *, base64: bool = False) -> dict[str, Any]:
    """Make the body of an answer."""
    shown = [b64encode(v.astype("<f4").tobytes()).decode() if base64 else list(v) for v in vectors]
    data = [{"object": "embedding", "index": n, "embedding": v} for n, v in enumerate(shown)]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return {"object": "list", "data": data, "model": MODEL, "usage": usage}


def saying(content: object, status: int = 200, **headers: str) -> Reply:
    """Answer with this, whatever was asked."""
    return lambda handler, _: handler.answer(content, status, **headers)


def failing(status: int, **headers: str) -> Reply:
    """Fail, and let the client try again at once; it would wait for half a second by itself."""
    return saying(
        {"error": {"message": "Not now."}}, status, **(headers or {"retry_after_ms": "1"})
    )


def dropping(handler: Handler, _: dict[str, Any]) -> None:
    """Close the connection without an answer."""
    handler.close_connection = True


def hanging(handler: Handler, _: dict[str, Any]) -> None:
    """Send nothing, until the client closes the connection."""
    handler.embeddings.asked.set()
    handler.connection.recv(1)
    handler.close_connection = True


@contextmanager
def serving() -> Generator[Embeddings]:
    """Start the server; at the end, stop it and wait for its thread."""
    with Embeddings() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
