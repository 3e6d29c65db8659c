"""A server between captrawl and a real Elasticsearch, that behaves badly when told to; and a fake one."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import SplitResult, urlsplit

Misbehaviour = Callable[[str, bytes], str]
"""(path, body) → "" (pass on), "cut" (close before passing on), "lose" (pass on, close before answering), or
a status to answer, without passing on."""

BUSY = b'{"error":{"type":"es_rejected_execution_exception","reason":"rejected, queue full"},"status":429}'


@contextlib.contextmanager
def between(
    url: str,
    misbehave: Misbehaviour,
    *,
    known: Mapping[str, str] | None = None,
    edit: Callable[[str, bytes], bytes] = lambda path, content: content,
) -> Iterator[str]:
    """A proxy before ``url``; gives its address.

    ``known`` authorizations are passed on as others; ``edit`` changes the answer to a path.
    """
    target = urlsplit(url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            way = misbehave(self.path, body)
            if way == "cut":
                self._cut()
                return
            if way.isdecimal():
                self._answer(int(way), {"content-type": "application/json"}, BUSY)
                return
            connection = _connection(target)
            with contextlib.closing(connection):
                headers = {
                    k.lower(): v for k, v in self.headers.items() if k.lower() not in ("host", "connection")
                }
                who = self.headers.get("authorization", "")
                if who in (known or {}):
                    headers = {**headers, "authorization": known[who]}
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                content = edit(self.path, answer.read())
                if way == "lose":
                    self._cut()
                    return
                self._answer(answer.status, {"content-type": answer.getheader("content-type", "")}, content)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _pass_on

        def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in {"x-elastic-product": "Elasticsearch", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _cut(self) -> None:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_: object) -> None:
            pass

    yield from _served(Handler)


def _connection(target: SplitResult) -> http.client.HTTPConnection:
    if target.scheme == "https":
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection(target.hostname, target.port, timeout=120, context=trusting)
    return http.client.HTTPConnection(target.hostname, target.port, timeout=120)


@contextlib.contextmanager
def answering(status: int, content: bytes, headers: dict[str, str]) -> Iterator[str]:
    """A server that answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_HEAD = _answer

        def log_message(self, *_: object) -> None:
            pass

    yield from _served(Handler)


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """A server that accepts connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def _served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
