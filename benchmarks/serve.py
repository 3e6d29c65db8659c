"""The page's server under 16 clients at once, against the bare library asked the same, as JSON.

    python benchmarks/serve.py INDEX CLASSES [--requests 4000] [--clients 16]

CLASSES is a class list; five phrases of a class are one question, as a page of 20 captions and as counts.
Clients are closed loops over loopback with kept connections, in a process of their own on the same cores. Of
every run: requests a second, and the median and 99th percentile of milliseconds. The bare library answers one
question after the other in one thread. Also: seconds from the command to the first page, the page's bytes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from captrawl.classes.files import load_classes
from captrawl.search.captions import open_captions
from captrawl.web.caption_pages import answer
from captrawl.web.explorer import Explorer
from captrawl.web.schemas import PageParameters
from peers import machine

PAGE = ("index.html", "style.css", "icon.svg", "app.js", "dom.js", "rows.js", "captions.js", "similar.js",
        "large.js", "gallery.js", "classes.js", "sliders.js")  # fmt: skip


class Client:
    """One kept connection, over which one GET follows the other."""

    def __init__(self, port: int, targets: Iterator[str]) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port))
        self.times: list[float] = []
        self.bytes = 0
        self._targets = targets

    def ask(self) -> bool:
        """Ask for the next target; False where there is none."""
        target = next(self._targets, None)
        if target is not None:
            self._target, self._left, self._head, self._asked = target, -1, b"", time.perf_counter()
            self.connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return target is not None

    def read(self) -> bool:
        """Take what came; whether the answer is whole."""
        data = self.connection.recv(1 << 18)
        if self._left < 0:
            self._head += data
            head, blank, data = self._head.partition(b"\r\n\r\n")
            if not blank:
                return False
            if head[9:12] != b"200":
                raise SystemExit(f"{self._target} was answered with {head[9:12].decode()}")
            self._left = int(re.search(rb"content-length: (\d+)", head)[1])
        self._left -= len(data)
        self.bytes += len(data)
        if self._left == 0:
            self.times.append(time.perf_counter() - self._asked)
        return self._left == 0


def asked(port: int, targets: Iterable[str], clients: int) -> list[Client]:
    """Clients that have asked all ``targets`` between them."""
    waiting = selectors.DefaultSelector()
    shared = iter(targets)
    made = [Client(port, shared) for _ in range(clients)]
    for each in made:
        if each.ask():
            waiting.register(each.connection, selectors.EVENT_READ, each)
    while waiting.get_map():
        for key, _ in waiting.select():
            if key.data.read() and not key.data.ask():
                waiting.unregister(key.fileobj)
                key.data.connection.close()
    return made


def load(port: int, targets: list[str], clients: int, answers: Any) -> None:
    """Ask all ``targets`` by so many clients; (seconds, every request's seconds) into ``answers``."""
    started = time.perf_counter()
    times = [seconds for each in asked(port, targets, clients) for seconds in each.times]
    answers.put((time.perf_counter() - started, times))


def told(seconds: float, times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    pick = {"p50_ms": 0.5, "p99_ms": 0.99}
    return {
        "requests_per_second": round(len(times) / seconds, 1),
        **{name: round(1000 * ordered[int(share * (len(times) - 1))], 2) for name, share in pick.items()},
    }


def measured(port: int, targets: list[str], clients: int) -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=load, args=(port, targets, clients, answers))
    process.start()
    result = answers.get()
    process.join()
    return told(*result)


def bare(index: Path, questions: list[tuple[str, ...]]) -> dict[str, float]:
    """The library's own answers, one after the other, as the page's rows."""
    with open_captions(index) as captions:
        explorer = Explorer(captions, str(index), None)
        times: list[float] = []
        started = time.perf_counter()
        for phrases in questions:
            before = time.perf_counter()
            answer(explorer, PageParameters(phrase=list(phrases)))
            times.append(time.perf_counter() - before)
        return told(time.perf_counter() - started, times)


def first_page(port: int) -> int:
    """Fetch the page and all its files; how many bytes they are."""
    [client] = asked(port, ["/", *(f"/static/{name}" for name in PAGE[1:])], 1)
    return client.bytes


def start(index: Path) -> tuple[subprocess.Popen[str], int, dict[str, Any]]:
    """A server, its port, and how its first page came."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "captrawl", "serve", "--index", str(index), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = server.stdout.readline()
    port = int(re.search(r":(\d+)/", line)[1])
    size = first_page(port)
    return server, port, {"seconds": round(time.perf_counter() - started, 2), "bytes": size}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("classes", type=Path)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--clients", type=int, default=16)
    arguments = parser.parse_args()
    phrases = [entry.match_phrases()[:5] for entry in load_classes(arguments.classes)]
    questions = [phrases[i % len(phrases)] for i in range(arguments.requests)]
    queries = [urlencode([("phrase", one) for one in each]) for each in questions]
    server, port, first = start(arguments.index)
    try:
        runs = {
            "page of 20": measured(port, [f"/api/query?{query}" for query in queries], arguments.clients),
            "one phrase, page of 20": measured(
                port, [f"/api/query?{query.split('&')[0]}" for query in queries], arguments.clients
            ),
            "counts": measured(port, [f"/api/count?{query}" for query in queries], arguments.clients),
            "a static file": measured(port, ["/static/icon.svg"] * arguments.requests, arguments.clients),
            "page of 20, one client": measured(port, [f"/api/query?{q}" for q in queries[:500]], 1),
        }
    finally:
        server.terminate()
        server.wait()
    peer = bare(arguments.index, questions)
    with open_captions(arguments.index) as captions:
        rows = captions.rows()
    result = {
        "benchmark": "serve",
        "machine": machine(),
        "rows": rows,
        "clients": arguments.clients,
        "requests": arguments.requests,
        "first page": first,
        "runs": runs,
        "bare library, one thread": peer,
        "ratio": {
            "requests_per_second": round(
                runs["page of 20"]["requests_per_second"] / peer["requests_per_second"], 2
            )
        },
    }
    json.dump(result, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
