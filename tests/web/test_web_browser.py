"""The page in a real Chromium, feature by feature; no console error, no dialog, no request elsewhere."""

from __future__ import annotations

import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.records import silent
from captrawl.sampling.files import read_sample
from captrawl.sampling.marks import Mark, Marks
from captrawl.sampling.sample import draw
from captrawl.sampling.task import paths_of
from captrawl.workspace.pipeline import STAGES
from PIL import Image
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)  # the first question loads a model, on a busy machine
HOSTILE = {
    "document+title": "<script>document.title='owned'</script> golden retriever",
    "retriever+bold": '"><img src=x onerror="document.title=\'owned\'"> golden retriever <b>bold</b>',
    "alert+1": "golden retriever {{7*7}} ${alert(1)} %3Cscript%3E",
}
"""A phrase, and the hostile caption of the corpus that holds it."""


@pytest.fixture(scope="module", autouse=True)
def model(server: Any) -> None:
    """Loaded once, before anything waits for it."""
    httpx.get(f"{server.url}api/similar?text=cat", timeout=120).raise_for_status()


def total(page: Any, count: int) -> None:
    expect(page.locator(".total")).to_have_attribute("data-total", str(count))


def test_phrases_are_counted_as_they_are_typed(watch: Callable[..., Any]) -> None:
    page = watch().page
    page.goto("/")
    page.get_by_label("Phrases").fill("tabby cat")
    total(page, 45)
    expect(page.locator(".row")).to_have_count(20)
    expect(page.locator(".row mark").first).to_have_text("tabby cat")
    expect(page.locator(".safety")).to_have_text("45 without a safety value stay")
    page.keyboard.press("Enter")
    page.keyboard.type("golden retriever")
    total(page, 115)
    expect(page.locator(".bars .name")).to_have_text(["golden retriever", "tabby cat"])
    expect(page.locator(".bars .num")).to_have_text(["75", "45"])
    page.keyboard.press("Enter")
    page.get_by_label("Only with (prefix)").fill("garden")
    total(page, 45)
    page.get_by_label("Not with").fill("golden retriever")
    total(page, 40)
    page.get_by_label("Only with (prefix)").fill("")
    page.get_by_label("Not with").fill("")
    page.get_by_role("button", name="Remove tabby cat").click()
    total(page, 75)
    page.get_by_text("Filters").click()
    page.get_by_label("Shortest side, pixels").fill("90")
    total(page, 35)
    page.get_by_label("Unsafe rows").select_option("off")
    total(page, 37)
    page.reload()
    total(page, 37)
    expect(page.get_by_label("Shortest side, pixels")).to_have_value("90")
    expect(page.locator(".chip")).to_have_text(["golden retriever×"])


def test_two_samples_side_by_side(watch: Callable[..., Any], site: Any) -> None:
    """Each picture stands once: where only the one, both, or only the other sample keeps it."""
    kept = {}
    for name in ("T2T5", "T2I5"):
        rows = read_sample(paths_of(site.workspace, name), kept=True).to_pylist()
        kept[name] = {row["sha256"]: row["uid"] for row in rows if row["class_id"] == 0}
    mine, theirs = kept["T2T5"], kept["T2I5"]
    page = watch().page
    page.goto("/#classes/0?sample=T2T5")
    page.get_by_label("Compare with").select_option("T2I5")
    for title, hashes in (
        ("Only in T2T5", mine.keys() - theirs.keys()),
        ("In both", mine.keys() & theirs.keys()),
        ("Only in T2I5", theirs.keys() - mine.keys()),
    ):
        side = page.get_by_role("region", name=title)
        expect(side.locator("h3 .num")).to_have_text(str(len(hashes)))
        expect(side.locator(".card")).to_have_count(len(hashes))
        shown = side.locator(".card img").evaluate_all("all => all.map((one) => one.getAttribute('src'))")
        assert {source.split("/")[3].partition("?")[0] for source in shown} == hashes
    assert mine.keys() != theirs.keys()
    assert "other=T2I5" in page.url
    page.get_by_role("region", name="Only in T2I5").locator("button.look").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_label("Compare with").select_option("none")
    expect(page.locator(".side")).to_have_count(0)


def test_facets_narrow_and_suggest(watch: Callable[..., Any]) -> None:
    page = watch().page
    page.goto("/#captions?phrase=retriever")
    page.get_by_text("What these rows are like").click()
    hosts = page.locator(".facet", has_text="Hosts")
    expect(hosts.locator("bdi")).to_have_text(["127.0.0.1"])
    expect(hosts.locator(".num")).to_have_text(["72"])
    assert "golden retriever" in page.locator("#longer option").evaluate_all(
        "all => all.map((one) => one.value)"
    )
    expect(page.get_by_label("Phrases")).to_have_attribute("list", "longer")
    page.locator(".facet", has_text="Longer phrases").get_by_role("button", name="golden retriever").click()
    total(page, 75)
    expect(page.locator(".chip")).to_have_text("golden retriever×")
    page.locator(".facet", has_text="Licences").get_by_role("button", name="CC-BY 4.0").click()
    total(page, 5)
    expect(page.get_by_label("Licence starts with")).to_have_value("CC-BY 4.0")
    expect(page.locator(".facets p")).to_contain_text("all 5 rows")
    page.get_by_label("as a grid").check()
    page.reload()
    total(page, 5)
    boxes = [row.bounding_box() for row in page.locator(".rows > .row").all()[:2]]
    assert boxes[0]["y"] == boxes[1]["y"], "beside each other, still"
    page.get_by_label("as a grid").uncheck()


