"""What the API answers, against the library asked for the same."""

from __future__ import annotations

import ctypes
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from captrawl.classes.files import load_classes
from captrawl.sampling.files import read_sample
from captrawl.sampling.marks import Mark, Marks, set_marks
from captrawl.sampling.orders.names import Score
from captrawl.sampling.sample import draw
from captrawl.sampling.task import paths_of
from captrawl.search.captions import open_captions
from captrawl.search.match import Scope, class_counts
from captrawl.search.query import CaptionQuery, Filters, Safety
from captrawl.search.vectors.similar import similar
from captrawl.web.app import create_app
from captrawl.web.middleware import Limits
from PIL import Image
from starlette.testclient import TestClient


def client_of(captions: Any, site: Any, **options: Any) -> TestClient:
    app = create_app(captions, str(site.index), workspace=options.pop("workspace", site.workspace), **options)
    client = TestClient(app, base_url="http://127.0.0.1:8000")
    client.headers["x-captrawl-token"] = client.get("/api/session").json()["token"]
    return client


@pytest.fixture(scope="session")
def captions(site: Any) -> Any:
    with open_captions(site.index) as index:
        yield index


@pytest.fixture(scope="session")
def client(captions: Any, site: Any) -> TestClient:
    """For reading; tests that write use own_client."""
    return client_of(captions, site)


@pytest.fixture
def own_client(captions: Any, own_site: Any) -> TestClient:
    return client_of(captions, own_site)


