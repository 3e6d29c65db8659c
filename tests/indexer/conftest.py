"""A hostile web on loopback, pictures, and workspaces to download it into."""

from __future__ import annotations

import asyncio
import io
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.records import MATCH_SCHEMA
from captrawl.workspace.settings import CaptionSettings, DownloadSettings, Settings, save_settings
from captrawl.workspace.workspace import Workspace
from PIL import Image

Handler = Callable[[asyncio.StreamWriter, dict[str, str]], Awaitable[None]]


SITE_FILES = ("/robots.txt", "/.well-known/tdmrep.json")


@dataclass
class Hit:
    """One request that came."""

    target: str
    headers: dict[str, str]
    at: float


@dataclass
class Web:
    """A raw HTTP/1.1 server in a thread; an answer is a function that may do anything to the connection."""

    port: int = 0
    hits: list[Hit] = field(default_factory=list)
    site_hits: list[Hit] = field(default_factory=list)
    """Requests for what the site says as a whole, which every download makes once."""
    most_at_once: int = 0
    connected: int = 0
    handlers: dict[str, list[Handler]] = field(default_factory=dict)
    delay: float = 0.0

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def count(self, path: str) -> int:
        return sum(hit.target == path for hit in [*self.hits, *self.site_hits])

    def handle(self, path: str, *handlers: Handler) -> str:
        """Answer the first requests of ``path`` by the handlers in turn, later ones by the last."""
        self.handlers[path] = list(handlers)
        return self.url(path)

    def give(self, path: str, body: bytes = b"", status: int = 200, **headers: str) -> str:
        """Answer ``path`` with a whole response; header names with _ for -."""
        return self.handle(path, whole(body, status, **headers))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected += 1
        self.most_at_once = max(self.most_at_once, self.connected)
        try:
            while True:
                line = await reader.readline()
                if not line:
                    return
                target = line.split()[1].decode("latin-1")
                headers: dict[str, str] = {}
                while (row := (await reader.readline()).strip()) != b"":
                    name, _, value = row.decode("latin-1").partition(":")
                    headers[name.lower()] = value.strip()
                hits = self.site_hits if target in SITE_FILES else self.hits
                hits.append(Hit(target, headers, time.time()))
                if self.delay:
                    await asyncio.sleep(self.delay)
                queue = self.handlers.get(target) or [whole(b"", 404)]
                handler = queue.pop(0) if len(queue) > 1 else queue[0]
                await handler(writer, headers)
                await writer.drain()
                if writer.is_closing() or headers.get("connection") == "close":
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.connected -= 1
            writer.close()


def whole(body: bytes, status: int = 200, **headers: str | Sequence[str]) -> Handler:
    async def answer(writer: asyncio.StreamWriter, _: dict[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} X"]
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given.setdefault("Content-Length", str(len(body)))
        for name, value in given.items():
            lines += [f"{name}: {one}" for one in ([value] if isinstance(value, str) else value)]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return answer


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()
    loop = asyncio.new_event_loop()
    started, ended = threading.Event(), asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
        made.port = server.sockets[0].getsockname()[1]
        started.set()
        async with server:
            await ended.wait()
            # asyncio leaks the socket of a connection that it accepts while its server closes
            loop.remove_reader(server.sockets[0].fileno())
            await asyncio.sleep(0.01)

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(main())
        finally:
            rest = asyncio.all_tasks(loop)
            for task in rest:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(10)
    yield made
    loop.call_soon_threadsafe(ended.set)
    thread.join(10)


class Names:
    """A name service: name → addresses, or lists of them in turn, or an error; notes the questions."""

    def __init__(self, **table: Any) -> None:
        self.table = {name.replace("_", "."): value for name, value in table.items()}
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
        self.asked.append(host)
        found = self.table.get(host, socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
        if isinstance(found, Exception):
            raise found
        if found and isinstance(found[0], list):
            found = found.pop(0) if len(found) > 1 else found[0]
        return [
            {"hostname": host, "host": a, "port": port, "proto": 0, "flags": 0,
             "family": socket.AF_INET6 if ":" in a else socket.AF_INET}
            for a in found
        ]  # fmt: skip

    async def close(self) -> None:
        pass


def picture(seed: int = 0, width: int = 120, height: int = 100, mode: str = "RGB") -> Image.Image:
    """A smooth random picture."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def encoded(image: Image.Image, format: str = "JPEG", **options: Any) -> bytes:  # noqa: A002
    out = io.BytesIO()
    image.save(out, format=format, **options)
    return out.getvalue()


def jpeg(seed: int = 0, width: int = 120, height: int = 100) -> bytes:
    return encoded(picture(seed, width, height), quality=90)


def endless_jpeg() -> bytes:
    """A progressive JPEG of 80 MB whose first scan stands there 3,000 times: many seconds to decode."""
    data = encoded(Image.new("RGB", (3000, 3000), "grey"), progressive=True, quality=50)
    start = data.index(b"\xff\xda")
    end = data.index(b"\xff\xc4", start)
    return data[:start] + data[start:end] * 3000 + data[end:]


def match_table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows of matches.parquet; url, and what else is given; the rest is made up from the place."""
    full = [
        {"class_id": 0, "synonym": "dog", "uid": place, "caption": f"a dog {place}", "priority": place,
         "file": "c/a.parquet", "row": place, **row}
        for place, row in enumerate(rows)
    ]  # fmt: skip
    return pa.Table.from_pylist(full, schema=MATCH_SCHEMA)


MakeWorkspace = Callable[..., Workspace]


@pytest.fixture
def make_workspace(tmp_path: Path) -> MakeWorkspace:
    """make_workspace(urls or rows, name="birds", **download settings) → a workspace ready to download."""

    def make(
        rows: Sequence[str | dict[str, Any] | None], *, name: str = "birds", **download: Any
    ) -> Workspace:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        given = {
            "allow_private": True,
            "deadline": 5.0,
            "retry_after": 0.2,
            "processes": 1,
            "contact": "us@here",
        }
        settings = Settings(
            captions=CaptionSettings(index="nowhere"), download=DownloadSettings(**{**given, **download})
        )
        save_settings(settings, root / "captrawl.toml")
        full = [row if isinstance(row, dict) else {"url": row} for row in rows]
        pq.write_table(match_table(full), root / "matches.parquet")
        return Workspace(root)

    return make


def images_of(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """images.parquet by URL."""
    return {row["url"]: row for row in pq.read_table(workspace.images_path).to_pylist()}


@pytest.fixture
def tools() -> Any:
    """The helpers above, for test modules, which can't import this one."""

    class Tools:
        pass

    made = Tools()
    for helper in (Names, Web, encoded, endless_jpeg, images_of, jpeg, match_table, picture, whole):
        setattr(made, helper.__name__, helper)
    return made
