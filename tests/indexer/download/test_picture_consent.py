"""A picture that says no in its own bytes is refused before they are kept, wherever it came from."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import tarfile
from pathlib import Path
from typing import Any

import pytest
from captrawl.indexer.download.stage import download
from captrawl.sampling.report.data import facts_of
from captrawl.workspace.workspace import Workspace

GOLDEN = (Path(__file__).parents[2] / "golden" / "do-not-train.jpg").read_bytes()
XMP = b'<x:xmpmeta plus:DataMining="http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-AIMLTRAINING"/>'
OTHERS = ["robots-txt", "content-signal", "content-usage", "tdm-reservation", "x-robots-tag"]


def row(workspace: Workspace, url: str) -> tuple[Any, ...]:
    with sqlite3.connect(workspace.ledger_path) as database:
        return database.execute(
            "SELECT state, reason, consent, sha256 FROM urls WHERE url = ?", (url,)
        ).fetchone()


def opt_outs(workspace: Workspace) -> dict[str, list[str]]:
    return json.loads((workspace.root / "captrawl.lock.json").read_text())["stages"]["download"]["details"][
        "opt-outs"
    ]


@pytest.fixture
def signed(tools: Any) -> dict[str, bytes]:
    """Path → a picture that says no."""
    return {"/c2pa.jpg": GOLDEN, "/xmp.jpg": tools.encoded(tools.picture(1), xmp=XMP)}


def test_the_pictures_own_words_count_and_can_be_turned_off(
    web: Any, make_workspace: Any, tools: Any, signed: dict[str, bytes]
) -> None:
    urls = {path: web.give(path, data) for path, data in signed.items()}
    plain = web.give("/plain.jpg", tools.jpeg())
    workspace = make_workspace([*urls.values(), plain])
    counts = download(workspace)
    assert counts == {
        "packed": 1, "refused": 2, "refused:c2pa_training": 1, "refused:data_mining": 1,
    }  # fmt: skip
    assert row(workspace, urls["/xmp.jpg"])[:3] == (
        "refused", "data_mining", "data-mining: DMI-PROHIBITED-AIMLTRAINING",
    )  # fmt: skip
    evidence = "c2pa-training: cawg.training-mining notAllowed (cawg.ai_training, cawg.data_mining)"
    assert row(workspace, urls["/c2pa.jpg"]) == (
        "refused", "c2pa_training", evidence, hashlib.sha256(GOLDEN).hexdigest(),
    )  # fmt: skip
    kept = [path for path in (workspace.root / "images").rglob("*") if path.suffix in {".jpg", ""}]
    assert not any(path.is_file() and path.read_bytes() in signed.values() for path in kept)
    assert opt_outs(workspace) == {
        "honoured": sorted([*OTHERS, "c2pa-training", "data-mining"]),
        "turned off": [],
    }
    assert dict(facts_of(workspace))["opt-outs"].startswith("honoured: c2pa-training, content-signal")

    workspace = make_workspace([*urls.values(), plain], honour=[*OTHERS, "data-mining"])
    assert download(workspace)["packed"] == 2, "what only that signal refused is asked now"
    assert [web.count(path) for path in ("/c2pa.jpg", "/xmp.jpg", "/plain.jpg")] == [2, 1, 1]
    assert opt_outs(workspace)["turned off"] == ["c2pa-training"]
    assert dict(facts_of(workspace))["opt-outs"].endswith("; turned off: c2pa-training")


def test_a_tar_that_has_it(
    web: Any, make_workspace: Any, tools: Any, signed: dict[str, bytes], tmp_path: Path
) -> None:
    url = web.url("/xmp.jpg")
    with tarfile.open(tmp_path / "00000.tar", "w") as archive:
        content = {"jpg": signed["/xmp.jpg"], "txt": b"a cat", "json": json.dumps({"url": url}).encode()}
        for ending, data in content.items():
            member = tarfile.TarInfo(f"a.{ending}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    workspace = make_workspace([url], archives=[str(tmp_path / "00000.tar")])
    assert download(workspace) == {"refused": 1, "refused:data_mining": 1}
    assert web.hits == []
    state, reason, consent, _ = row(workspace, url)
    assert (state, reason) == ("refused", "data_mining")
    assert consent.startswith("data-mining: DMI-PROHIBITED-AIMLTRAINING; unchecked: from ")