def told(client: TestClient, path: str, **parameters: Any) -> Any:
    answer = client.get(f"/api/{path}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def every_page(client: TestClient, **parameters: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None:
        page = told(client, "query", cursor=cursor, **parameters)
        rows += page["rows"]
        cursor = page["next"]
    return rows


def test_session(client: TestClient, site: Any) -> None:
    session = told(client, "session")
    assert session["rows"] == 118
    assert (session["files"], session["workspace"]) == (2, str(site.workspace.root))
    assert session["samples"] == ["T2T5", "T2I5"]
    assert session["scores"] == [score.value for score in Score]
    assert session["similar"] is True


def test_a_page_of_rows(client: TestClient) -> None:
    page = told(client, "query", phrase=["golden retriever", "tabby cat"], order="corpus", limit=1)
    assert (page["total"], page["synonyms"]) == (115, {"golden retriever": 75, "tabby cat": 45})
    counts = told(client, "count", phrase=["golden retriever", "tabby cat"])
    assert counts == {
        **{k: page[k] for k in ("total", "synonyms")},
        "safety": {"left_out": 2, "unknown": 114},
    }
    assert page["rows"] == [
        {
            "uid": page["rows"][0]["uid"],
            "url": "http://127.0.0.1:9/0.jpg",
            "caption": "A Golden-Retriever, red number 0",
            "marks": [[2, 18]],
            "synonym": "golden retriever",
            "width": 96,
            "height": 50,
            "similarity": 0.3,
            "nsfw": None,
            "punsafe": None,
            "licence": None,
            "language": None,
            "file": "corpus/part-0.parquet",
            "row": 0,
            "unsafe": False,
            "sha256": page["rows"][0]["sha256"],
        }
    ]


@pytest.mark.parametrize("order", ["corpus", "relevance", "random"])
def test_pages_hold_every_row_once_in_the_librarys_order(
    client: TestClient, captions: Any, order: str
) -> None:
    rows = every_page(client, phrase="golden retriever", order=order, limit=7, seed=3)
    query = CaptionQuery(("golden retriever",))
    whole = {
        "corpus": lambda: captions.first(query, 1000, None),
        "relevance": lambda: captions.relevant(query, 1000),
        "random": lambda: captions.sample(query, 1000, 3),
    }[order]()
    assert [(row["file"], row["row"]) for row in rows] == list(
        zip(whole["file"].to_pylist(), whole["row"].to_pylist(), strict=True)
    )
    assert [int(row["uid"]) for row in rows] == whole["uid"].to_pylist()


DOG = "golden retriever"


def filtered(phrase: str, **filters: Any) -> CaptionQuery:
    return CaptionQuery((phrase,), filters=Filters(**filters))


@pytest.mark.parametrize(
    ("parameters", "query"),
    [
        ({"phrase": [DOG, "tabby cat"]}, CaptionQuery((DOG, "tabby cat"))),
        ({"phrase": DOG, "prefix": "garden"}, CaptionQuery((DOG,), "garden")),
        ({"phrase": DOG, "exclude": ["red", "blue"]}, CaptionQuery((DOG,), "", ("red", "blue"))),
        ({"phrase": DOG, "min_side": 90}, filtered(DOG, min_side=90)),
        ({"phrase": DOG, "safety": "off"}, filtered(DOG, safety=Safety.OFF)),
        ({"phrase": DOG, "safety": "strict"}, filtered(DOG, safety=Safety.STRICT)),
        ({"phrase": "tabby cat", "licence": "cc-by"}, filtered("tabby cat", licence="cc-by")),
        ({"phrase": DOG, "nsfw": ["UNLIKELY"]}, filtered(DOG, nsfw=("UNLIKELY",))),
        (
            {"phrase": DOG, "min_similarity": 0.3, "keep_unknown": True},
            filtered(DOG, min_similarity=0.3, keep_unknown=True),
        ),
    ],
)  # fmt: skip
def test_counts_and_downloads_are_the_librarys(
    client: TestClient, captions: Any, parameters: dict[str, Any], query: CaptionQuery
) -> None:
    [total] = captions.count([query])
    assert told(client, "count", **parameters)["total"] == total > 0
    expected = {
        (r["file"], r["row"], r["uid"], r["caption"]) for b in captions.scan(query) for r in b.to_pylist()
    }
    for kind, read in (("parquet", pq.read_table), ("csv", pyarrow.csv.read_csv)):
        answer = client.get("/api/export", params={**parameters, "format": kind})
        assert answer.headers["content-disposition"] == f'attachment; filename="captions.{kind}"'
        options = (
            {"parse_options": pyarrow.csv.ParseOptions(newlines_in_values=True)} if kind == "csv" else {}
        )
        table = read(pa.BufferReader(answer.content), **options)
        assert table.num_rows == total
        assert {(r["file"], r["row"], r["uid"], r["caption"]) for r in table.to_pylist()} == expected


def test_facets_are_what_the_rows_say(client: TestClient) -> None:
    of_cats = told(client, "facets", phrase="tabby cat")
    assert (of_cats["rows"], of_cats["languages"]) == (45, [])
    assert of_cats["licences"] == [{"value": "CC-BY 4.0", "rows": 45}]
    assert of_cats["hosts"] == [{"value": "127.0.0.1", "rows": 45}]
    assert of_cats["sides"] == [{"value": str(side), "rows": 0} for side in (128, 256, 512, 1024)]
    assert of_cats["similarities"] == [
        {"value": value, "rows": rows}
        for value, rows in (("0.2", 45), ("0.25", 45), ("0.3", 45), ("0.35", 0))
    ]
    assert of_cats["longer"] == [], "numbers follow, and no word"
    words = told(client, "facets", phrase="golden retriever", exclude="tabby cat")["longer"]
    assert words[:3] == [{"value": f"golden retriever {c}", "rows": 20} for c in ("blue", "green", "red")]
    odd = told(client, "facets", phrase="odd similarity")
    assert odd["similarities"][0]["rows"] == 0, "6016 is no similarity"
    for licence in of_cats["licences"]:  # a press narrows to these rows
        assert told(client, "count", phrase="tabby cat", licence=licence["value"])["total"] == licence["rows"]


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("query", 422, "phrase: Field required"),
        ("query?phrase=", 422, "phrase.0"),
        ("query?phrase=***", 422, "'***' contains no letter"),
        ("query?phrase=cat&colour=red", 422, "colour"),
        ("query?phrase=cat&limit=0", 422, "limit"),
        ("query?phrase=cat&limit=101", 422, "limit"),
        ("query?phrase=cat&order=odd", 422, "order"),
        ("query?phrase=cat&cursor=skip:5&order=corpus", 422, "cursor 'skip:5'"),
        ("query?phrase=cat&cursor=skip:1000", 422, "cursor"),
        ("query?phrase=cat&cursor=row:1:a", 422, "cursor"),
        ("query?phrase=cat&min_similarity=nan", 422, "the smallest similarity is nan"),
        ("query?phrase=cat&max_punsafe=2", 422, "the largest punsafe is 2"),
        (f"query?phrase=cat&min_side={10**30}", 422, "the minimum side in pixels is 1000"),
        ("query?phrase=cat&min_side=-1", 422, "the minimum side in pixels is -1"),
        ("query?" + "&".join(["phrase=cat"] * 201), 422, "phrase"),
        ("query?phrase=" + "x" * 301, 422, "phrase.0"),
        ("export?phrase=cat&format=xlsx", 422, "format"),
        ("similar", 422, "just one"),
        ("similar?text=a&uid=1", 422, "just one"),
        ("similar?uid=99999999999999999999", 422, "uid"),
        ("similar?uid=9999999999999999999", 422, "64-bit"),
        ("similar?uid=1", 422, "no vectors"),
        ("similar?text=a&class_id=77", 422, "no class 77"),
        ("images/xyz", 422, "sha256"),
        ("classes/77", 404, "no class 77"),
        ("classes/-1", 422, "class_id"),
        ("classes/0/pool?sample=nothing", 404, "no sample 'nothing'"),
        ("nothing", 404, "Not Found"),
    ],
)
def test_errors_say_what_is_wrong(client: TestClient, path: str, status: int, text: str) -> None:
    answer = client.get(f"/api/{path}")
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert text in answer.json()["error"]


