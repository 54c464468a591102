"""A stand-in, on this machine, for the API of a model: it says what it is told to, and listens."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Json = dict[str, Any]


@dataclass
class Model:
    """What was asked, and what is to be answered: tools to call, then words."""

    url: str
    calls: list[tuple[str, Json]] = field(default_factory=list[tuple[str, Json]])
    requests: list[Json] = field(default_factory=list[Json])

    def answer(self, request: Json) -> Json:
        self.requests.append(request)
        blocks: list[Json] = [{"type": "text", "text": "<summary>Some work.</summary> Done."}]
        if request.get("tools") and self.calls:
            name, given = self.calls.pop(0)
            blocks = [
                {"type": "tool_use", "id": f"toolu_{name[-9:]}", "name": name, "input": given}
            ]
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": request.get("model", "m"),
            "content": blocks,
            "stop_reason": "tool_use" if blocks[0]["type"] == "tool_use" else "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 10, "output_tokens": 5},
        }


def events(message: Json) -> Generator[tuple[str, Json]]:
    """Tell a message as it is streamed."""
    begun: Json = {**message, "content": [], "stop_reason": None}
    yield "message_start", {"message": begun}
    for n, block in enumerate(message["content"]):
        delta: Json = {"type": "text_delta", "text": block.get("text")}
        empty: Json = {**block, "text": ""}
        if block["type"] == "tool_use":
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            empty = {**block, "input": {}}
        yield "content_block_start", {"index": n, "content_block": empty}
        yield "content_block_delta", {"index": n, "delta": delta}
        yield "content_block_stop", {"index": n}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield "message_delta", {"delta": ended, "usage": {"output_tokens": 5}}
    yield "message_stop", {}


@contextmanager
def answering() -> Generator[Model]:
    """Serve on this machine until the end."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

        def do_GET(self) -> None:
            self.send(b"{}", "application/json")

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers.get("content-length", 0)))
            request: Json = json.loads(text or b"{}")
            if "messages" not in request or "count_tokens" in self.path:
                self.send(json.dumps({"input_tokens": len(text) // 4}).encode(), "application/json")
                return
            message = model.answer(request)
            if not request.get("stream"):
                self.send(json.dumps(message).encode(), "application/json")
                return
            told = (
                f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n"
                for name, data in events(message)
            )
            self.send("".join(told).encode(), "text/event-stream")

        def send(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        model = Model(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield model
        finally:
            server.shutdown()
            thread.join()
