"""A Docker engine in name only: it answers the calls that start a container, whose port is a server's."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

ID = "c0ffee" * 10 + "c0ff"


@dataclass
class Engine:
    """What was asked of the engine: its address, and the containers' configurations, states and calls."""

    address: str = ""
    created: list[dict] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)


@contextlib.contextmanager
def running(port: int) -> Iterator[Engine]:
    """An engine on loopback; port 9200 of every container is ``port`` of this machine."""
    engine = Engine()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _call(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            url = urlsplit(self.path)
            path = re.sub(r"^/v[0-9.]+", "", url.path)
            engine.calls.append(f"{self.command} {path}")
            status, answer = self._answer(path, body, parse_qs(url.query))
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            kind = "text/plain" if isinstance(answer, bytes) else "application/json"
            for name, value in (("content-type", kind), ("api-version", "1.47"), ("ostype", "linux")):
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if status != 204:
                self.wfile.write(content)

        do_GET = do_POST = do_DELETE = do_HEAD = _call

        def _answer(self, path: str, body: bytes, query: dict) -> tuple[int, object]:
            if path == "/_ping":
                return 200, b"OK"
            if path == "/version":
                return 200, {"Version": "27.0.0", "ApiVersion": "1.47", "MinAPIVersion": "1.24"}
            if path == "/info":
                return 200, {"ServerVersion": "27.0.0", "OperatingSystem": "none", "Labels": []}
            if path.startswith("/images/") and path.endswith("/json"):
                return 200, {"Id": "sha256:0", "RepoTags": [path.split("/", 2)[2].removesuffix("/json")]}
            if path == "/containers/create":
                engine.created.append(json.loads(body))
                return 201, {"Id": ID, "Warnings": []}
            if path == "/containers/json":
                return 200, [{"Id": ID, **self._container()}]
            if path == f"/containers/{ID}/json":
                return 200, self._container()
            if path == f"/containers/{ID}/logs":
                return 200, b""
            if path.startswith(f"/containers/{ID}"):  # start, stop, delete
                return 204, b""
            return 404, {"message": f"no such call: {path} {query}"}

        def _container(self) -> dict:
            ports = {"9200/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
            state = {"Status": "running", "Running": True, "ExitCode": 0}
            bridge = {"Gateway": "127.0.0.1", "IPAddress": "127.0.0.1"}
            network = {"Ports": ports, "Networks": {"bridge": bridge}}
            config = {"Image": engine.created[-1]["Image"], "Labels": {}}
            return {"Id": ID, "Name": "/es", "State": state, "NetworkSettings": network, "Config": config,
                    "HostConfig": {"NetworkMode": "bridge"}, "Image": "sha256:0"}  # fmt: skip

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        engine.address = f"tcp://127.0.0.1:{server.server_address[1]}"
        try:
            yield engine
        finally:
            server.shutdown()