def test_all_rows_are_paged_through_and_back(watch: Callable[..., Any]) -> None:
    page = watch().page
    page.goto("/#captions?phrase=tabby+cat&order=corpus")
    seen: list[str] = []
    for first, last in ((1, 20), (21, 40), (41, 45)):
        expect(page.locator(".pager")).to_contain_text(f"{first}–{last} of 45")
        seen += page.locator(".row").evaluate_all("rows => rows.map(row => row.dataset.uid)")
        if last < 45:
            page.get_by_role("button", name="More →").click()
    assert len(set(seen)) == 45
    expect(page.get_by_role("button", name="More →")).to_be_disabled()
    page.get_by_role("button", name="← Back").click()
    expect(page.locator(".pager")).to_contain_text("21–40 of 45")


def test_all_rows_are_downloaded(watch: Callable[..., Any], tmp_path: Path) -> None:
    page = watch().page
    page.goto("/#captions?phrase=tabby+cat")
    for name, suffix in (("↓ CSV", "csv"), ("↓ Parquet", "parquet")):
        with page.expect_download() as waiting:
            page.get_by_role("link", name=name).click()
        assert waiting.value.suggested_filename == f"captions.{suffix}"
        waiting.value.save_as(tmp_path / f"all.{suffix}")
    with (tmp_path / "all.csv").open(newline="") as file:
        captions = [row["caption"] for row in csv.DictReader(file)]
    assert sorted(captions) == sorted(pq.read_table(tmp_path / "all.parquet")["caption"].to_pylist())
    assert len(captions) == 45


def test_hostile_captions_and_urls_are_text(watch: Callable[..., Any]) -> None:
    page = watch().page
    for word, caption in HOSTILE.items():
        page.goto("about:blank")
        page.goto(f"/#captions?phrase={word}")
        found = page.locator(".caption", has_text=caption)
        expect(found).to_have_count(1)
        assert found.evaluate("box => [...box.querySelectorAll(':not(mark)')].length") == 0
    assert page.title() == "captions · captrawl"
    page.goto("about:blank")
    page.goto("/#captions?phrase=document+title")
    expect(page.locator(".row").first).to_be_visible()
    assert page.locator("a[href^='javascript'], a[href^='data']").count() == 0
    page.goto("about:blank")
    page.goto("/#captions?phrase=<img+src=x+onerror=alert(1)>+golden")
    expect(page.locator(".total")).to_be_visible()
    page.goto("about:blank")
    page.goto("/#classes/2")
    expect(page.locator("h2.title")).to_have_text("<b>owned</b> word")


def test_a_long_caption_folds(watch: Callable[..., Any]) -> None:
    page = watch().page
    page.goto("/#captions?phrase=retriever+word+word")
    caption = page.locator(".caption").first
    expect(caption).to_be_visible()
    folded = caption.bounding_box()["height"]
    assert folded < 150
    caption.focus()
    page.keyboard.press("Enter")
    assert caption.bounding_box()["height"] > 10 * folded


def test_similar_by_text_file_drop_and_paste(watch: Callable[..., Any], tmp_path: Path) -> None:
    page = watch().page
    page.goto("/#similar")
    page.get_by_label("What to look for, in words").fill("a tabby cat")
    page.get_by_role("button", name="Find").click()
    expect(page.locator(".card")).to_have_count(24)
    scores = [float(text) for text in page.locator(".card b").all_text_contents()]
    assert scores == sorted(scores, reverse=True)
    expect(page.locator(".card .picture img").first).to_be_visible()
    assert (
        page.locator(".card .picture img").first.evaluate(
            "image => image.decode().then(() => image.naturalWidth)"
        )
        == 96
    )
    by_text = page.locator(".card").first.get_attribute("data-uid")
    page.get_by_label("Class").select_option(label="golden retriever")
    expect(page.locator(".card a[href='#classes/1']")).to_have_count(0)
    file = tmp_path / "mine.png"
    Image.effect_mandelbrot((120, 80), (-2, -1, 1, 1), 50).convert("RGB").save(file)
    page.get_by_label("Class").select_option(label="all classes")
    page.locator("#file").set_input_files(file)
    expect(page.get_by_alt_text("the image to look for")).to_be_visible()
    expect(page.locator("[aria-busy]")).to_have_count(0)
    assert page.locator(".card").first.get_attribute("data-uid") != by_text
    chosen = page.locator(".card").evaluate_all("cards => cards.map(card => card.dataset.uid)")
    data = list(file.read_bytes())
    for event, box in (("drop", ".drop"), ("paste", "body")):
        page.get_by_label("What to look for, in words").fill("golden retriever")
        page.get_by_role("button", name="Find").click()
        expect(page.get_by_alt_text("the image to look for")).to_have_count(0)
        page.evaluate(GIVE_FILE, [data, event, box])
        expect(page.get_by_alt_text("the image to look for")).to_be_visible()
        expect(page.locator("[aria-busy]")).to_have_count(0)
        assert page.locator(".card").evaluate_all("cards => cards.map(card => card.dataset.uid)") == chosen


