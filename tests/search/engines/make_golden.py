"""Writes tests/golden/captions-N or captions-N-format-M: run once for each analyzer (or format), never again.

python tests/search/engines/make_golden.py tests/golden/captions-2
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from captrawl.core.records import ROW_SCHEMA, CorpusFile, Fingerprint
from captrawl.core.row_ids import name_hash, uids_behind
from captrawl.search.captions import open_captions
from captrawl.search.tantivy.build import build_part, staged

CAPTIONS = [
    "A Golden-Retriever dog",
    "golden  RETRIEVERS",
    None,
    "macaroni &amp; cheese recipe",
    "St. Bernard's café",
    "LEGO™ set",
    "satellite photo, annual crop land",
    "don’t miss: golden retriever, 東京タワー",
    "一只金毛犬在 <b>ป่า</b>",
    "ΣΚΥΛΟΣ İstanbul हिन्दी",
]


def rows(file: str) -> list[dict]:
    made = []
    for number, caption in enumerate(CAPTIONS):
        row = dict.fromkeys(ROW_SCHEMA.names)
        row.update(file=file, row=number, caption=caption, url=f"http://{file}/{number}?a=b&c")
        row.update(
            uid=(number + 1) * -987654321, priority=(number * 0x9E3779B97F4A7C15 + len(file)) % 2**64 - 2**63
        )
        if number == 4:  # as corpora have it; the others are made up
            told = (np.array([row["priority"]]), np.array([name_hash(file)]), np.array([number]))
            row["uid"] = uids_behind(*told).item()
        if number % 2:
            row.update(width=100 + number, height=90, similarity=0.3 + number / 100, nsfw="UNLIKELY")
            row.update(punsafe=number / 10, licence="CC BY 4.0", language="en")
        made.append(row)
    return made


def corpus_file(file: str) -> CorpusFile:
    return CorpusFile(file, Path(file), "", Fingerprint(len(CAPTIONS), 1234, f"digest of {file}"))


def batch(file: str, part: slice = slice(None)) -> list[pa.RecordBatch]:
    return [pa.RecordBatch.from_pylist(rows(file)[part], schema=ROW_SCHEMA)]


def main(folder: Path) -> None:
    """Three files in two groups, one of which is cut in two parts; one file is removed."""
    with open_captions(folder / "index", create=True) as index:
        both = [corpus_file("a/1"), corpus_file("a/2")]
        with staged(folder / "index", both) as staging:
            build_part(staging.folder, 0, [(file, batch(file.file)) for file in both])
            staging.commit(parts=1)
        with staged(folder / "index", [corpus_file("b")]) as staging:
            build_part(staging.folder, 0, [(corpus_file("b"), batch("b", slice(0, 5)))])
            build_part(staging.folder, 1, [(corpus_file("b"), batch("b", slice(5, None)))])
            staging.commit(parts=2)
        index.remove("a/2")
    text = json.dumps([*rows("a/1"), *rows("b")], ensure_ascii=False, indent=1)
    (folder / "rows.json").write_text(text + "\n", encoding="utf-8")
    for lock in folder.rglob("*.lock"):
        lock.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
