"""The report counts matched rows by language, where the corpus says any."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.classes.model import ClassEntry, named
from captrawl.core.records import MATCH_SCHEMA
from captrawl.sampling.report.counts import count
from captrawl.sampling.report.stage import report
from captrawl.workspace.settings import parse_settings
from captrawl.workspace.workspace import Workspace

SETTINGS = {"task": {"name": "x", "classes": "classes.json"}, "captions": {"index": "none"}}
CLASSES: tuple[ClassEntry, ...] = (named(0, "dog", ["Hund"]), named(1, "cat"))


@pytest.mark.parametrize(
    ("tags", "languages", "shown"),
    [
        (
            ["de", "DE", "en", None, "de"],
            (("de", 3), ("", 1), ("en", 1)),
            "Matched rows by language: de 3, none given 1, en 1.",
        ),
        ([None] * 5, (("", 5),), ""),
    ],
)
def test_matches_are_counted_by_language(
    tags: list[str | None], languages: tuple[tuple[str, int], ...], shown: str, tmp_path: Path
) -> None:
    workspace = Workspace.create(tmp_path / "w", parse_settings(SETTINGS, "x"), CLASSES)
    empty = {field.name: None for field in MATCH_SCHEMA}
    rows = [
        {**empty, "class_id": at % 2, "synonym": "dog", "uid": at, "priority": at, "file": "a", "row": at,
         "url": f"http://a/{at}", "caption": "Hund", "language": tag}
        for at, tag in enumerate(tags)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, schema=MATCH_SCHEMA), workspace.matches_path)
    assert count(workspace, CLASSES, []).languages == languages
    report(workspace)
    (page,) = workspace.report_folder.glob("*.html")
    text = re.sub(r"<[^>]+>", "", " ".join(page.read_text(encoding="utf-8").split()))
    assert ("Matched rows by language" in text) is bool(shown)
    assert shown in text