GIVE_FILE = """([data, kind, box]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(data)], "mine.png", { type: "image/png" }));
  const options = { bubbles: true, cancelable: true };
  const event = kind === "drop" ? new DragEvent("drop", { ...options, dataTransfer: transfer })
    : new ClipboardEvent("paste", { ...options, clipboardData: transfer });
  document.querySelector(box).dispatchEvent(event);
}"""


def test_more_like_this_from_a_caption(watch: Callable[..., Any]) -> None:
    page = watch().page
    page.goto("/#captions?phrase=tabby+cat&order=corpus")
    row = page.locator(".row:has(img)").first
    uid = row.get_attribute("data-uid")
    row.get_by_role("link", name="more like this").click()
    expect(page.locator(".card").first).to_be_visible()
    expect(page.get_by_text("nearest pictures, near the image of")).to_be_visible()
    assert uid not in page.locator(".card").evaluate_all("cards => cards.map(card => card.dataset.uid)")
    page.go_back()
    total(page, 45)


def stay(page: Any) -> int:
    return int(page.locator(".total").get_attribute("data-stay"))


def test_sliders_show_what_would_stay(watch: Callable[..., Any], site: Any) -> None:
    page = watch().page
    page.goto("/#classes")
    page.get_by_label("Filter the classes").fill("tabby")
    page.get_by_role("link", name=re.compile("tabby cat")).click()
    expect(page.locator(".synonyms tbody .num")).to_have_text(["45", "45", "39"])
    page.get_by_label("By the scores of").select_option("T2I5")
    expect(page.get_by_text("--rank T2I --keep 'T2I>=0'", exact=True)).to_be_visible()
    rows = pq.read_table(site.workspace.samples_folder / "T2I5.parquet").to_pylist()
    values = [row["T2I"] for row in rows if row["class_id"] == 1 and row["sha256"]]
    expect(page.locator(".total")).to_have_text(f"5 of {len(values)} images stay")
    page.get_by_label("Images per class (n)").fill("500")
    expect(page.locator(".total")).to_have_attribute("data-stay", str(len(values)))
    slider = page.get_by_label("T2I at least")
    slider.fill(f"{sorted(values)[len(values) // 2]:.3f}")
    threshold = float(slider.input_value())
    left = sum(value >= threshold for value in values)
    assert 0 < left < len(values)
    expect(page.locator(".total")).to_have_attribute("data-stay", str(left))
    expect(page.locator(".card.out")).to_have_count(len(values) - left)
    page.get_by_label("only what stays").check()
    expect(page.locator(".card")).to_have_count(left)
    page.get_by_label("Sort by").select_option("T2T")
    command = f"sample -n 500 --rank T2T --keep 'T2I>={threshold:g}'"
    expect(page.locator(".command").first).to_have_text(f"captrawl -C {site.workspace.root} {command}")


def test_the_number_is_what_the_copied_command_keeps(
    watch: Callable[..., Any], serve: Callable[..., Any], own_site: Any
) -> None:
    page = watch(serve("-C", own_site.workspace.root), permissions=["clipboard-read", "clipboard-write"]).page
    page.goto("/#classes/0?sample=T2T5")
    page.get_by_label("Images per class (n)").fill("40")
    page.get_by_label("T2I at least").fill("0.05")
    expect(page.locator(".command").first).to_contain_text("T2I>=0.05")
    page.get_by_role("button", name="Copy").first.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    words = shlex.split(page.evaluate("navigator.clipboard.readText()"))
    subprocess.run([sys.executable, "-m", *words], check=True, capture_output=True)
    rows = pq.read_table(own_site.workspace.samples_folder / "T2T40+T2I0.05.parquet").to_pylist()
    kept = sum(row["kept"] for row in rows if row["class_id"] == 0)
    assert 0 < kept == stay(page) < 40


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("{ ok: true, json: () => Promise.reject(new DOMException('x', 'AbortError')) }", "AbortError: x"),
        ("new Response('{', { status: 200 })", "Error: The server's answer was cut off; ask again."),
        ("new Response('<p>', { status: 502 })", "Error: The server answered 502."),
    ],
)
def test_an_answer_that_ends_early_is_no_answer(watch: Callable[..., Any], answer: str, error: str) -> None:
    """A question given up while its answer came read as an empty answer."""
    page = watch().page
    page.goto("/")
    page.evaluate(f"window.fetch = async () => ({answer})")
    asked = "import('/static/dom.js').then(({ ask }) => ask('x'))"
    assert page.evaluate(asked + ".catch((error) => `${error.name}: ${error.message}`)") == error