def test_similar_is_the_librarys(client: TestClient, site: Any, tmp_path: Path) -> None:
    def expect(found: pa.Table, rows: list[dict[str, Any]]) -> None:
        assert [int(row["uid"]) for row in rows] == found["uid"].to_pylist()
        assert [row["score"] for row in rows] == found["score"].to_pylist()

    for where in ("images", "captions"):
        rows = told(client, "similar", text="a tabby cat", where=where, k=9)["rows"]
        expect(similar(site.workspace, text="a tabby cat", where=where, k=9), rows)
    rows = told(client, "similar", text="garden", class_id="1", k=5)["rows"]
    expect(similar(site.workspace, text="garden", class_name="1", k=5), rows)
    assert {row["class_name"] for row in rows} == {"tabby cat"}
    file = tmp_path / "mine.png"
    Image.effect_mandelbrot((120, 80), (-2, -1, 1, 1), 50).convert("RGB").save(file)
    answer = client.post("/api/similar/image", params={"k": 6}, content=file.read_bytes())
    expect(similar(site.workspace, image=file, k=6), answer.json()["rows"])


def test_more_like_a_row_leaves_the_row_out(client: TestClient) -> None:
    [first] = told(client, "similar", text="tabby cat", k=1)["rows"]
    for by in ("image", "caption"):
        near = told(client, "similar", uid=first["uid"], by=by, k=200)["rows"]
        assert first["uid"] not in {row["uid"] for row in near}
        assert [row["score"] for row in near] == sorted((row["score"] for row in near), reverse=True)


def test_images_are_sent_small_without_metadata_or_as_they_are(client: TestClient, site: Any) -> None:
    rows = pq.read_table(site.workspace.images_path).to_pylist()
    held = {row["sha256"]: site.workspace.root / row["path"] for row in rows if row["path"]}
    sizes = {sha256: path.stat().st_size for sha256, path in held.items()}
    large = max(sizes, key=sizes.__getitem__)
    small = min(sizes, key=sizes.__getitem__)
    thumbnail = client.get(f"/api/images/{large}")
    with Image.open(io.BytesIO(thumbnail.content)) as image:
        assert max(image.size) == 320
        assert not image.getexif()
    assert client.get(f"/api/images/{large}?size=full").content == held[large].read_bytes()
    answer = client.get(f"/api/images/{small}")
    assert answer.content == held[small].read_bytes()
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"


