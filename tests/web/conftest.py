"""A small workspace with hostile captions, a server over it, and a real browser."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.records import IMAGE_SCHEMA
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.workspace.workspace import Workspace
from PIL import Image, ImageDraw

MODEL = Path(__file__).resolve().parents[2] / "demo" / "model"
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--metrics-recording-only",
    "--disable-features=OptimizationHints,MediaRouter,Translate",
]
COLOURS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 200)}

HOSTILE = {
    "script": "<script>document.title='owned'</script> golden retriever",
    "handler": '"><img src=x onerror="document.title=\'owned\'"> golden retriever <b>bold</b>',
    "bidi": "golden retriever \u202egnp.exe\u202c end",
    "control": "golden retriever \x1b[2J \x07 bell",
    "template": "golden retriever {{7*7}} ${alert(1)} %3Cscript%3E",
    "long": "golden retriever " + "word " * 12_000,
}
NOT_LINKS = {"script": "javascript:document.title='owned'//", "handler": "data:text/html,<script>1</script>"}


@dataclass(frozen=True)
class Site:
    """What is served: a folder with captions/ (the index) and the workspace birds/."""

    folder: Path
    uids: dict[str, int] = field(default_factory=dict)

    @property
    def index(self) -> Path:
        return self.folder / "captions"

    @property
    def workspace(self) -> Workspace:
        return Workspace.open(self.folder / "birds")


def corpus_rows() -> list[dict[str, Any]]:
    """130 rows: retrievers of three colours, cats, hostile captions, unsafe rows, NULLs."""
    rows: list[dict[str, Any]] = []

    def add(caption: str | None, url: str | None = "", **values: Any) -> None:
        if url == "":
            url = f"http://127.0.0.1:9/{len(rows)}.jpg"
        rows.append({"URL": url, "TEXT": caption, "WIDTH": 96, "HEIGHT": 96, "similarity": 0.3, **values})

    for number in range(60):
        add(f"A Golden-Retriever, {list(COLOURS)[number % 3]} number {number}", HEIGHT=50 + number)
    for number in range(45):
        add(
            f"tabby cat {number} in the garden" + (" with a golden retriever" if number < 5 else ""),
            LICENSE="CC-BY 4.0",
        )
    for name, caption in HOSTILE.items():
        add(caption, NOT_LINKS.get(name, ""))
    add("golden retriever, tagged", NSFW="NSFW")
    add("golden retriever, scored", punsafe=0.97)
    add("golden retriever, fine", NSFW="UNLIKELY", punsafe=0.01)
    add("golden retriever without address", None)
    add(None)
    add("golden retriever of odd similarity", similarity=6016.0)
    add("猫 golden retriever 🐕 ﬁn café")
    return rows


def write_corpus(folder: Path) -> None:
    types = {"WIDTH": pa.int64(), "HEIGHT": pa.int64(), "similarity": pa.float64(), "punsafe": pa.float64()}
    names = ["URL", "TEXT", "WIDTH", "HEIGHT", "similarity", "NSFW", "LICENSE", "punsafe"]
    schema = pa.schema([(name, types.get(name, pa.string())) for name in names])
    rows = corpus_rows()
    folder.mkdir()
    for part, some in enumerate((rows[:70], rows[70:])):
        pq.write_table(pa.Table.from_pylist(some, schema), folder / f"part-{part}.parquet")


def draw_images(workspace: Workspace) -> None:
    """A picture for most URLs, as the ledger would say it: every seventh failed; one is large, with EXIF."""
    urls = sorted({url for url in pq.read_table(workspace.matches_path)["url"].to_pylist() if url})
    lines = []
    for number, url in enumerate(urls):
        line: dict[str, Any] = {"url": url, "state": "packed", "attempts": 1}
        if number % 7 == 6 and "/11" not in url:
            lines.append({**line, "state": "failed", "reason": "http_404"})
            continue
        path = workspace.root / "images" / "00000" / f"{number:09d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = (
            Image.effect_noise((900, 700), 90).convert("RGB")
            if number == 0
            else Image.new("RGB", (96, 96), list(COLOURS.values())[number % 3])
        )
        ImageDraw.Draw(image).ellipse(
            (10 + number % 40, 10, 60 + number % 30, 60), fill=(number * 2, 200, 90)
        )
        exif = Image.Exif()
        exif[0x010E] = "<script>document.title='owned'</script>"
        image.save(path, "JPEG", exif=exif)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        lines.append({**line, "path": workspace.relative(path), "sha256": sha256})
    pq.write_table(pa.Table.from_pylist(lines, IMAGE_SCHEMA), workspace.images_path)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The folder, made once by the real stages but for the download; tests that write take a copy."""
    from captrawl.core.records import silent
    from captrawl.sampling.sample import draw
    from captrawl.workspace.pipeline import STAGES
    from captrawl.workspace.settings import sample_settings

    folder = tmp_path_factory.mktemp("site")
    write_corpus(folder / "corpus")
    index_captions(folder / "captions", find_files([folder / "corpus"]), part=None, replace=False, workers=1)
    root = folder / "birds"
    root.mkdir()
    (root / "classes.csv").write_text(
        "golden retriever,golden-retriever;goldie\ntabby cat,\n<b>owned</b> word,\n"
    )
    names = [
        sample_settings(name="T2T5", method="T2T-rank", n=5),
        sample_settings(name="T2I5", method="T2I-rank", n=5),
    ]
    (root / "captrawl.toml").write_text(
        f'[task]\nclasses = "classes.csv"\n[captions]\nindex = "{folder / "captions"}"\n'
        f'[model]\nname = "local-dir:{MODEL}"\npretrained = ""\ndevice = "cpu"\n'
        'templates = ["a photo of {}."]\n'
        '[match.filters]\nsafety = "off"\n'
        + "".join(f'[[sample]]\nname = "{spec.name}"\nmethod = "{spec.method}"\nn = 5\n' for spec in names)
    )
    workspace = Workspace.open(root)
    STAGES["match"].run(workspace, silent)
    draw_images(workspace)
    for stage in ("embed", "vectors"):
        STAGES[stage].run(workspace, silent)
    for spec in names:
        draw(workspace, spec)
    return Site(folder)


