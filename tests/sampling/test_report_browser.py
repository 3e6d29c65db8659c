"""The report's page in a real browser: no error, no request, usable by keyboard, no wider than a phone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import numpy as np
import pytest
from captrawl.sampling.report.stage import page_path, report
from captrawl.sampling.sample import draw

pytestmark = pytest.mark.browser
HOSTILE = "<img src='http://127.0.0.1:9/x' onerror='document.title=1'><script>document.title=2</script>\u202e"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
OPTIONS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Debian's chromium, driven by playwright."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("no chromium; apt-get install chromium")
        pytest.skip("no chromium; apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield chromium
        chromium.close()


@pytest.fixture
def page_file(make_workspace, make_row):
    """The report of two classes with hostile captions and one name to match."""
    rows = [make_row(n % 2, n, caption=HOSTILE) for n in range(8)]
    vectors = {n: (np.eye(4)[n % 4].astype(np.float32),) * 2 for n in range(8)}
    names = ["plain", "<b onmouseover=alert(1)>bold</b> & 'quoted'"]
    made = make_workspace(
        rows,
        vectors,
        prompts=np.eye(4, dtype=np.float32)[:2],
        names=names,
        unusable={"http://127.0.0.1/2.jpg": "http_404", "http://127.0.0.1/3.jpg": "timeout"},
        pictures=True,
    )
    draw(made.workspace, made.workspace.settings().sample[0])
    report(made.workspace)
    return page_path(made.workspace)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 375)])
def test_it_opens_without_errors_or_requests(browser, page_file, scheme: str, width: int) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    address = page_file.as_uri()
    page.goto(address)
    for details in page.locator("details").all():
        details.evaluate("node => node.open = true")
    page.wait_for_timeout(300)
    assert said == []
    assert [url for url in asked if url != address and not url.startswith("data:")] == []
    assert page.title() == "captrawl: Report"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.scripts.length") == 0
    pictures = page.locator(".sheet img")
    assert pictures.count() == 6
    for picture in pictures.all():
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("node => node.decode().then(() => node.naturalWidth)") > 0
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(20, 23, 26)") == (scheme == "dark")
    assert HOSTILE.removesuffix("\u202e") in page.locator(".caption").first.inner_text()
    context.close()


def test_the_index_opens_a_class_by_keyboard(browser, page_file) -> None:
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    page = context.new_page()
    page.goto(page_file.as_uri())
    assert page.locator("details.class[open]").count() == 0
    page.locator(".index a", has_text="plain").focus()
    page.keyboard.press("Enter")
    page.locator("details.class[open] #class-0 .sheet img").first.wait_for(state="visible")
    assert page.locator("details.class[open]").count() == 1
    page.locator("details.class[open] > summary").focus()
    page.keyboard.press("Space")
    assert page.locator("details.class[open]").count() == 0
    for box in page.locator(".scroll").all():
        assert box.get_attribute("tabindex") == "0"
        assert box.get_attribute("aria-label")
    context.close()


def test_a_phone_can_read_it(browser, page_file) -> None:
    context = browser.new_context(viewport={"width": 375, "height": 800})
    page = context.new_page()
    page.goto(page_file.as_uri())
    ticks = page.locator("#filters .chart text")
    assert ticks.count() > 3
    assert all(tick.bounding_box()["height"] >= 11 for tick in ticks.all())
    assert page.locator("#download .bars").first.is_hidden()  # the numbers stand beside it
    assert page.locator("#synonyms .bars").first.is_visible()
    context.close()
