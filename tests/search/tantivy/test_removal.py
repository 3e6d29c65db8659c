"""Rows taken out of a folder leave nothing of themselves on the disk, whatever kills it on the way."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from captrawl.core.records import ROW_SCHEMA, CorpusFile, Fingerprint
from captrawl.search.query import CaptionQuery
from captrawl.search.tantivy import removal
from captrawl.search.tantivy.build import build_part, staged
from captrawl.search.tantivy.index import TantivyCaptions
from captrawl.search.tantivy.row_store import RowStore

DOG = CaptionQuery(("dog",))


def rows_of(file: str, captions: list[str]) -> pa.RecordBatch:
    rows = [
        {
            "uid": 10**17 + n,
            "url": f"http://{file}/{n}",
            "caption": text,
            "priority": n,
            "file": file,
            "row": n,
        }
        for n, text in enumerate(captions)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=ROW_SCHEMA)


def texts(root: Path) -> bytes:
    """Every stored text, unpacked."""
    import numpy as np

    stores = [RowStore(path) for path in root.rglob("values.rows")]
    return b"".join(b"".join(store.blocks(np.arange(len(store.firsts)))) for store in stores)


def filled(root: Path) -> TantivyCaptions:
    captions = {"a": ["dog", "secret dog", "dog"], "b": ["hidden dog", "dog"]}
    files = [CorpusFile(file, Path(file), "", Fingerprint(len(of), 1, "x")) for file, of in captions.items()]
    index = TantivyCaptions.open(root, create=True)
    with staged(root, files) as staging:
        build_part(staging.folder, 0, [(f, [rows_of(f.file, captions[f.file])]) for f in files])
        staging.commit(parts=1)
    return index


def test_nothing_of_a_row_is_left_on_the_disk(tmp_path: Path) -> None:
    with filled(tmp_path / "i") as index:
        index.remove("b")
        assert b"secret" in texts(tmp_path / "i")
        assert index.remove_rows({"a": [1]}) == 1
        assert b"secret" not in texts(tmp_path / "i")
        assert b"hidden" not in texts(tmp_path / "i"), "of a file of the group that went before"
        assert (index.rows(), index.count([DOG])) == (2, [2])
        assert [path.name for path in (tmp_path / "i" / "building").iterdir()] == []


@pytest.mark.parametrize("step", ["build_part", "commit_group"])
def test_killed_before_its_commit_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with filled(tmp_path / "i") as index:
        with monkeypatch.context() as patch:
            patch.setattr(removal, step, killed)
            with pytest.raises(KeyboardInterrupt):
                index.remove_rows({"a": [1]})
        assert index.count([DOG]) == [5]
        assert index.remove_rows({"a": [1]}) == 1
        assert index.count([DOG]) == [4]
        assert b"secret" not in texts(tmp_path / "i")