def test_classes_and_their_synonyms(client: TestClient) -> None:
    lines = told(client, "classes")["classes"]
    assert [(line["id"], line["name"], line["pool"]) for line in lines] == [
        ("0", "golden retriever", 77),
        ("1", "tabby cat", 45),
        ("2", "<b>owned</b> word", 0),
    ]
    page = told(client, "classes/0")
    assert [(s["text"], s["pool"], s["match"]) for s in page["synonyms"]] == [
        ("golden retriever", 77, True),
        ("golden-retriever", 0, True),
        ("goldie", 0, True),
    ]
    assert page["samples"] == ["T2T5", "T2I5"]
    assert 0 < page["images"] < page["pool"]
    assert page["images"] == page["synonyms"][0]["images"]


def test_a_pool_is_its_samples_rows(client: TestClient, site: Any) -> None:
    rows = [row for row in read_sample(paths_of(site.workspace, "T2I5")).to_pylist() if row["class_id"] == 0]
    pool = told(client, "classes/0/pool", sample="T2I5")
    assert (pool["total"], pool["method"], pool["stale"]) == (len(rows), "--rank T2I --keep 'T2I>=0'", False)
    for shown, row in zip(pool["rows"], rows, strict=True):
        assert (int(shown["uid"]), shown["kept"], shown["rank"], shown["reason"]) == (
            row["uid"], row["kept"], row["rank"], row["reason"],
        )  # fmt: skip
        assert shown["scores"] == [row[score.column] for score in Score]
        assert not shown["kept"] or None not in shown["scores"][:2]
    meanings = {row["reason"]: row["meaning"] for row in pool["rows"] if row["reason"]}
    assert meanings["beyond_n"] == "the list was full"
    assert all(meaning == reason for reason, meaning in meanings.items() if "<" in reason)
    unsafe = [row["caption"] for row in pool["rows"] if row["unsafe"]]
    assert sorted(unsafe) == ["golden retriever, scored", "golden retriever, tagged"]
    part = told(client, "classes/0/pool", sample="T2I5", offset=3, limit=2)
    assert part["rows"] == pool["rows"][3:5]
    bare = told(client, "classes/1/pool")
    assert bare["total"] == 45
    assert {(row["reason"], row["meaning"]) for row in bare["rows"]} == {("no sample yet", "no sample yet")}


def test_marks_are_stored_and_honoured(own_client: TestClient, own_site: Any) -> None:
    def set_to(uid: str, mark: str | None) -> Any:
        answer = own_client.put(f"/api/classes/0/marks/{uid}", json={"mark": mark})
        assert answer.status_code == 200, answer.text
        return answer.json()

    rows = told(own_client, "classes/0/pool", sample="T2T5")["rows"]
    first, last = rows[0]["uid"], [row["uid"] for row in rows if row["reason"] == "beyond_n"][-1]
    assert set_to(first, "rejected") == {"mark": "rejected", "confirmed": 0, "rejected": 1}
    assert set_to(last, "confirmed") == {"mark": "confirmed", "confirmed": 1, "rejected": 1}
    assert Marks.load(own_site.workspace).of(0) == {int(first): Mark.REJECTED, int(last): Mark.CONFIRMED}
    pool = told(own_client, "classes/0/pool", sample="T2T5")
    assert pool["stale"] is True
    assert {row["uid"]: row["mark"] for row in pool["rows"] if row["mark"]} == {
        first: "rejected",
        last: "confirmed",
    }
    spec = own_site.workspace.settings().sample[0]
    draw(own_site.workspace, spec)
    pool = told(own_client, "classes/0/pool", sample="T2T5")
    assert pool["stale"] is False
    assert pool["rows"][0]["uid"] == last
    assert [row["reason"] for row in pool["rows"] if row["uid"] == first] == ["rejected"]
    assert set_to(first, None)["rejected"] == 0
    unknown = own_client.put("/api/classes/0/marks/5", json={"mark": "rejected"})
    assert (unknown.status_code, unknown.json()) == (404, {"error": "class 0 has no row with the uid 5"})