@pytest.fixture
def own_site(site: Site, tmp_path: Path) -> Site:
    """A copy to write into."""
    shutil.copytree(site.folder / "birds", tmp_path / "birds")
    (tmp_path / "captions").symlink_to(site.folder / "captions")
    return Site(tmp_path)


@dataclass
class Server:
    """A running `captrawl serve`; what it wrote on stderr is in ``log``."""

    url: str
    log: Path
    pid: int

    @property
    def port(self) -> int:
        return int(re.search(r":(\d+)/$", self.url)[1])

    def logged(self) -> str:
        return self.log.read_text()


@contextmanager
def servers(make_folder: Callable[[str], Path]) -> Iterator[Callable[..., Server]]:
    """serve(*arguments) → a Server on a free port of loopback; all end with the block."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: object, before_exec: Callable[[], None] | None = None) -> Server:
        folder = make_folder("server")
        before = [str(a) for a in arguments[:2]] if arguments[0] == "-C" else []
        after = [str(a) for a in arguments[len(before) :]]
        command = [sys.executable, "-m", "captrawl", *before, "serve", "--port", "0", *after]
        with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
            process = subprocess.Popen(
                command, stdout=out, stderr=err, text=True, cwd=folder, preexec_fn=before_exec
            )
        running.append(process)
        for _ in range(1200):
            found = re.search(r"http://\S+/", (folder / "out").read_text())
            if found:
                return Server(found[0], folder / "err", process.pid)
            if process.poll() is not None:
                break
            time.sleep(0.05)
        pytest.fail(f"{command} didn't start:\n{(folder / 'err').read_text()}")

    try:
        yield start
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(120)  # where memory is short, what was paged out comes back first


@pytest.fixture
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Servers of the test's own: one takes half a gigabyte, so none outlives its test."""
    with servers(tmp_path_factory.mktemp) as start:
        yield start


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Iterator[Server]:
    """A server over the shared site; its tests don't write."""
    with servers(tmp_path_factory.mktemp) as start:
        yield start("-C", site.folder / "birds")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The system's headless Chromium; skipped without one, failed in CI. No loop can run beside it."""
    from playwright.sync_api import sync_playwright

    if not CHROMIUM.exists():
        missing = f"{CHROMIUM} isn't there (apt-get install chromium)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page, and what must stay empty: console errors, dialogs, requests to other hosts."""

    page: Any
    problems: list[str] = field(default_factory=list)
    requests: list[Any] = field(default_factory=list)


@pytest.fixture
def watch(chromium: Any, server: Server, serve: object) -> Iterator[Callable[..., Watched]]:
    """watch(server=…, width=…, scheme=…) → a Watched page; problems fail the test at its end.

    It asks for ``serve`` so that pages are closed before the test's own servers.
    """
    opened: list[tuple[Any, Watched]] = []

    def start(
        at: Server = server, *, width: int = 1280, height: int = 900, scheme: str = "light", **options: Any
    ) -> Watched:
        context = chromium.new_context(
            base_url=at.url,
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            accept_downloads=True,
            **options,
        )
        context.set_default_timeout(30_000)
        watched = Watched(context.new_page())
        page, own = watched.page, at.url.rstrip("/")
        page.on(
            "console",
            lambda m: m.type in ("error", "warning") and watched.problems.append(f"{m.type}: {m.text}"),
        )
        page.on("pageerror", lambda error: watched.problems.append(f"page error: {error}"))
        page.on(
            "dialog", lambda dialog: (watched.problems.append(f"dialog: {dialog.message}"), dialog.dismiss())
        )
        page.on("request", lambda request: watched.requests.append(request))
        page.on(
            "request",
            lambda request: (
                request.url.startswith((own, "blob:", "data:"))
                or watched.problems.append(f"request to {request.url}")
            ),
        )
        opened.append((context, watched))
        return watched

    yield start
    for context, watched in opened:
        context.close()
        assert watched.problems == []
