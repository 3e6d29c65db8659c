"""The nine data sets over real captions: init, then match, counted again plainly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from captrawl.classes.files import load_classes
from captrawl.core.text import token_column, tokens
from captrawl.datasets import PRESETS, load_dataset
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.workspace.workspace import Workspace

pytestmark = pytest.mark.data

ROWS = 60_000


@pytest.fixture(scope="module")
def captions(data_folder: Path) -> pa.Table:
    files = sorted((data_folder / "data" / "captions").glob("*.parquet"))
    return pq.read_table(files[0]).slice(0, ROWS)


@pytest.fixture(scope="module")
def index(captions: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nine")
    (folder / "corpus").mkdir()
    pq.write_table(captions, folder / "corpus" / "part.parquet")
    index_captions(folder / "index", find_files([folder / "corpus"]), workers=1)
    return folder / "index"


@pytest.fixture(scope="module")
def padded(captions: pa.Table) -> Any:
    return pc.binary_join_element_wise("", token_column(captions["TEXT"]), "", " ")


@pytest.mark.parametrize("name", [name for name in PRESETS if load_dataset(name).lists.match])
def test_init_and_match(
    name: str, index: Path, padded: Any, data_folder: Path, tmp_path: Path, captrawl: Callable[..., Any]
) -> None:
    swat = data_folder / "data" / "swat"
    captrawl("init", tmp_path / "task", "--dataset", name, "--classes", swat, "--index", index)
    captrawl("-C", tmp_path / "task", "match")
    workspace = Workspace.open(tmp_path / "task")
    settings = workspace.settings()
    matched = (
        pq.read_table(workspace.matches_path, columns=["class_id"])
        .group_by("class_id")
        .aggregate([([], "count_all")])
    )
    found = dict(zip(matched["class_id"].to_pylist(), matched["count_all"].to_pylist(), strict=True))
    classes = load_classes(workspace.classes_path())
    needed = [f" {' '.join(tokens(settings.task.prefix))} "] if settings.task.prefix else []
    for entry in classes[:: max(1, len(classes) // 20)]:
        hit = pa.repeat(pa.scalar(False), len(padded))
        for phrase in entry.match_phrases():
            one = pc.match_substring(padded, f" {' '.join(tokens(phrase))} ")
            for prefix in needed:
                one = pc.and_(one, pc.match_substring(padded, prefix))
            hit = pc.or_(hit, one)
            frequency = next(synonym.frequency for synonym in entry.synonyms if synonym.text == phrase)
            assert frequency == pc.sum(one).as_py(), (entry.name, phrase)
        total = pc.sum(hit).as_py()
        most = total if settings.match.sample == "all" else min(total, settings.match.sample)
        assert found.get(entry.id, 0) == most, entry.name
    assert sum(found.values()) > 0 or name == "eurosat"