def test_several_marks_are_stored_at_once_or_none(own_client: TestClient, own_site: Any) -> None:
    uids = [row["uid"] for row in told(own_client, "classes/1/pool", sample="T2I5")["rows"][:3]]

    def put(marks: dict[str, str | None]) -> Any:
        return own_client.put("/api/classes/1/marks", json={"marks": marks, "sample": "T2I5"})

    answer = put({uids[0]: "rejected", uids[1]: "confirmed"})
    assert answer.json() == {"confirmed": 1, "rejected": 1, "stale": True}
    assert put({uids[2]: "rejected", "5": "rejected"}).status_code == 404
    assert Marks.load(own_site.workspace).of(1) == {
        int(uids[0]): Mark.REJECTED,
        int(uids[1]): Mark.CONFIRMED,
    }
    assert put({uids[0]: None, uids[1]: None}).json() == {"confirmed": 0, "rejected": 0, "stale": False}


def test_images_are_counted_as_pictures(own_client: TestClient, own_site: Any) -> None:
    path = own_site.workspace.images_path
    table = pq.read_table(path)
    [first, second, *_] = [row for row in table.to_pylist() if row["path"]]
    before = told(own_client, "classes/0")["images"]
    rows = [{**row, "path": first["path"], "sha256": first["sha256"]} if row == second else row
            for row in table.to_pylist()]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
    page = told(own_client, "classes/0")
    assert page["images"] == page["synonyms"][0]["images"] == before - 1


def test_a_workspace_that_matched_nothing(own_client: TestClient, own_site: Any) -> None:
    path = own_site.workspace.matches_path
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    lines = told(own_client, "classes")["classes"]
    assert [(line["pool"], line["images"]) for line in lines] == [(0, 0)] * 3
    assert told(own_client, "classes/0/pool")["total"] == 0
    assert told(own_client, "classes/0/preview", sample="T2I5", rank="T2I", n=5)["kept"] == []


def shown_command(text: str) -> list[str]:
    """The arguments of a shown command, for `python -m`."""
    words = shlex.split(text)
    assert words[0] == "captrawl"
    return [sys.executable, "-m", *words]


@pytest.mark.parametrize(
    ("class_id", "parameters"),
    [
        (0, {"rank": "T2I", "n": 500}),
        (0, {"rank": "T2T", "keep": ["T2I>=0.28"], "n": 12}),
        (1, {"rank": "T2I", "keep": ["T2I>=0.2", "T2T>=0.5"], "n": 500}),
        (1, {"rank": "random", "n": 7}),
        (1, {"rank": "T2I+T2T+T2I.margin+T2T.margin", "keep": ["clean-text>=q30"], "n": 500}),
        (2, {"rank": "T2T", "n": 500}),
    ],
)
def test_a_preview_is_what_its_command_keeps(
    own_client: TestClient, own_site: Any, class_id: int, parameters: dict[str, Any]
) -> None:
    settings = own_site.workspace.settings_path
    settings.write_text(
        settings.read_text().replace('method = "T2I-rank"\nn = 5', 'method = "T2I-rank"\nn = 5\ndedup = 0.97')
    )
    rows = told(own_client, "classes/0/pool", sample="T2I5")["rows"]
    set_marks(
        own_site.workspace, 0, {int(rows[0]["uid"]): Mark.REJECTED, int(rows[9]["uid"]): Mark.CONFIRMED}
    )
    preview = told(own_client, f"classes/{class_id}/preview", sample="T2I5", **parameters)
    ran = subprocess.run([*shown_command(preview["command"]), "--json"], check=True, capture_output=True)
    name = json.loads(ran.stdout)["name"]
    kept = [
        str(row["uid"])
        for row in read_sample(paths_of(own_site.workspace, name)).to_pylist()
        if row["class_id"] == class_id and row["kept"]
    ]
    assert preview["kept"] == kept
    assert "--dedup 0.97" in preview["command"]
    if class_id == 2:
        assert (preview["kept"], preview["images"]) == ([], 0)
    else:
        assert 0 < len(kept) < preview["images"]
    again = told(own_client, f"classes/{class_id}/preview", sample="T2I5", **parameters)
    assert again == preview


