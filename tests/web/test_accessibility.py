"""axe-core finds nothing wrong with the page, the report and the documentation's site, light or dark."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from captrawl.sampling.report.stage import page_path, report
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path.stem for path in (ROOT / "docs").glob("*.md"))
DARK = {"index", "elasticsearch", "python"}
"""Pages of the site that are looked at in the dark scheme too: pictures, tables, code."""


@pytest.fixture(scope="module")
def violations() -> Callable[[Any], list[str]]:
    """violations(page) → what axe-core says against it, a line for each rule."""
    package = importlib.util.find_spec("axe_playwright_python")
    if package is None:
        pytest.skip("pip install 'captrawl[test]'")
    program = Path(package.origin).with_name("axe.min.js").read_text()

    def run(page: Any) -> list[str]:
        page.evaluate(program)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        return [f"{one['id']}: {one['nodes'][0]['html'][:300]}" for one in found]

    return run


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page(watch: Callable[..., Any], violations: Callable[[Any], list[str]], scheme: str) -> None:
    page = watch(scheme=scheme).page
    wrong: dict[str, list[str]] = {}
    views = {
        "/": "main", "/#captions?phrase=tabby+cat": ".facets summary", "/#similar?text=cat": ".card",
        "/#classes/0": "h2.title", "/#classes/0?sample=T2T5&other=T2I5": ".side",
        "/#captions?phrase=nothing+of+the+kind": ".total",
    }  # fmt: skip
    for view, shown in views.items():
        page.goto("about:blank")
        page.goto(view)
        expect(page.locator(shown).first).to_be_visible(timeout=90_000)  # a model is loaded
        page.evaluate("document.querySelectorAll('details').forEach(node => { node.open = true })")
        if lines := violations(page):
            wrong[view] = lines
    assert wrong == {}


def test_the_report(chromium: Any, own_site: Any, violations: Callable[[Any], list[str]]) -> None:
    report(own_site.workspace)
    for scheme in ("light", "dark"):
        page = chromium.new_context(color_scheme=scheme).new_page()
        page.goto(page_path(own_site.workspace).as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(node => { node.open = true })")
        assert violations(page) == [], scheme
        page.context.close()


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the documentation's site, built now."""
    pytest.importorskip("mkdocs", reason="pip install 'captrawl[docs]'")
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "-W", "ignore", "-m", "mkdocs", "build", "-q", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_site(chromium: Any, docs: str, violations: Callable[[Any], list[str]], scheme: str) -> None:
    context = chromium.new_context(color_scheme=scheme)
    context.route(lambda url: not url.startswith(docs), lambda route: route.abort())
    page = context.new_page()
    wrong: dict[str, list[str]] = {}
    for name in PAGES if scheme == "light" else sorted(DARK):
        page.goto(docs + ("" if name == "index" else f"{name}/"))
        if lines := violations(page):
            wrong[name] = lines
    context.close()
    assert wrong == {}