def test_a_picture_of_several_rows_is_one_card(
    watch: Callable[..., Any], serve: Callable[..., Any], own_site: Any
) -> None:
    workspace = own_site.workspace
    table = pq.read_table(workspace.images_path)
    usable = [row for row in table.to_pylist() if row["path"]]
    copies = {row["url"] for row in usable[:4]}
    one = {"path": usable[0]["path"], "sha256": usable[0]["sha256"]}
    rows = [{**row, **(one if row["url"] in copies else {})} for row in table.to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, table.schema), workspace.images_path)
    shutil.rmtree(workspace.root / "embeddings")
    for stage in ("embed", "vectors"):
        STAGES[stage].run(workspace, silent)
    draw(workspace, workspace.settings().sample[1])
    pool = [row for row in read_sample(paths_of(workspace, "T2I5")).to_pylist() if row["class_id"] == 0]
    pictures = {row["sha256"] for row in pool if row["sha256"]}
    rows_of_it = [row for row in pool if row["sha256"] == one["sha256"]]
    assert len(rows_of_it) > 1
    page = watch(serve("-C", workspace.root)).page
    page.goto("/#classes/0?sample=T2I5")
    expect(page.locator(".total")).to_have_text(f"5 of {len(pictures)} images stay")
    assert len(pictures) > 60
    page.get_by_role("button", name="Show more").click()
    expect(page.locator(".card")).to_have_count(len(pictures))
    uids = {str(row["uid"]) for row in rows_of_it}
    [uid] = uids & set(page.locator(".card").evaluate_all("cards => cards.map(card => card.dataset.uid)"))
    card = page.locator(f".card[data-uid='{uid}']")
    card.get_by_text("more captions").click()
    expect(card.locator("li")).to_have_count(len({row["caption"] for row in rows_of_it}) - 1)
    page.goto("/#similar?text=golden+retriever")
    expect(page.locator(".card")).to_have_count(24)
    sources = page.locator(".card .picture img").evaluate_all("images => images.map(image => image.src)")
    assert len(set(sources)) == len(sources)


def test_images_are_kept_and_rejected_by_key_and_click(
    watch: Callable[..., Any], serve: Callable[..., Any], own_site: Any
) -> None:
    page = watch(serve("-C", own_site.workspace.root)).page
    page.goto("/#classes/1?sample=T2I5")
    cards = page.locator(".card")
    expect(cards.first).to_be_visible()
    uids = [int(uid) for uid in cards.evaluate_all("cards => cards.map(card => card.dataset.uid)")]
    page.get_by_label("Images per class (n)").fill("500")
    expect(page.locator(".total")).to_have_attribute("data-stay", str(len(uids)))
    cards.nth(0).focus()
    page.keyboard.press("r")
    expect(cards.nth(0)).to_have_class(re.compile("rejected"))
    expect(page.locator(".total")).to_have_attribute("data-stay", str(len(uids) - 1))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("k")
    expect(cards.nth(1)).to_have_class(re.compile("confirmed"))
    cards.nth(2).get_by_role("button", name="reject").click()
    expect(cards.nth(2)).to_have_class(re.compile("rejected"))
    cards.nth(2).get_by_role("button", name="reject").click()
    expect(cards.nth(2)).not_to_have_class(re.compile("rejected"))
    expect(page.get_by_text("1 kept, 1 rejected by hand")).to_be_visible()
    expect(page.get_by_text("Your marks are newer than this sample")).to_be_visible()
    assert Marks.load(own_site.workspace).of(1) == {uids[0]: Mark.REJECTED, uids[1]: Mark.CONFIRMED}
    page.reload()
    expect(cards.nth(0)).to_have_class(re.compile("rejected"))
    expect(cards.nth(1)).to_have_class(re.compile("confirmed"))
    cards.nth(0).focus()
    page.keyboard.press("u")
    expect(cards.nth(0)).not_to_have_class(re.compile("rejected"))
    assert json.loads((own_site.workspace.root / "marks.json").read_text())["classes"]["1"]["rejected"] == []


def test_marks_of_several_at_once_are_undone_together(
    watch: Callable[..., Any], serve: Callable[..., Any], own_site: Any
) -> None:
    workspace = own_site.workspace
    page = watch(serve("-C", workspace.root)).page
    page.goto("/#classes/1?sample=T2I5")
    cards = page.locator(".card")
    expect(cards.first).to_be_visible()
    uids = [int(uid) for uid in cards.evaluate_all("cards => cards.map(card => card.dataset.uid)")]
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    cards.nth(0).focus()
    page.keyboard.press("r")
    expect(page.get_by_text("0 kept, 1 rejected by hand")).to_be_visible()
    cards.nth(1).get_by_label("Select").click()
    cards.nth(4).get_by_label("Select").click(modifiers=["Shift"])
    expect(page.get_by_text("4 selected")).to_be_visible()
    page.locator(".dock").get_by_role("button", name="keep").click()
    expect(page.get_by_text("4 kept, 1 rejected by hand")).to_be_visible()
    assert Marks.load(workspace).uids(1, Mark.CONFIRMED) == sorted(uids[1:5])
    cards.nth(0).focus()
    page.keyboard.press(" ")
    page.keyboard.press("x")
    expect(page.get_by_text("0 kept, 5 rejected by hand")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("selected", exact=False)).to_be_hidden()
    for text in ("4 kept, 1 rejected by hand", "0 kept, 1 rejected by hand", "0 kept, 0 rejected by hand"):
        page.keyboard.press("Control+z")
        expect(page.get_by_text(text)).to_be_visible()
    assert Marks.load(workspace).of(1) == {}
    expect(page.get_by_text("Your marks are newer than this sample")).to_be_hidden()
    page.keyboard.press("Control+a")
    expect(page.get_by_text(f"{len(uids)} selected")).to_be_visible()