def test_the_rows_in_doubt_are_distinct_and_follow_every_mark(own_client: TestClient, own_site: Any) -> None:
    def doubtful() -> list[str]:
        return told(own_client, "classes/0/doubtful", sample="T2I5", limit=10)["uids"]

    rows = {row["uid"]: row for row in told(own_client, "classes/0/pool", sample="T2I5")["rows"]}
    first = doubtful()  # no shots: by T2I.margin
    assert first
    assert len({rows[uid]["sha256"] for uid in first}) == len(first)
    set_marks(own_site.workspace, 0, {int(first[0]): Mark.REJECTED})
    assert first[0] not in doubtful()
    other = next(r["uid"] for r in told(own_client, "classes/1/pool", sample="T2I5")["rows"] if r["sha256"])
    preview = {"sample": "T2I5", "rank": "probe", "n": 7}
    set_marks(own_site.workspace, 0, {int(first[0]): Mark.CONFIRMED})
    before = told(own_client, "classes/0/preview", **preview)["kept"]
    set_marks(own_site.workspace, 1, {int(other): Mark.CONFIRMED})
    after = told(own_client, "classes/0/preview", **preview)
    name = json.loads(
        subprocess.run([*shown_command(after["command"]), "--json"], check=True, capture_output=True).stdout
    )["name"]
    table = read_sample(paths_of(own_site.workspace, name), kept=True, class_id=0).to_pylist()
    assert after["kept"] == [str(row["uid"]) for row in table]
    assert after["kept"] != before
    assert own_client.get("/api/classes/0/doubtful", params={"sample": "none"}).status_code == 404


def test_a_preview_follows_the_marks(own_client: TestClient, own_site: Any) -> None:
    def kept() -> list[str]:
        return told(own_client, "classes/1/preview", sample="T2I5", rank="T2I", n=3)["kept"]

    before = kept()
    set_marks(own_site.workspace, 1, {int(before[0]): Mark.REJECTED})
    assert kept()[:2] == before[1:]


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"sample": "nothing"}, "no sample 'nothing'"),
        ({"sample": "T2I5", "rank": "odd"}, "no score 'odd'"),
        ({"sample": "T2I5", "keep": ["T2I=1"]}, "isn't a condition"),
        ({"sample": "T2I5", "n": 0}, "n: "),
    ],
)
def test_a_preview_that_cannot_be(client: TestClient, parameters: dict[str, Any], text: str) -> None:
    answer = client.get("/api/classes/0/preview", params=parameters)
    assert answer.status_code in (404, 422)
    assert text in answer.json()["error"]


def obeying_permissions() -> None:
    """Let even root be refused what the permissions refuse (prctl: drop CAP_DAC_OVERRIDE)."""
    ctypes.CDLL(None).prctl(24, 1)


