"""Let libraries take part in `bench/peers.py`, and give vectors to whoever takes ours.

    python peer_library.py chromadb|mem0 FOLDER ENDPOINT [STOP_WORDS]

is run by the Python of the library's own environment. Each line of stdin is a JSON list:
["write", key, text, speaker], ["search", text, k] or ["held"]. Each is answered by one line of
JSON: null, or a list of keys. ENDPOINT is the address of an OpenAI-compatible API of embeddings,
which `serving` serves. With STOP_WORDS, mem0 searches for words too. The libraries are not
installed where the types are checked.
"""

import http.client
import json
import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any, Protocol
from urllib.parse import urlsplit

MODEL = "all-MiniLM-L6-v2"
DIMENSIONS = 384
USER = "bench"

Encode = Callable[[list[str]], list[list[float]]]


class Library(Protocol):
    def write(self, key: str, text: str, speaker: str) -> None: ...
    def search(self, text: str, k: int) -> list[str]: ...
    def held(self) -> list[str]: ...


class Chroma:
    """A collection on disk, with cosine distance and an embedding function of ours."""

    def __init__(self, folder: str, endpoint: str) -> None:
        chromadb = import_module("chromadb")
        client = chromadb.PersistentClient(path=folder)
        self._collection: Any = client.create_collection(
            "bench",
            embedding_function=embedding_function(endpoint),
            configuration={"hnsw": {"space": "cosine"}},
        )

    def write(self, key: str, text: str, speaker: str) -> None:
        self._collection.add(ids=[key], documents=[text], metadatas=[{"speaker": speaker}])

    def search(self, text: str, k: int) -> list[str]:
        return self._collection.query(query_texts=[text], n_results=k, include=[])["ids"][0]

    def held(self) -> list[str]:
        return self._collection.get(include=[])["ids"]


def embedding_function(endpoint: str) -> object:
    """Make the embedding function that the collection asks; its class must be one of Chroma's."""
    address = urlsplit(endpoint)
    connection = http.client.HTTPConnection(address.netloc)
    base: Any = import_module("chromadb").EmbeddingFunction

    def call(_: object, input: list[str]) -> list[list[float]]:  # noqa: A002 - Chroma's name
        body = json.dumps({"model": MODEL, "input": list(input)})
        headers = {"Content-Type": "application/json"}
        connection.request("POST", f"{address.path}/embeddings", body, headers)
        answer = json.loads(connection.getresponse().read())
        return [item["embedding"] for item in answer["data"]]

    def name(*_: object) -> str:
        return "bench"

    def config(*_: object) -> dict[str, Any]:
        return {}

    def nothing(*_: object) -> None:
        return None

    parts = {"__init__": nothing, "__call__": call, "name": staticmethod(name)}
    return type("OfEndpoint", (base,), {**parts, "get_config": config})()


class Mem0:
    """Mem0 with Qdrant on disk; nothing is inferred, so that no language model is needed."""

    def __init__(self, folder: str, endpoint: str) -> None:
        connected = {"api_key": "none", "openai_base_url": endpoint}
        store = {"path": f"{folder}/qdrant", "embedding_model_dims": DIMENSIONS, "on_disk": True}
        config = {
            "embedder": {"provider": "openai", "config": {"model": MODEL, **connected}},
            "vector_store": {"provider": "qdrant", "config": {"collection_name": USER, **store}},
            "llm": {"provider": "openai", "config": connected},
            "history_db_path": f"{folder}/history.db",
        }
        self._memory: Any = import_module("mem0").Memory.from_config(config)

    def write(self, key: str, text: str, speaker: str) -> None:
        said = [{"role": "user", "name": speaker, "content": text}]
        self._memory.add(said, user_id=USER, metadata={"key": key}, infer=False)

    def search(self, text: str, k: int) -> list[str]:
        return keys(self._memory.search(text, top_k=k, filters={"user_id": USER}))

    def held(self) -> list[str]:
        return keys(self._memory.get_all(filters={"user_id": USER}, top_k=1_000_000))


def keep_words(folder: Path, stop_words: str) -> None:
    """Put what fastembed would download for Qdrant's BM25 where it looks first.

    That is a list of stop words for each of its languages, and nothing else; English is used.
    """
    os.environ["FASTEMBED_CACHE_PATH"] = str(folder)
    model = folder / "models--Qdrant--bm25"
    files = {
        f"{name}.txt": "" for name in import_module("fastembed.sparse.bm25").supported_languages
    }
    files |= {"config.json": "{}", "english.txt": "\n".join(stop_words.split())}
    for name, text in files.items():
        path = model / "snapshots/local" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (model / "refs").mkdir()
    (model / "refs/main").write_text("local")


def keys(found: dict[str, Any]) -> list[str]:
    return [item["metadata"]["key"] for item in found["results"]]


@contextmanager
def timing(times: list[float]) -> Generator[None, None, None]:
    """Add how many milliseconds it takes."""
    began = time.perf_counter()
    yield
    times.append(1000 * (time.perf_counter() - began))


class Endpoint(ThreadingHTTPServer):
    """An encoder behind OpenAI's API of embeddings, on the loopback interface."""

    daemon_threads = True

    def __init__(self, encode: Encode) -> None:
        super().__init__(("127.0.0.1", 0), Embeddings)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.times: list[float] = []
        self._encode = encode

    def vectors(self, texts: list[str]) -> list[list[float]]:
        with timing(self.times):
            return self._encode(texts)


class Embeddings(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answer with a vector for each text."""
        if not isinstance(self.server, Endpoint):
            raise TypeError
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        vectors = enumerate(self.server.vectors(texts))
        data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in vectors]
        usage = {"prompt_tokens": 0, "total_tokens": 0}
        answer = {"object": "list", "model": MODEL, "data": data, "usage": usage}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@contextmanager
def serving(encode: Encode) -> Generator[Endpoint, None, None]:
    """Serve from a thread."""
    with Endpoint(encode) as endpoint:
        Thread(target=endpoint.serve_forever, daemon=True).start()
        yield endpoint
        endpoint.shutdown()


def answer(library: Library, do: str, arguments: list[Any]) -> list[str] | None:
    if do == "write":
        return library.write(*arguments)
    return library.search(*arguments) if do == "search" else library.held()


def main(kind: str, folder: str, endpoint: str, stop_words: str = "") -> None:
    """Answer until stdin ends; whatever a library prints goes to stderr."""
    wire = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    if stop_words:
        keep_words(Path(folder) / "fastembed", stop_words)
    library: Library = {"chromadb": Chroma, "mem0": Mem0}[kind](folder, endpoint)
    for line in sys.stdin:
        do, *arguments = json.loads(line)
        print(json.dumps(answer(library, do, arguments)), file=wire, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
