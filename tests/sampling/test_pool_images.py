"""A row's image is the one that its URL has in the ledger, whatever the ledger's size and its hashes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from captrawl.sampling import pool_images
from captrawl.sampling.pool_images import VALUES, LedgerImages


def ledger(rows: int) -> pa.Table:
    numbers = np.arange(rows)
    texts = {
        "url": [f"http://h/{n * 7919 % 100_003}" for n in numbers],
        "state": ["packed" if n % 3 else "failed" for n in numbers],
        "reason": [None if n % 3 else f"reason {n % 5}" for n in numbers],
        "path": [f"images/{n}.jpg" if n % 3 else None for n in numbers],
        "sha256": [f"{n:064x}" if n % 3 else None for n in numbers],
    }
    return pa.table({name: pa.array(column, pa.string()) for name, column in texts.items()})


@pytest.mark.parametrize("rows", [0, 1, 5000])
@pytest.mark.parametrize("hashes", [2**63 - 1, 50])
def test_images_are_joined_by_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, hashes: int
) -> None:
    whole = pool_images._hashes_of
    monkeypatch.setattr(pool_images, "_hashes_of", lambda urls: whole(urls) % hashes)  # URLs share hashes
    monkeypatch.setattr(pool_images, "_BATCH_ROWS", 700)
    monkeypatch.setattr(pool_images, "_MOST_TAKEN", 1000)
    images = ledger(rows)
    pq.write_table(images, tmp_path / "images.parquet", row_group_size=1500)
    joined = LedgerImages(tmp_path / "images.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["images.parquet"]
    generator = np.random.default_rng(1)
    for size in (0, 1, 400, 900):
        urls = [f"http://h/{n}" for n in generator.integers(0, 100_003, size)]
        urls += [*images["url"].to_pylist()[: size // 2], None, "", "http://h/1"]
        column = pa.chunked_array([urls[:3], urls[3:]], pa.string())
        expected = images.take(pc.index_in(column, value_set=images["url"])).select(VALUES)
        assert joined.of(column).select(VALUES).to_pylist() == expected.to_pylist()


def test_of_some_urls_only_their_images_are_spilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One class's pool is asked for while a slider moves: it must not write the whole ledger anew."""
    monkeypatch.setattr(pool_images, "_BATCH_ROWS", 700)
    images = ledger(5000)
    pq.write_table(images, tmp_path / "images.parquet", row_group_size=1500)
    urls = [*images["url"].to_pylist()[1000:1200:2], None, "http://h/none"]
    column = pa.chunked_array([urls[:3], urls[3:]], pa.string())
    some = LedgerImages(tmp_path / "images.parquet", column.combine_chunks())
    assert some.of(column).to_pylist() == LedgerImages(tmp_path / "images.parquet").of(column).to_pylist()
    assert len(some._rows) == 100
    assert (
        LedgerImages(tmp_path / "images.parquet", pa.array([], pa.string())).of(column)["path"].null_count
        == 102
    )