def test_a_sample_that_is_older_than_the_marks_is_drawn_by_the_shown_command(
    watch: Callable[..., Any], serve: Callable[..., Any], own_site: Any
) -> None:
    page = watch(serve("-C", own_site.workspace.root)).page
    page.goto("/#classes/1?sample=T2I5")
    card = page.locator(".card").first
    uid = int(card.get_attribute("data-uid"))
    card.get_by_role("button", name="reject").click()
    expect(page.get_by_text("Your marks are newer than this sample")).to_be_visible()
    words = shlex.split(page.locator(".dock .command").text_content())
    subprocess.run([sys.executable, "-m", *words], check=True, capture_output=True)
    page.reload()
    expect(page.locator(".dock")).to_be_visible()
    expect(page.get_by_text("Your marks are newer than this sample")).to_be_hidden()
    rows = read_sample(paths_of(own_site.workspace, "T2I5")).to_pylist()
    assert [row["reason"] for row in rows if (row["class_id"], row["uid"]) == (1, uid)] == ["rejected"]


def test_marks_survive_a_restart_of_the_server(
    watch: Callable[..., Any], serve: Callable[..., Any], own_site: Any
) -> None:
    """With the token of a server that is no more; and where none answers, the card says so."""
    watched = watch(serve("-C", own_site.workspace.root))
    page = watched.page
    page.goto("/#classes/1?sample=T2I5")
    cards = page.locator(".card")
    expect(cards.first).to_be_visible()
    page.evaluate("import('/static/dom.js').then(({ session }) => { session.token = 'of another server'; })")
    cards.first.get_by_role("button", name="reject").click()
    expect(cards.first).to_have_class(re.compile("rejected"))
    assert len(Marks.load(own_site.workspace).of(1)) == 1
    page.route("**/marks", lambda route: route.abort())
    cards.nth(1).get_by_role("button", name="keep").click()
    expect(cards.nth(1).get_by_role("alert")).to_contain_text("Not saved: The server doesn't answer")
    expect(cards.nth(1)).not_to_have_class(re.compile("confirmed"))
    page.unroute("**/marks")
    cards.nth(1).get_by_role("button", name="keep").click()
    expect(cards.nth(1)).to_have_class(re.compile("confirmed"))
    expect(cards.nth(1).get_by_role("alert")).to_be_hidden()
    assert len(Marks.load(own_site.workspace).of(1)) == 2
    failing = re.compile("error: Failed to load resource")
    watched.problems[:] = [problem for problem in watched.problems if not failing.match(problem)]


