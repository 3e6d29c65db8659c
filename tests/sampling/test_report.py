"""The report's numbers against plain recounts, its page as text, what it picks, and its size."""

from __future__ import annotations

import datetime
import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.classes.files import load_classes
from captrawl.core.errors import InputError, WorkspaceError
from captrawl.core.records import IMAGE_SCHEMA, MATCH_SCHEMA
from captrawl.sampling.evaluate import evaluation_path
from captrawl.sampling.files import SAMPLE_SCHEMA
from captrawl.sampling.filters import MEANINGS, DropReason
from captrawl.sampling.methods import Condition, Score
from captrawl.sampling.report.charts import (
    classes_chart,
    failures_chart,
    histogram_chart,
    looks,
    scores_chart,
    synonyms_chart,
)
from captrawl.sampling.report.counts import count, downloads, hosts_of
from captrawl.sampling.report.examples import pick
from captrawl.sampling.report.page_text import foreign
from captrawl.sampling.report.sample_counts import BINS, Histogram, count_samples
from captrawl.sampling.report.stage import page_path, read_numbers, report, report_status
from captrawl.sampling.report.svg import inline
from captrawl.sampling.report.thumbnails import SIZES, Thumbnails, size_for, small
from captrawl.sampling.sample import draw
from captrawl.search.synonyms.proposals import Proposal
from captrawl.search.synonyms.review import (
    NAME,
    ClassProposals,
    Review,
    ShownCaption,
    SynonymReview,
    save_review,
)
from captrawl.workspace.plan_record import PlanRecord
from captrawl.workspace.settings import parse_settings, save_settings
from captrawl.workspace.workspace import State, Workspace
from PIL import Image

HOSTILE = (
    "<script>alert(1)</script> \u202ereversed\x1b[2J <img src=x onerror=alert(2)> &amp; \"quoted\" 'single'"
)


@pytest.fixture
def made(make_workspace, make_row):
    """Three classes, the last without matches; two samples drawn; some URLs without an image."""
    random = np.random.default_rng(5)
    rows, vectors = [], {}
    for number in range(60):
        class_id = number % 2
        changes = {"synonym": "other" if number % 6 == 0 else f"class{class_id}"}
        if number == 7:
            changes["url"] = None
        if class_id == 1:
            changes["caption"] = HOSTILE
        rows.append(make_row(class_id, number, **changes))
        vectors[number] = tuple(v / np.linalg.norm(v) for v in random.normal(size=(2, 8)).astype(np.float32))
    unusable = {f"http://127.0.0.1/{n}.jpg": "http_404" if n % 4 else "too_small" for n in range(0, 60, 5)}
    prompts = np.eye(8, dtype=np.float32)[:3]
    samples = [
        {"name": "ranked", "n": 9, "rank": "T2I", "keep": ["T2I>=0.05", "T2T>=-0.3"]},
        {"name": "random", "n": 4, "method": "Random", "dedup": 0.9},
        {"name": "undrawn"},
    ]
    made = make_workspace(
        rows,
        vectors,
        prompts=prompts,
        names=["class0", 'b"<b>&', "empty"],
        unusable=unusable,
        pictures=True,
        settings={"sample": samples, "task": {"name": "<i>birds"}},
    )
    for spec in made.workspace.settings().sample[:2]:
        draw(made.workspace, spec)
    return made


