"""A server on loopback that speaks the OpenAI protocol, and a workspace to ask for."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from captrawl.classes.files import save_classes
from captrawl.classes.model import ClassEntry, named
from captrawl.workspace.workspace import Workspace

Scripted = Callable[[dict[str, Any]], "Reply"]


@dataclass
class Reply:
    """What the server answers: a chat completion with ``text``, or ``body`` as it is."""

    text: str | None = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    refusal: str | None = None
    delay: float = 0.0
    drop: bool = False
    """Close the connection instead."""


class LanguageServer:
    """Answers what ``script`` says to each request; ``requests`` holds what came."""

    def __init__(self, script: Scripted) -> None:
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.under_way = self.most_under_way = 0
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with lock:
                    outer.requests.append(body)
                    outer.keys.append(self.headers.get("authorization", ""))
                    outer.under_way += 1
                    outer.most_under_way = max(outer.most_under_way, outer.under_way)
                try:
                    reply = outer.script(body) if self.path == "/v1/chat/completions" else Reply(status=404)
                    if reply.delay:
                        time.sleep(reply.delay)
                finally:
                    with lock:
                        outer.under_way -= 1
                if reply.drop:
                    self.close_connection = True
                    self.connection.close()
                    return
                self.answer(reply)

            def answer(self, reply: Reply) -> None:
                message = {"role": "assistant", "content": reply.text, "refusal": reply.refusal}
                completion: dict[str, Any] = {
                    "id": "x",
                    "object": "chat.completion",
                    "created": 0,
                    "model": "fake",
                    "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 40, "completion_tokens": 10, "total_tokens": 50},
                }
                data = json.dumps(completion).encode() if reply.body is None else reply.body
                try:
                    self.send_response(reply.status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(data)))
                    for key, value in reply.headers.items():
                        self.send_header(key, value)
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:  # the client gave up waiting
                    self.close_connection = True

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: object) -> None:
                pass  # dropped connections are the test's wish

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def asked(self, name: str) -> int:
        """How often the class called ``name`` was asked for."""
        return sum(class_of(request) == name for request in self.requests)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def class_of(request: dict[str, Any]) -> str:
    """The class name in a request's question (``… referring to a fish, i.e. NAME?``)."""
    question = request["messages"][-1]["content"].partition("?")[0]
    return question.rpartition("i.e. ")[2]


class Language:
    """What a test needs of this module, as a fixture (tests can't import one another)."""

    reply = Reply
    class_of = staticmethod(class_of)

    def __init__(self) -> None:
        self.servers: list[LanguageServer] = []

    def start(self, script: Scripted) -> LanguageServer:
        """A server that answers by ``script``."""
        self.servers.append(LanguageServer(script))
        return self.servers[-1]

    def by_class(self, script: dict[str, Reply | list[Reply]]) -> LanguageServer:
        """A server that answers of each class: the same, or one reply after the other (the last stays)."""

        def answer(request: dict[str, Any]) -> Reply:
            replies = script[class_of(request)]
            if isinstance(replies, Reply):
                return replies
            return replies.pop(0) if len(replies) > 1 else replies[0]

        return self.start(answer)


@pytest.fixture
def language() -> Iterator[Language]:
    found = Language()
    yield found
    for server in found.servers:
        server.close()


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(key, raising=False)
    for key in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(key, raising=False)


@pytest.fixture
def task(tmp_path: Path) -> Callable[..., Workspace]:
    """Make a workspace of class names or entries."""

    def make(*classes: str | ClassEntry, dataset: str = "", index: str = "nowhere") -> Workspace:
        root = tmp_path / "task"
        root.mkdir()
        settings = f'[task]\ndataset = "{dataset}"\n[captions]\nindex = "{index}"\n'
        (root / "captrawl.toml").write_text(settings)
        entries = [named(i, c) if isinstance(c, str) else c for i, c in enumerate(classes)]
        save_classes(entries, root / "classes.json")
        return Workspace.open(root)

    return make