@pytest.fixture
def read_only_site(site: Any, tmp_path: Path) -> Iterator[Any]:
    """A copy whose folders and files, the index's too, nobody may write."""
    for name in ("birds", "captions"):
        shutil.copytree(site.folder / name, tmp_path / name)
    paths = [tmp_path, *tmp_path.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield type(site)(tmp_path)
    for path in paths:
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_read_only_workspace_is_served(serve: Any, read_only_site: Any) -> None:
    root = read_only_site.workspace.root
    server = serve("-C", root, "--index", read_only_site.index, before_exec=obeying_permissions)
    with httpx.Client(base_url=server.url, timeout=60) as asker:
        token = asker.get("api/session").json()["token"]
        assert asker.get("api/query?phrase=tabby+cat").json()["total"] == 45
        assert asker.get("api/count?phrase=tabby+cat").json()["total"] == 45
        assert len(asker.get("api/classes").json()["classes"]) == 3
        pool = asker.get("api/classes/1/pool?sample=T2I5").json()["rows"]
        assert len(asker.get("api/classes/1/preview?sample=T2I5&rank=T2I&n=4").json()["kept"]) == 4
        assert len(asker.get("api/similar?text=a+cat&k=5").json()["rows"]) == 5
        assert asker.get(f"api/images/{pool[0]['sha256']}").status_code == 200
        answer = asker.put(
            f"api/classes/1/marks/{pool[0]['uid']}",
            json={"mark": "rejected"},
            headers={"x-captrawl-token": token},
        )
    assert answer.status_code == 409
    assert "the mark isn't saved" in answer.json()["error"]
    assert "Permission denied" in answer.json()["error"]
    assert not (root / "marks.json").exists()
    status = subprocess.run(
        [sys.executable, "-m", "captrawl", "-C", str(root), "status"],
        capture_output=True, text=True, check=True, preexec_fn=obeying_permissions,
    )  # fmt: skip
    assert "sample" in status.stdout


def test_without_a_workspace_only_captions_are_served(captions: Any, site: Any) -> None:
    client = client_of(captions, site, workspace=None)
    assert told(client, "query", phrase="tabby cat")["total"] == 45
    assert told(client, "session")["workspace"] is None
    for path in ("classes", "classes/0", "similar?text=a", f"images/{'0' * 64}"):
        answer = client.get(f"/api/{path}")
        assert answer.status_code in (404, 409), path
        assert list(answer.json()) == ["error"]


def test_a_question_that_takes_too_long_is_given_up(captions: Any, site: Any) -> None:
    from captrawl.web.app import Serving

    client = client_of(captions, site)
    slow = create_app(captions, "x", serving=Serving(limits=Limits(query_seconds=0)))
    answer = TestClient(slow, base_url="http://localhost").get("/api/count?phrase=cat")
    assert answer.status_code == 503
    assert "0 seconds" in answer.json()["error"]
    assert client.get("/api/count?phrase=cat").status_code == 200


def test_an_index_is_served_without_heavy_imports(site: Any) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "captrawl", "serve", "--index", str(site.index)]
    with subprocess.Popen(
        [*command, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        started = server.stdout.readline()
        page = httpx.get(re.search(r"http://\S+/", started)[0] + "api/query?phrase=tabby+cat", timeout=60)
        server.terminate()
        _, told = server.communicate(timeout=60)
    assert page.json()["total"] == 45
    imported = {line.rpartition("|")[2].strip() for line in told.splitlines()}
    assert "captrawl.web.app" in imported
    heavy = {"pandas.core", "torch", "faiss", "img2dataset", "elasticsearch", "PIL", "sklearn", "open_clip"}
    assert imported & heavy == set()


def test_the_page_itself(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert '<script type="module" src="/static/app.js"></script>' in page.text
    again = client.get(
        "/static/app.js", headers={"if-none-match": client.get("/static/app.js").headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


def test_the_counts_of_300_class_names_are_those_of_count(data_folder: Path, tmp_path: Path) -> None:
    """Every alternate of the first 300 classes of ImageNet, asked one class after the other."""
    from captrawl.indexer.captions import index_captions
    from captrawl.indexer.corpora.files import find_files

    files = find_files([data_folder / "data" / "captions"])
    index_captions(tmp_path / "index", files, part=None, replace=False, workers=2)
    classes = load_classes(data_folder / "data" / "swat" / "imagenet_metrics-LAION400M.json")[:300]
    with open_captions(tmp_path / "index") as captions:
        expected = class_counts(captions, classes, Scope())
        client = TestClient(create_app(captions, "real"), base_url="http://localhost")
        for entry, count in zip(classes, expected, strict=True):
            page = told(client, "query", phrase=list(entry.match_phrases()))
            assert (page["total"], page["synonyms"]) == (count.total, dict(count.synonyms)), entry.name
            assert len(page["rows"]) == min(20, count.total)
            assert all(row["marks"] for row in page["rows"])
    assert sum(count.total > 0 for count in expected) > 200
    assert sum(count.total for count in expected) > 7_000


def test_a_sample_is_shown_as_it_was_drawn(own_client: TestClient, own_site: Any) -> None:
    """Not by today's settings: a sample that auto drew, or that was edited since, showed another order."""
    settings = own_site.workspace.settings_path
    settings.write_text(
        settings.read_text().replace('method = "T2I-rank"\nn = 5', 'method = "Random"\nn = 5')
    )
    assert told(own_client, "classes/1/pool", sample="T2I5")["rank"] == "T2I"