def test_numbers_equal_a_plain_recount(made) -> None:
    workspace = made.workspace
    counts = report(workspace)
    numbers = read_numbers(workspace)
    images = {line["url"]: line for line in pq.read_table(workspace.images_path).to_pylist()}
    usable = {url for url, line in images.items() if line["state"] == "packed"}
    samples = {
        name: pq.read_table(workspace.samples_folder / f"{name}.parquet").to_pylist()
        for name in ("ranked", "random")
    }
    assert counts["classes"] == 3
    assert counts["samples"] == 2
    assert numbers["matched"] == 60
    assert numbers["no_url"] == 1
    for entry in numbers["classes"]:
        mine = [row for row in made.rows if row["class_id"] == entry["id"]]
        assert entry["matched"] == len(mine)
        assert entry["downloaded"] == sum(row["url"] in usable for row in mine)
        matched = {s["text"]: (s["matched"], s["downloaded"]) for s in entry["synonyms"] if s["matched"]}
        assert matched == {
            text: (
                sum(row["synonym"] == text for row in mine),
                sum(row["synonym"] == text and row["url"] in usable for row in mine),
            )
            for text in {row["synonym"] for row in mine}
        }
        assert entry["kept"] == [
            sum(row["kept"] and row["class_id"] == entry["id"] for row in rows) for rows in samples.values()
        ]
    lost = Counter((line["state"], line["reason"]) for line in images.values() if line["state"] != "packed")
    told = {(f["state"], f["reason"]): f["urls"] for f in numbers["download"]["failures"]}
    assert told == dict(lost)
    assert numbers["download"]["packed"] == len(usable)
    assert numbers["download"]["images"] == len({images[url]["sha256"] for url in usable})
    for line, rows in zip(numbers["samples"], samples.values(), strict=True):
        assert line["reasons"] == dict(Counter(row["reason"] for row in rows if not row["kept"]))
        assert line["kept"] == sum(row["kept"] for row in rows)
        for histogram in line["histograms"]:
            column = Score(histogram["score"]).column
            values = [(row[column], row["kept"]) for row in rows if row[column] is not None]
            edges = histogram["edges"]
            assert len(edges) == BINS + 1
            place = [min(int(np.searchsorted(edges, v, side="right")) - 1, BINS - 1) for v, _ in values]
            assert histogram["pool"] == [place.count(b) for b in range(BINS)]
            kept = [p for p, (_, k) in zip(place, values, strict=True) if k]
            assert histogram["kept"] == [kept.count(b) for b in range(BINS)]
    thresholds = {h["score"]: h["thresholds"] for h in numbers["samples"][0]["histograms"]}
    assert [(c["operator"], c["value"]) for c in thresholds["T2I"]] == [(">=", 0.05)]
    assert [(c["operator"], c["value"]) for c in thresholds["T2T"]] == [(">=", -0.3)]


def test_picks_are_the_ends_of_the_kept_rows(made) -> None:
    ranked, random = count_samples(made.workspace)
    rows = pq.read_table(made.workspace.samples_folder / "ranked.parquet").to_pylist()
    for class_id in (0, 1):
        scores = sorted((r["T2I"] for r in rows if r["kept"] and r["class_id"] == class_id), reverse=True)
        found = pick(made.workspace, ranked, each=2).sheets[class_id]
        assert [dict(p.scores)[Score.T2I] for p in found.most] == scores[:2]
        assert [dict(p.scores)[Score.T2I] for p in found.least] == scores[:-3:-1]
        everything = pick(made.workspace, ranked, each=5).sheets[class_id]
        assert [dict(p.scores)[Score.T2I] for p in everything.most] == scores
        assert everything.least == ()
    examples = pick(made.workspace, random, each=1).dropped
    drawn = pq.read_table(made.workspace.samples_folder / "random.parquet").to_pylist()
    for reason, shown in examples.items():
        pool = [r for r in drawn if r["reason"] == reason]
        assert len(shown) == min(len(pool), 8)
        assert {(p.class_id, p.url, p.caption) for p in shown} <= {
            (r["class_id"], r["url"], r["caption"]) for r in pool
        }
        assert {p.class_id for p in shown} == {r["class_id"] for r in pool}
    assert set(examples) == {r["reason"] for r in drawn if not r["kept"]}


def test_every_reason_has_a_meaning() -> None:
    assert set(MEANINGS) == set(DropReason)