def test_a_picture_is_shown_large(
    watch: Callable[..., Any], serve: Callable[..., Any], own_site: Any
) -> None:
    page = watch(serve("-C", own_site.workspace.root)).page
    page.goto("/#classes/1?sample=T2I5")
    cards = page.locator(".card")
    cards.first.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog.large")
    expect(dialog).to_contain_text("1 of 39")
    expect(dialog.locator("img")).to_have_attribute("src", re.compile(r"size=full$"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    expect(dialog).to_contain_text("2 of 39")
    page.keyboard.press("k")
    expect(dialog.get_by_role("button", name="keep")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(cards.nth(1)).to_be_focused()
    expect(cards.nth(1)).to_have_class(re.compile("confirmed"))
    assert len(Marks.load(own_site.workspace).uids(1, Mark.CONFIRMED)) == 1
    page.goto("/#similar?text=tabby+cat")
    page.locator(".card .look").first.press("Enter")
    expect(dialog).to_contain_text("1 of 24")
    page.keyboard.press("Escape")
    expect(page.locator(".card .look").first).to_be_focused()
    page.goto("/#captions?phrase=tabby+cat&order=corpus")
    page.locator(".row .look").nth(1).click()
    expect(dialog).to_contain_text("2 of")
    page.mouse.click(5, 5)
    expect(dialog).to_have_count(0)


def test_whole_pictures_are_shown_on_demand(watch: Callable[..., Any]) -> None:
    page = watch().page
    fit = "getComputedStyle(document.querySelector('.card img')).objectFit"
    page.goto("/#similar?text=tabby+cat")
    expect(page.locator(".card img").first).to_be_visible()
    assert page.evaluate(fit) == "cover"
    page.get_by_label("whole pictures").check()
    assert page.evaluate(fit) == "contain"
    page.goto("/#classes/1")
    expect(page.locator(".card img").first).to_be_visible()
    assert page.evaluate(fit) == "contain"
    expect(page.get_by_label("whole pictures")).to_be_checked()


def test_matches_and_credited_are_both_shown_and_explained(
    watch: Callable[..., Any], serve: Callable[..., Any], own_site: Any
) -> None:
    """Captions with `tabby cat` contain `cat`, which is more frequent and takes the credit."""
    workspace = own_site.workspace
    (workspace.root / "classes.csv").write_text("tabby cat,cat;tabby\n")
    STAGES["match"].run(workspace, silent)
    page = watch(serve("-C", workspace.root)).page
    page.goto("/#classes/0")
    rows = page.locator(".synonyms tbody tr")
    expect(rows.first).to_be_visible()
    counts = {row[0]: row[1:3] for row in rows.evaluate_all(
        "rows => rows.map(row => [...row.children].map(cell => cell.textContent))"
    )}  # fmt: skip
    [first] = [name for name, (_, credited) in counts.items() if credited == "45"]
    assert {name: matches for name, (matches, _) in counts.items()} == dict.fromkeys(counts, "45")
    assert [credited for name, (_, credited) in counts.items() if name != first] == ["0", "0"]
    expect(page.get_by_text("credited to the one with most matches")).to_be_visible()


def test_what_comes_late_moves_nothing(watch: Callable[..., Any]) -> None:
    page = watch().page
    page.goto("/#captions?phrase=tabby+cat")
    expect(page.locator(".row").first).to_be_visible()
    place = page.locator(".row").first.bounding_box()["y"]
    expect(page.locator(".safety")).to_have_text("45 without a safety value stay")
    assert page.locator(".row").first.bounding_box()["y"] == place
    page.goto("/#classes/1?sample=T2I5")
    expect(page.locator("h2.title")).to_be_visible()
    expect(page.locator(".card img").first).to_be_visible()
    expect(page.locator(".command").first).to_contain_text("sample")
    grid = page.locator(".card").first.bounding_box()["y"]
    page.get_by_label("Images per class (n)").fill("500")
    expect(page.locator(".total")).to_have_attribute("data-stay", "39")
    assert page.locator(".card").first.bounding_box()["y"] == grid


def test_an_old_error_goes_with_its_picture(watch: Callable[..., Any], tmp_path: Path) -> None:
    watched = watch()
    page = watched.page
    page.goto("/#similar")
    broken, whole = tmp_path / "broken.jpg", tmp_path / "whole.png"
    broken.write_bytes(b"\xff\xd8\xff" + b"no picture" * 20)
    Image.effect_mandelbrot((120, 80), (-2, -1, 1, 1), 50).convert("RGB").save(whole)
    page.locator("#file").set_input_files(broken)
    expect(page.get_by_role("alert")).to_contain_text("can't be read")
    held = threading.Event()
    page.route("**/api/similar/image*", lambda route: (held.wait(0.3), route.continue_()))
    page.locator("#file").set_input_files(whole)
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator(".progress")).to_contain_text("Looking …")
    expect(page.locator(".card")).to_have_count(24)
    expect(page.locator(".progress")).to_have_text("24 nearest pictures")
    page.get_by_role("button", name="Remove the image").click()
    expect(page.get_by_alt_text("the image to look for")).to_have_count(0)
    watched.problems[:] = [problem for problem in watched.problems if "status of 415" not in problem]


def test_examples_come_from_the_class_list(watch: Callable[..., Any]) -> None:
    page = watch().page
    page.goto("/#constructor")
    expect(page.locator(".state a")).to_have_text(["golden retriever", "tabby cat", "<b>owned</b> word"])
    page.get_by_role("link", name="tabby cat").click()
    total(page, 45)


def test_what_is_unsafe_is_not_fetched_until_asked_for(watch: Callable[..., Any]) -> None:
    watched = watch()
    page = watched.page
    page.goto("/#captions?phrase=retriever+tagged&phrase=retriever+scored&safety=off")
    expect(page.locator(".row")).to_have_count(2)
    expect(page.locator(".tag.bad")).to_have_count(2)
    page.wait_for_load_state("networkidle")
    assert not [request for request in watched.requests if "/api/images/" in request.url]
    with page.expect_response("**/api/images/*"):
        page.get_by_role("button", name="Marked unsafe: show the image").first.click()
    expect(page.locator(".row img")).to_have_count(1)
    expect(page.locator(".row .picture").first).to_be_focused()
    assert len([request for request in watched.requests if "/api/images/" in request.url]) == 1


@pytest.fixture
def other_site() -> Iterator[Any]:
    """A web site of someone else's, on loopback, that notes who asks."""
    asked: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
            self.send_response(200)
            self.send_header("Content-Type", "image/svg+xml")
            self.end_headers()
            self.wfile.write(b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.asked = asked
    yield server
    server.shutdown()
    server.server_close()


def test_web_thumbnails_are_fetched_only_when_switched_on(
    watch: Callable[..., Any], serve: Callable[..., Any], other_site: Any, tmp_path: Path
) -> None:
    import pyarrow as pa
    from captrawl.indexer.captions import index_captions
    from captrawl.indexer.corpora.files import find_files

    base = f"http://127.0.0.1:{other_site.server_port}"
    rows = {"url": [f"{base}/{n}.svg" for n in range(3)], "caption": ["a red kite"] * 3}
    (tmp_path / "corpus").mkdir()
    rows["nsfw"] = ["UNLIKELY", "NSFW", None]
    pq.write_table(pa.table(rows), tmp_path / "corpus" / "a.parquet")
    index_captions(tmp_path / "index", find_files([tmp_path / "corpus"]), part=None, replace=False, workers=1)
    watched = watch(serve("--index", tmp_path / "index"))
    page = watched.page
    page.goto("/#captions?phrase=red+kite&safety=off")
    total(page, 3)
    page.wait_for_load_state("networkidle")
    assert other_site.asked == []
    page.goto("/?remote=1#captions?phrase=red+kite&safety=off")  # a link from elsewhere can't switch it on
    total(page, 3)
    page.wait_for_load_state("networkidle")
    assert other_site.asked == []
    page.get_by_label("Web thumbnails").check()
    expect(page.locator(".row img")).to_have_count(2)
    page.wait_for_load_state("networkidle")
    assert sorted(asked["path"] for asked in other_site.asked) == ["/0.svg", "/2.svg"]
    assert all("referer" not in asked and "cookie" not in asked for asked in other_site.asked)
    page.get_by_role("button", name="Marked unsafe").click()
    expect(page.locator(".row img")).to_have_count(3)
    expect(page.get_by_text("Web thumbnails are on")).to_be_visible()
    page.get_by_label("Web thumbnails").uncheck()
    total(page, 3)
    expect(page.get_by_text("Web thumbnails are on")).to_be_hidden()
    expect(page.locator(".row img")).to_have_count(0)
    watched.problems[:] = [
        problem for problem in watched.problems if not problem.startswith(f"request to {base}")
    ]


FOCUSED = """(() => {
  const at = document.activeElement;
  return `${at.className} ${at.getAttribute("aria-label") || at.textContent.slice(0, 40)}`;
})()"""


def test_the_keyboard_is_enough(watch: Callable[..., Any]) -> None:
    page = watch().page
    page.goto("/")
    expect(page.get_by_label("Phrases")).to_be_focused()
    page.keyboard.type("tabby cat")
    page.keyboard.press("Enter")
    total(page, 45)
    page.keyboard.press("Backspace")
    expect(page.locator(".chip")).to_have_count(0)
    page.goto("about:blank")
    page.goto("/#classes/1?sample=T2I5")
    expect(page.locator(".card").first).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    reached: list[str] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED))
        if reached[-1].startswith("card"):
            break
    assert reached[0].startswith("skip")
    assert any("T2I at least" in name for name in reached)
    assert reached[-1].startswith("card")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything(watch: Callable[..., Any], scheme: str) -> None:
    page = watch(width=360, height=740, scheme=scheme).page
    for place in (
        "captions?phrase=golden+retriever&phrase=tabby+cat&safety=off",
        "similar?text=cat",
        "classes",
        "classes/0",
    ):
        page.goto("about:blank")
        page.goto(f"/#{place}")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, place
    light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(251, 250, 247)"
    assert light is (scheme == "light")
    page.get_by_role("button", name="Light or dark").click()
    assert (
        page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(251, 250, 247)"
    ) is not light


def test_states_of_nothing_waiting_and_failing(watch: Callable[..., Any]) -> None:
    watched = watch()
    page = watched.page
    page.goto("/")
    expect(page.get_by_text("captions are waiting")).to_be_visible()
    page.get_by_label("Phrases").fill("nothing has this")
    expect(page.get_by_text("No caption contains these words")).to_be_visible()
    page.get_by_label("Phrases").fill("***")
    expect(page.get_by_role("alert")).to_contain_text("'***' contains no letter")
    page.route("**/api/query*", lambda route: route.abort())
    page.get_by_label("Phrases").fill("tabby cat")
    expect(page.get_by_role("alert")).to_contain_text("Is captrawl serve still running?")
    page.unroute("**/api/query*")
    page.get_by_label("Phrases").fill("tabby")
    total(page, 45)
    page.goto("about:blank")
    page.goto("/#classes/77")
    expect(page.get_by_role("alert")).to_contain_text("there is no class 77")
    refused = re.compile(
        r"error: Failed to load resource: (the server responded with a status of 4|net::ERR_FAILED)"
    )
    watched.problems[:] = [problem for problem in watched.problems if not refused.match(problem)]


def test_an_index_alone_is_served(watch: Callable[..., Any], serve: Callable[..., Any], site: Any) -> None:
    page = watch(serve("--index", site.index)).page
    page.goto("/#captions?phrase=tabby+cat")
    total(page, 45)
    page.goto("/#similar")
    expect(page.get_by_text("Similar images need a workspace")).to_be_visible()
    page.goto("/#classes")
    expect(page.get_by_text("Classes need a workspace")).to_be_visible()


def test_what_hides_the_matches_is_told(watch: Callable[..., Any]) -> None:
    page = watch().page
    page.goto("/#captions?phrase=tabby+cat&safety=strict")
    expect(page.get_by_text("No caption with these words passes what else is asked.")).to_be_visible()
    expect(page.locator(".safety")).to_have_text("45 unsafe or unjudged left out")
    page.get_by_label("Unsafe rows").select_option("default")
    total(page, 45)
    page.get_by_label("Only with (prefix)").fill("submarine")
    expect(page.get_by_text("Try it without the prefix, the exclusions or the filters.")).to_be_visible()


def test_the_class_list_stays_in_view(watch: Callable[..., Any]) -> None:
    page = watch(height=500).page
    page.goto("/#classes/1?sample=T2I5")
    expect(page.locator(".card img").first).to_be_visible()
    page.evaluate("window.scrollTo(0, 600)")
    assert page.evaluate("window.scrollY") == 600
    top = page.locator(".list").bounding_box()["y"]
    assert 0 < top < 100


def test_the_class_list_is_one_stop_and_the_focus_goes_on(watch: Callable[..., Any]) -> None:
    page = watch().page
    page.goto("/#classes")
    page.get_by_label("Filter the classes").fill("r")
    expect(page.locator(".list a")).to_have_count(2)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".list a").nth(1)).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.locator("h2.title")).to_have_text("golden retriever")
    expect(page.locator("h2.title")).to_be_focused()
    expect(page.get_by_label("Filter the classes")).to_have_value("r")
    page.keyboard.press("Shift+Tab")
    expect(page.locator(".list [aria-current]")).to_be_focused()
    page.get_by_label("By the scores of").select_option("T2I5")
    page.wait_for_url("**/#classes/0?sample=T2I5&filter=r")
    expect(page.locator(".list a")).to_have_count(2)


