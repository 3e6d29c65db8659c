"""The drawn web: the same files for the same settings, and a server that answers by the plan."""

from __future__ import annotations

import hashlib
import http.client
import io
import socket
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.errors import WorkspaceError
from captrawl.demo.drawings.catalogue import draw, placeholder
from captrawl.demo.plan import MISSING, REASONS, UNRELATED, Kind, plan
from captrawl.demo.server import DRIP, serving
from captrawl.demo.web import SIDE, UNSEEN, Web, WebSettings, make_web
from PIL import Image


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_settings_make_the_same_files(small_web: Web, tmp_path: Path) -> None:
    make_web(tmp_path / "again", small_web.settings)
    assert digests(tmp_path / "again") == digests(small_web.folder)


def test_an_interrupted_drawing_goes_on(small_web: Web, tmp_path: Path) -> None:
    web = make_web(tmp_path / "web", small_web.settings)
    kept = web.picture(5).stat().st_mtime_ns
    (web.folder / "truth.parquet").unlink()
    web.picture(7).unlink()
    make_web(web.folder, small_web.settings)
    assert digests(web.folder) == digests(small_web.folder)
    assert web.picture(5).stat().st_mtime_ns == kept


def test_another_seed_makes_another_web() -> None:
    assert plan(1, 8, 700) != plan(2, 8, 700)


def test_a_folder_with_another_web_is_refused(small_web: Web) -> None:
    with pytest.raises(WorkspaceError, match="seed 3, not 4"):
        make_web(small_web.folder, replace(small_web.settings, seed=4))


def test_the_corpus_has_laion400m_columns(small_web: Web) -> None:
    paths = sorted(small_web.corpus.glob("*.parquet"))
    table = pa.concat_tables([pq.read_table(path) for path in paths])
    assert [path.name for path in paths] == ["part-00000.parquet", "part-00001.parquet"]
    assert dict(zip(table.schema.names, map(str, table.schema.types), strict=True)) == {
        "SAMPLE_ID": "int64",
        "URL": "string",
        "TEXT": "string",
        "HEIGHT": "int32",
        "WIDTH": "int32",
        "LICENSE": "string",
        "NSFW": "string",
        "similarity": "double",
    }
    assert table["TEXT"].to_pylist() == [row.caption for row in small_web.rows]
    assert table["SAMPLE_ID"].to_pylist() == list(range(700))


def test_pictures_are_what_the_truth_says(small_web: Web) -> None:
    truth = pq.read_table(small_web.folder / "truth.parquet").to_pylist()
    shown = {row["picture"]: row["drawing"] for row in truth if row["drawing"] != UNRELATED}
    assert len([d for d in shown.values() if d == MISSING]) == 3
    for number, drawing in sorted(shown.items())[:20]:
        held = np.asarray(Image.open(small_web.picture(number)), dtype=np.int16)
        meant = (
            placeholder(number, SIDE)
            if drawing == MISSING
            else draw(drawing, UNSEEN + 3_000_000 + number, SIDE)
        )
        assert np.abs(held - np.asarray(meant, dtype=np.int16)).mean() < 6  # JPEG's own error


def ask(web: Web, path: str, size: int | None = None) -> tuple[int, dict[str, str], bytes]:
    """One request, no redirect followed; a body that ends early gives what came. ``size``: read no more."""
    connection = http.client.HTTPConnection("127.0.0.1", web.settings.port, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        try:
            body = response.read(size)
        except http.client.IncompleteRead as error:
            body = error.partial
        return response.status, dict(response.getheaders()), body
    finally:
        connection.close()


@pytest.fixture(scope="module")
def every_kind(small_web: Web) -> Web:
    """The small web and a link of every kind, all behind one picture."""
    shown = next(row for row in small_web.rows if row.picture >= 3)
    rows = [replace(shown, path=f"/kinds/{kind}.jpg", kind=kind) for kind in Kind]
    return replace(small_web, rows=(*rows, *small_web.rows))


STATUSES = {
    Kind.GONE: 404,
    Kind.REMOVED: 410,
    Kind.FORBIDDEN: 403,
    Kind.ERROR: 500,
    Kind.MOVED: 302,
    Kind.LOOP: 301,
    Kind.FLAKY: 503,
}


def test_every_kind_of_link_answers_as_planned(every_kind: Web) -> None:
    assert REASONS.keys() == set(Kind)
    whole = every_kind.picture(every_kind.rows[0].picture).read_bytes()
    with serving(every_kind) as server:
        answers = {kind: ask(every_kind, f"/kinds/{kind}.jpg") for kind in Kind if kind is not Kind.SLOW}
        assert {kind: answer[0] for kind, answer in answers.items() if answer[0] != 200} == STATUSES
        assert answers[Kind.PICTURE][2] == whole
        assert answers[Kind.REFUSED][1]["X-Robots-Tag"] == "noai, noimageai"
        assert answers[Kind.HTML][2].startswith(b"<!doctype html>")
        assert answers[Kind.BROKEN][2] == whole[: len(whole) // 2]
        assert len(answers[Kind.CUT][2]) < len(whole)
        assert Image.open(io.BytesIO(answers[Kind.SMALL][2])).size == (48, 48)
        started = time.monotonic()
        assert ask(every_kind, "/kinds/slow.jpg", 3)[2] == whole[:3]
        assert time.monotonic() - started > DRIP  # nothing that waits for the whole would ever get it
        assert ask(every_kind, "/kinds/flaky.jpg")[2] == whole
        first = answers[Kind.MOVED][1]["Location"]
        second = ask(every_kind, first)[1]["Location"]
        assert ask(every_kind, second)[2] == whole
        there = answers[Kind.LOOP][1]["Location"]
        assert ask(every_kind, there)[1]["Location"] == "/kinds/loop.jpg"
        assert ask(every_kind, "/nobody/planned/this.jpg")[0] == 404
        assert server.asked["/kinds/flaky.jpg"] == 2


def test_served_bytes_are_the_files(small_web: Web) -> None:
    rows = [row for row in small_web.rows if row.kind is Kind.PICTURE and row.path][:30]
    with serving(small_web):
        for row in rows:
            assert ask(small_web, row.path)[2] == small_web.picture(row.picture).read_bytes()


def test_a_taken_port_is_named(small_web: Web) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", small_web.settings.port))
        taken.listen()
        with pytest.raises(WorkspaceError, match=f"port {small_web.settings.port}"), serving(small_web):
            pass


def test_the_plan_has_what_it_promises() -> None:
    settings = WebSettings()
    rows = plan(settings.seed, settings.rows_per_class, settings.captions)
    assert len(rows) == settings.captions
    drawn = [row for row in rows if row.drawing != UNRELATED]
    assert len(drawn) == 24 * (settings.rows_per_class + 4)
    assert {row.kind for row in drawn} == set(Kind)
    assert sum(row.kind is Kind.SLOW for row in drawn) == 2
    pictures: dict[int, str] = {}
    for row in drawn:
        assert pictures.setdefault(row.picture, row.drawing) == row.drawing
    links: dict[str, tuple[Kind, str]] = {}
    for row in rows:
        if row.path:
            assert links.setdefault(row.path, (row.kind, row.drawing)) == (row.kind, row.drawing)