class Tags(HTMLParser):
    """Every start tag with its attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_holds_no_script_no_address_and_hostile_text_as_text(made) -> None:
    report(made.workspace)
    page = page_path(made.workspace).read_text()
    tags = Tags(page)
    names = Counter(name for name, _ in tags.found)
    assert not {"script", "iframe", "link", "base", "form", "object", "embed", "i"} & set(names)
    assert names["style"] == 1
    for name, attributes in tags.found:
        assert not [key for key in attributes if key.startswith("on") or key == "style"], name
        for key in ("src", "href", "srcset", "action", "poster", "data"):
            value = attributes.get(key)
            assert value is None or value.startswith(("data:image/webp;base64,", "#"))
    text = "".join(tags.text)
    assert "<script>alert(1)</script> \ufffdreversed\ufffd[2J <img src=x onerror=alert(2)> &amp;" in text
    assert "<i>birds" in text
    assert "The host with most failures" in text
    assert 'b"<b>&' in text
    assert "\u202e" not in page
    ids = [attributes["id"] for _, attributes in tags.found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for _, a in tags.found if "href" in a} <= set(ids)
    assert {"class-0", "class-1", "class-2"} <= set(ids)


def test_the_page_sets_a_plan_beside_what_happened(made) -> None:
    workspace = made.workspace
    report(workspace)
    assert "planned" not in page_path(workspace).read_text()
    PlanRecord("2026-11-01", 60, 45, 2, 0.5, None).save(workspace)
    assert report_status(workspace).state is State.STALE
    report(workspace)
    assert report_status(workspace).state is State.DONE
    download = read_numbers(workspace)["download"]
    ended = download["urls"] - download["waiting"]
    text = re.sub(r"\s+", "", "".join(Tags(page_path(workspace).read_text()).text))
    assert "plannedon2026-11-01happened" in text
    assert f"URLsthatended60{ended}distinctimages45{download['images']}imagesoftheURLs75.0" in text


def test_the_page_shows_the_review_of_synonyms(made) -> None:
    workspace = made.workspace
    report(workspace)
    assert "Synonym review" not in page_path(workspace).read_text()
    long = "filler " * 90 + "CLASS1" + " behind" * 90
    captions = (ShownCaption(f"a Class1, {HOSTILE}", 0.25), ShownCaption(long, -0.1))
    doubtful = SynonymReview(1, 'b"<b>&', "class1", 1234, 0.073, 0.1, 0, "<u>class0", captions)
    few = SynonymReview(0, "class0", "rare", 19, 0.01, 0.0, 1, "x", captions)
    words = ClassProposals(
        None, "", (Proposal("wetland", 1.0, 2.5, 9, 1),), (Proposal("<s>", -1.0, -3, 0, 7),)
    )
    save_review(Review((few, doubtful), (words,)), workspace.root / NAME)
    assert report_status(workspace).reason == "synonym review changed since"
    report(workspace)
    page = page_path(workspace).read_text()
    tags, text = Tags(page), "".join(Tags(page).text)
    assert not {"script", "u", "s", "i"} & {name for name, _ in tags.found}
    assert "1 of 1 synonyms with 20 rows or more" in text
    assert "1,234 rowsagreement 0.07own class nearest in 10%else <u>class0" in text
    assert page.count("<mark>") == 2
    assert "<mark>Class1</mark>, &lt;script&gt;" in page
    assert re.search(r"<bdi>…[filer ]{60,80}<mark>CLASS1</mark>[behind ]{200,240}…</bdi>", page)
    assert "all classeswetland (9:1)<s> (0:7)" in text


def test_a_damaged_review_is_told_by_its_file(made) -> None:
    (made.workspace.root / NAME).write_text("{")
    with pytest.raises(InputError, match=NAME):
        report(made.workspace)


def test_status_says_what_changed(made) -> None:
    workspace = made.workspace
    assert report_status(workspace).state is State.MISSING
    report(workspace)
    first = page_path(workspace).read_bytes()
    assert report_status(workspace).state is State.DONE
    report(workspace)
    assert page_path(workspace).read_bytes() == first
    draw(workspace, workspace.settings().sample[0].model_copy(update={"n": 3}))
    state = report_status(workspace)
    assert (state.state, state.reason) == (State.STALE, "samples changed since")
    report(workspace)
    assert [sample["n"] for sample in read_numbers(workspace)["samples"]] == [3, 4]  # as drawn, not as set
    lines = [
        {"name": n, "images": 5, "classes": 3, "accuracy": 0.5, "low": 0.4, "high": 0.625}
        for n in ("zero-shot", "ranked")
    ]
    evaluation_path(workspace).write_text(
        json.dumps({"format": 1, "labelled": 8, "classes": 3, "lines": lines})
    )
    assert report_status(workspace).reason == "evaluation changed since"
    report(workspace)
    assert "40.0% to 62.5%" in page_path(workspace).read_text()
    page_path(workspace).unlink()
    assert report_status(workspace).state is State.MISSING


def test_a_report_of_what_is_there_so_far(made) -> None:
    workspace = made.workspace
    for path in workspace.samples_folder.iterdir():
        path.unlink()
    assert report(workspace)["samples"] == 0
    workspace.images_path.unlink()
    assert report(workspace)["pictures"] == 0
    assert read_numbers(workspace)["download"]["urls"] == 0
    workspace.matches_path.unlink()
    with pytest.raises(WorkspaceError, match="run captrawl match first"):
        report(workspace)


def test_a_sample_without_a_row(made) -> None:
    workspace = made.workspace
    pq.write_table(MATCH_SCHEMA.empty_table(), workspace.matches_path)
    for spec in workspace.settings().sample[:2]:
        draw(workspace, spec)
    assert report(workspace)["pictures"] == 0
    assert [entry["matched"] for entry in read_numbers(workspace)["classes"]] == [0, 0, 0]


def test_charts_of_gone_samples_go_and_every_chart_opens(made) -> None:
    folder = made.workspace.report_folder
    folder.mkdir()
    (folder / "scores-gone.png").write_bytes(b"old")
    (folder / ".index.html.999999999.tmp").write_bytes(b"of a killed run")
    report(made.workspace)
    assert not list(folder.glob(".*"))
    names = {path.name for path in folder.iterdir() if path.suffix in (".png", ".svg", ".pdf")}
    charts = ("classes", "synonyms", "failures", "scores-ranked", "scores-random")
    assert names == {f"{chart}.{form}" for chart in charts for form in ("png", "svg", "pdf")}
    before = {name: (folder / name).read_bytes() for name in names}
    for name in names:
        if name.endswith(".png"):
            with Image.open(folder / name) as picture:
                assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
        elif name.endswith(".svg"):
            assert "class0" in ElementTree.fromstring(before["classes.svg"]).itertext()
        else:
            assert before[name].startswith(b"%PDF-")
            assert b"/Type3" not in before[name]  # which conferences refuse
    report(made.workspace)
    assert {name: (folder / name).read_bytes() for name in names} == before


def test_every_chart_with_several_colours_has_a_legend(made) -> None:
    classes = load_classes(made.workspace.classes_path())
    counts = count(made.workspace, classes, count_samples(made.workspace))
    with looks():
        drawn = [classes_chart(counts), synonyms_chart(counts)]
        drawn += [scores_chart(sample, place) for place, sample in enumerate(counts.samples)]
    for figure in drawn:
        legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
        texts = [text.get_text() for legend in legends if legend for text in legend.get_texts()]
        assert len(texts) >= 2
    with looks():
        legend = failures_chart(counts).axes[0].get_legend()
    states = {failure.state for failure in counts.download.failures}
    assert {text.get_text() for text in legend.get_texts()} == states


def test_matches_and_credit_stand_under_two_names(make_workspace, make_row) -> None:
    """Every row of crane is credited to "crane"; "tower crane" has matches and no credit."""
    rows = [make_row(0, n, synonym="crane") for n in range(5)]
    made = make_workspace(rows, {}, prompts=np.eye(4, dtype=np.float32)[:1], names=["crane"])
    document = json.loads(made.workspace.classes_path().read_text())
    texts = {"crane": 90, "tower crane": 23, "construction crane": 0}
    document["classes"][0]["synonyms"] = [{"text": t, "frequency": n} for t, n in texts.items()]
    made.workspace.classes_path().write_text(json.dumps(document))
    report(made.workspace)
    page = page_path(made.workspace).read_text()
    rows_of = [re.findall(r"<t[hd][^>]*>(?:<bdi>)?([^<]*)", row) for row in page.split("<tr>")]
    assert ["tower crane", "23", "0", "0%", "0"] in [row[:5] for row in rows_of]
    assert ["crane", "90", "5", "100%", "5"] in [row[:5] for row in rows_of]
    assert ">2 of 3</td>" in page
    assert "Credited: rows of the class that count for it" in page


def test_the_page_names_empty_and_short_classes_and_says_when_it_was_made(made) -> None:
    report(made.workspace)
    text = " ".join("".join(Tags(page_path(made.workspace).read_text()).text).split())
    assert "1 class matches nothing: empty." in text
    kept = read_numbers(made.workspace)["samples"][0]["kept_of"]
    short = sorted((kept.get(str(i), 0), i) for i in range(3) if kept.get(str(i), 0) < 9)
    names = ["class0", 'b"<b>&', "empty"]
    told = ", ".join(f"{names[i]} {number}" for number, i in short)
    assert re.search(
        rf"ranked: {len(short)} class(es have| has) fewer than 9 images: {re.escape(told)}\.", text
    )
    assert datetime.datetime.now(datetime.UTC).date().isoformat() in text
    links = [a.get("href") for name, a in Tags(page_path(made.workspace).read_text()).found if name == "a"]
    assert "#made" in links


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://a.example/x.jpg", "a.example"),
        ("https://User:pass@B.example:8080?q", "b.example:8080"),
        ("HTTP://c.example", "c.example"),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_hosts(url: str, host: str) -> None:
    assert hosts_of(pa.array([url])).to_pylist() == [host]


def test_urls_that_no_class_needed_are_not_among_those_asked() -> None:
    states = ["packed", "packed", "failed", *["queued"] * 5]
    lines = [{"url": f"http://h.example/{n}", "state": s, "attempts": 0} for n, s in enumerate(states)]
    table = pa.Table.from_pylist(lines, IMAGE_SCHEMA)
    counts = [downloads(table, unneeded) for unneeded in (0, 4, 9)]
    assert [(one.urls, one.waiting, one.unneeded) for one in counts] == [(8, 5, 0), (4, 1, 4), (3, 0, 5)]


def test_hosts_are_those_that_fail_most() -> None:
    lines = [
        {"url": f"http://h{host}.example/{n}", "state": "failed" if n < host else "packed", "attempts": 1}
        for host in range(25)
        for n in range(30)
    ]
    for line in lines:
        line["reason"] = "timeout" if line["state"] == "failed" else None
    found = downloads(pa.Table.from_pylist(lines, IMAGE_SCHEMA))
    assert [(h.host, h.urls, h.reasons) for h in found.hosts] == [
        (f"h{host}.example", 30, (("timeout", host),)) for host in range(24, 4, -1)
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\n c", "<bdi>a b c</bdi>"),
        (None, "<bdi></bdi>"),
        ("<&>\"'", "<bdi>&lt;&amp;&gt;&#34;&#39;</bdi>"),
        ("\u202eabc\x00", "<bdi>\ufffdabc\ufffd</bdi>"),
        ("👩\u200d👧", "<bdi>👩\u200d👧</bdi>"),
        ("x" * 300, f"<bdi>{'x' * 199}…</bdi>"),
    ],
)
def test_foreign_text(text: str | None, shown: str) -> None:
    assert foreign(text) == shown


def test_thumbnails_stay_in_their_budget_and_in_the_workspace(tmp_path: Path) -> None:
    inside = tmp_path / "workspace"
    inside.mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    for number in range(20):
        Image.fromarray(noise).save(inside / f"{number}.png")
    Image.fromarray(noise).save(tmp_path / "outside.png")
    (inside / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    roomy = Thumbnails(inside, SIZES[0], expected=1)
    uri = roomy.uri("0.png")
    assert uri
    assert re.fullmatch(r"data:image/webp;base64,[A-Za-z0-9+/=]+", uri)
    assert [roomy.uri(name) for name in ("../outside.png", "broken.jpg", "none.jpg")] == [None] * 3
    assert roomy.lost == 3
    budget = 5 * len(uri)
    tight = Thumbnails(inside, SIZES[0], expected=20, budget=budget)
    found = [tight.uri(f"{number}.png") for number in range(20)]
    assert sum(len(held) for held in found if held) <= budget
    assert sum(held is not None for held in found) >= 5


def test_sizes_shrink_with_the_number_of_sheets() -> None:
    chosen = [size_for(sheets, 30) for sheets in (0, 24, 200, 1000, 20_000)]
    assert chosen[0] == chosen[1] == SIZES[0]
    assert chosen == sorted(chosen, key=lambda size: -size.side * size.each)
    assert chosen[-1] == SIZES[-1]


def test_a_picture_is_small_and_upright(tmp_path: Path) -> None:
    lying = Image.new("RGB", (400, 200), "white")
    lying.paste((255, 0, 0), (0, 0, 400, 100))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter to the right
    lying.save(tmp_path / "phone.jpg", exif=exif)
    upright = small((tmp_path / "phone.jpg").read_bytes(), 100)
    assert (upright.size, upright.mode) == ((50, 100), "RGB")
    assert [round(value / 255) for value in upright.getpixel((40, 50))] == [1, 0, 0]
    with pytest.raises(ValueError, match="400 × 200 pixels"):
        small((tmp_path / "phone.jpg").read_bytes(), 100, max_pixels=79_999)


def test_a_chart_inside_the_page_has_the_pages_colours_and_no_style_of_its_own() -> None:
    edges = tuple(n / BINS for n in range(BINS + 1))
    pool = (250_000, *[9] * (BINS - 1))
    condition = Condition(Score.T2I, ">=", 0.5)
    with looks():
        figure = histogram_chart(Histogram(Score.T2I, edges, pool, pool, (condition,)), 1)
        drawn = inline(figure, "one", label="<&>", titles={}, texts={})
        again = inline(figure, "two", label="<&>", titles={}, texts={})
    tags = Tags(drawn).found
    assert {"path", "text", "title", "svg"} <= {name for name, _ in tags}
    assert not {"style", "metadata"} & {name for name, _ in tags}
    assert all("style" not in attributes for _, attributes in tags)
    assert '<title id="one-title">&lt;&amp;&gt;</title>' in drawn
    colours = {attributes[key] for _, attributes in tags for key in ("fill", "stroke") if key in attributes}
    assert {"var(--matched)", "var(--s1)", "var(--threshold)", "var(--ink)", "var(--line)"} <= colours
    assert not [colour for colour in colours if colour.startswith("#")]
    text = "".join(Tags(drawn).text)
    assert "T2I, T2I>=0.5" in text
    assert "200,000" in text
    identities = {a["id"] for _, a in [*tags, *Tags(again).found] if "id" in a}
    assert len(identities) == 2 * sum("id" in a for _, a in tags)
    assert {name for _, a in tags for name in re.findall(r"#([\w-]+)", str(a.values()))} <= identities


def test_the_page_names_the_classes_of_the_chart_in_full(make_workspace, make_row) -> None:
    rows = [make_row(n % 2, n) for n in range(4)]
    names = ["金毛寻回犬 $x$", "a <b>"]
    vectors = {n: (np.eye(4)[n].astype(np.float32),) * 2 for n in range(4)}
    made = make_workspace(rows, vectors, prompts=np.eye(4, dtype=np.float32)[:2], names=names)
    report(made.workspace)
    page = page_path(made.workspace).read_text()
    chart = re.search(r"<svg[^>]*aria-labelledby=.rows-title.*?</svg>", page, re.DOTALL)
    assert chart
    text = Tags(chart[0]).text
    assert [name for name in names if name in text] == names
    assert "金毛寻回犬 $x$: matched 2, with image 2" in "".join(text)


def test_samples_with_equal_counts_are_all_seen(made) -> None:
    with looks():
        axes = classes_chart(
            count(made.workspace, load_classes(made.workspace.classes_path()), count_samples(made.workspace))
        ).axes[0]
    boxes = [
        [bar.get_bbox() for bar in container]
        for container in axes.containers
        if container.get_label() != "_nolegend_"
    ]
    first, second = boxes[0], boxes[1]
    assert all(left.x1 <= right.x0 + 1e-9 for left, right in zip(first, second, strict=True))


def test_a_thousand_classes_make_a_page_of_bounded_size(tmp_path: Path) -> None:
    workspace = big_workspace(tmp_path / "big", classes=1000, kept=12)
    counts = report(workspace, budget=3_000_000)
    assert counts["bytes"] < 3_000_000 + 6_000_000
    assert counts["pictures"] >= 1000
    tags = Tags(page_path(workspace).read_text())
    assert sum(a.get("class") == "class" for name, a in tags.found if name == "details") == 1000


def big_workspace(root: Path, *, classes: int, kept: int) -> Workspace:
    """A workspace with one sample whose pictures are a few files of noise."""
    root.mkdir()
    workspace = Workspace(root)
    data = {"captions": {"index": "nowhere"}, "sample": [{"name": "T2T12", "n": kept}]}
    save_settings(parse_settings(data, "made up"), workspace.settings_path)
    entries = [
        {"id": i, "name": f"class {i:04d}", "synonyms": [{"text": f"class {i}"}]} for i in range(classes)
    ]
    (root / "classes.json").write_text(json.dumps({"format": 1, "classes": entries}))
    random = np.random.default_rng(1)
    (root / "images").mkdir()
    for number in range(50):
        noise = random.integers(0, 255, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((320, 240)).save(root / "images" / f"{number}.jpg")
    size = classes * kept
    ids = np.repeat(np.arange(classes), kept)
    url = [f"http://127.0.0.1/{n}.jpg" for n in range(size)]
    columns = {
        "class_id": ids,
        "uid": np.arange(size),
        "url": url,
        "caption": [f"a photo of class {i}, {'word ' * 20}" for i in ids],
        "synonym": [f"class {i}" for i in ids],
    }
    extra = {"width": 9, "height": 9, "priority": 0, "file": "c/a", "row": 0}
    matches = {name: columns.get(name, pa.array([extra.get(name)] * size)) for name in MATCH_SCHEMA.names}
    pq.write_table(pa.table(matches, schema=MATCH_SCHEMA), workspace.matches_path)
    paths = [f"images/{n % 50}.jpg" for n in range(size)]
    sha = [str(n) for n in range(size)]
    given = {"url": url, "state": ["packed"] * size, "attempts": [1] * size, "path": paths, "sha256": sha}
    images = {name: given.get(name, pa.array([None] * size)) for name in IMAGE_SCHEMA.names}
    pq.write_table(pa.table(images, schema=IMAGE_SCHEMA), workspace.images_path)
    given = {**columns, "path": paths, "sha256": sha, "T2T": random.random(size), "kept": [True] * size}
    given |= {"rank": np.tile(np.arange(1, kept + 1), classes), "reason": [""] * size}
    rows = {name: given.get(name, pa.array([None] * size)) for name in SAMPLE_SCHEMA.names}
    workspace.samples_folder.mkdir()
    pq.write_table(pa.table(rows, schema=SAMPLE_SCHEMA), workspace.samples_folder / "T2T12.parquet")
    return workspace