def test_rejecting_among_what_stays_goes_to_the_next(
    watch: Callable[..., Any], serve: Callable[..., Any], own_site: Any
) -> None:
    page = watch(serve("-C", own_site.workspace.root)).page
    page.goto("/#classes/1?sample=T2I5")
    page.get_by_label("only what stays").check()
    cards = page.locator(".card")
    uids = cards.evaluate_all("cards => cards.map(card => card.dataset.uid)")
    cards.first.focus()
    for uid in uids[1:3]:
        page.keyboard.press("r")
        expect(cards.first).to_have_attribute("data-uid", uid)
        expect(cards.first).to_be_focused()
    assert list(Marks.load(own_site.workspace).of(1)) == [int(uid) for uid in uids[:2]]


def test_the_focus_stays_with_the_results_when_a_page_is_turned(watch: Callable[..., Any]) -> None:
    page = watch().page
    page.goto("/#captions?phrase=tabby+cat&order=corpus")
    page.get_by_role("button", name="More →").press("Enter")
    expect(page.locator(".pager")).to_contain_text("21–40 of 45")
    expect(page.get_by_label("Results")).to_be_focused()


def test_a_caption_that_a_card_cuts_off_can_be_opened(watch: Callable[..., Any]) -> None:
    page = watch().page
    page.goto("/#similar?text=tabby+cat+4+in+the+garden+with+a+golden+retriever&where=captions")
    caption = page.locator(".card .caption.cut").first
    folded = caption.bounding_box()["height"]
    caption.press("Enter")
    assert caption.bounding_box()["height"] > folded
    assert caption.get_attribute("aria-expanded") == "true"
    page.goto("/#classes/0?sample=T2I5")
    expect(page.locator("h2.title")).to_be_visible()
    card = page.locator(".card:has(.caption.cut)").first
    expect(card).to_be_visible()
    folded = card.locator(".caption").bounding_box()["height"]
    card.locator(".caption").click()
    assert card.locator(".caption").bounding_box()["height"] > folded
    assert page.locator(".caption[tabindex]").count() == 0


LINES = """all => all.map(one => {
  const range = document.createRange();
  range.selectNodeContents(one);
  return range.getClientRects().length;
})"""


@pytest.mark.parametrize("width", [360, 1280])
def test_long_names_make_nothing_wider(
    watch: Callable[..., Any], serve: Callable[..., Any], own_site: Any, width: int
) -> None:
    listed = own_site.workspace.root / "classes.csv"
    name = "Donaudampfschiff" * 6
    listed.write_text(listed.read_text().replace("golden retriever,", f"{name},golden retriever;", 1))
    page = watch(serve("-C", own_site.workspace.root), width=width).page
    page.goto("/#classes/0")
    expect(page.locator(".card").first).to_be_visible()
    expect(page.locator("h2.title")).to_have_text(name)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator(".list a span").evaluate_all(LINES) == [1, 1, 1]
    page.goto(f"/#captions?phrase=golden+retriever&phrase={name}")
    expect(page.locator(".bars .name")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
