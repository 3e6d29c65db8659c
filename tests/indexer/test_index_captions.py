"""Corpus files into an embedded caption index: once, resumably, in parts, side by side."""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.errors import CaptionIndexError, CaptrawlError, CorpusError, IndexBusyError, InputError
from captrawl.core.records import CorpusFile, Fingerprint, LoadJob
from captrawl.indexer.captions import IndexedCounts, files_of_part, index_captions
from captrawl.indexer.corpora.files import find_files, read_batches
from captrawl.indexer.corpora.readers import row_group_rows
from captrawl.search.captions import open_captions
from captrawl.search.query import CaptionQuery, Filters, Safety
from captrawl.search.tantivy.build import build_part, staged
from captrawl.search.tantivy.grouping import PART_ROWS, Piece, PlannedGroup, plan
from captrawl.search.tantivy.load import build_groups

EVERYTHING = CaptionQuery(("caption",), filters=Filters(safety=Safety.OFF))


def write(path: Path, rows: int, *, salt: str = "", group: int = 1 << 20) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    urls = [f"http://a/{path.stem}{salt}/{i}" for i in range(rows)]
    captions = [f"caption {salt} {i} of {path.stem}" for i in range(rows)]
    pq.write_table(pa.table({"url": urls, "caption": captions}), path, row_group_size=group)
    return path


def held(location: Path) -> list[tuple[Any, ...]]:
    """Every row of the index, sorted by file and row."""
    with open_captions(location) as index:
        batches = list(index.scan(EVERYTHING))
        rows = [tuple(row.values()) for batch in batches for row in batch.to_pylist()]
        assert index.rows() == len(rows)
    return sorted(rows, key=lambda row: (row[-2], row[-1]))


def expected(files: Iterable[CorpusFile]) -> list[tuple[Any, ...]]:
    return [
        tuple(row.values()) for file in files for batch in read_batches(file) for row in batch.to_pylist()
    ]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Five Parquet files of 10 to 50 rows."""
    for number in range(1, 6):
        write(tmp_path / "web" / f"part-{number}.parquet", number * 10)
    return tmp_path / "web"


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "IDX"


# Whole runs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_every_row_once_and_a_second_run_adds_nothing(corpus: Path, index: Path, workers: int) -> None:
    files = find_files([corpus])
    assert index_captions(index, files, workers=workers) == IndexedCounts(5, 0, 150, 150)
    assert held(index) == expected(files)
    before = sorted((path, path.stat().st_mtime_ns) for path in (index / "groups").rglob("*"))
    assert index_captions(index, find_files([corpus]), workers=workers) == IndexedCounts(0, 5, 0, 150)
    assert sorted((path, path.stat().st_mtime_ns) for path in (index / "groups").rglob("*")) == before


def test_a_new_file_is_added_alone(corpus: Path, index: Path) -> None:
    index_captions(index, find_files([corpus]))
    write(corpus / "more" / "part-9.parquet", 7)
    assert index_captions(index, find_files([corpus])) == IndexedCounts(1, 5, 7, 157)
    assert held(index) == expected(find_files([corpus]))


def test_every_format_in_one_index(tmp_path: Path, index: Path) -> None:
    write(tmp_path / "web" / "a.parquet", 5)
    (tmp_path / "web" / "b.tsv").write_text("http://b/0\tcaption b0\nhttp://b/1\tcaption b1\n")
    (tmp_path / "web" / "c.tsv.gz").write_bytes(gzip.compress(b"caption c0\thttp://c/0\n"))
    with sqlite3.connect(tmp_path / "laion400m.db") as database:
        for part in range(2):
            database.execute(f"CREATE TABLE part{part} (URL TEXT, TEXT TEXT)")
            database.execute(f"INSERT INTO part{part} VALUES ('http://d/{part}', 'caption d{part}')")
    database.close()
    files = find_files([tmp_path / "web", tmp_path / "laion400m.db"])
    assert index_captions(index, files, workers=2) == IndexedCounts(4, 0, 10, 10)
    assert held(index) == expected(files)
    assert index_captions(index, files) == IndexedCounts(0, 4, 0, 10)


def test_no_files_and_no_rows(tmp_path: Path, index: Path) -> None:
    assert index_captions(index, []) == IndexedCounts(0, 0, 0, 0)
    files = find_files([write(tmp_path / "web" / "empty.parquet", 0)])
    assert index_captions(index, files) == IndexedCounts(1, 0, 0, 0)
    assert index_captions(index, files) == IndexedCounts(0, 1, 0, 0)


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_counts_rows(corpus: Path, index: Path, workers: int) -> None:
    said: list[tuple[str, int, int | None]] = []
    index_captions(
        index, find_files([corpus]), workers=workers, progress=lambda *step: said.append((*step, None)[:3])
    )
    assert said[0] == ("rows", 0, 150)
    assert said[-1] == ("rows", 150, 150)
    assert [done for _, done, _ in said] == sorted(done for _, done, _ in said)


# Parts ------------------------------------------------------------------------------------------


def test_parts_are_shares(corpus: Path, index: Path) -> None:
    files = find_files([corpus])
    shares = [files_of_part(files, (part, 3)) for part in (1, 2, 3)]
    assert sorted(file.file for share in shares for file in share) == [file.file for file in files]
    assert sum(bool(share) for share in shares) > 1
    counts = [index_captions(index, files, part=(part, 3)) for part in (1, 2, 3)]
    assert [count.files_added for count in counts] == [len(share) for share in shares]
    assert held(index) == expected(files)


def test_parts_never_move(corpus: Path) -> None:
    """Machines that were given their parts years apart must agree."""
    names = [f"laion400m/part-{number:05}.parquet" for number in range(16)]
    mark = Fingerprint(1, 1, "")
    files = [CorpusFile(name, Path(name), "laion400m", mark) for name in names]
    assert [[int(f.file[15:20]) for f in files_of_part(files, (part, 4))] for part in (1, 2, 3, 4)] == SHARES


SHARES = [[4, 5, 7, 8, 11], [0, 1, 9, 14], [3, 6, 10, 12, 15], [2, 13]]


@pytest.mark.parametrize("part", [(0, 3), (4, 3), (1, 0), (-1, -1)])
def test_wrong_parts(corpus: Path, index: Path, part: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=f"no part {part[0]}/{part[1]}"):
        index_captions(index, find_files([corpus]), part=part)
    assert not index.exists()


# Replacing --------------------------------------------------------------------------------------


def test_another_version_is_refused_before_anything_is_written(corpus: Path, index: Path) -> None:
    index_captions(index, find_files([corpus]))
    before = held(index)
    write(corpus / "part-3.parquet", 33, salt="new")
    write(corpus / "part-6.parquet", 6)
    message = r"contains another version of web/part-3\.parquet than .*part-3\.parquet; .* --replace"
    with pytest.raises(CaptionIndexError, match=message):
        index_captions(index, find_files([corpus]))
    assert held(index) == before
    assert index_captions(index, find_files([corpus]), replace=True) == IndexedCounts(2, 4, 39, 159)
    assert held(index) == expected(find_files([corpus]))
    assert index_captions(index, find_files([corpus]), replace=True) == IndexedCounts(0, 6, 0, 159)


# Errors and resumption --------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_a_damaged_file_is_named_and_the_rest_can_go_on(tmp_path: Path, index: Path, workers: int) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / "web" / f"{name}.parquet", 60_000)
    files = find_files([tmp_path / "web"])
    path = tmp_path / "web" / "b.parquet"
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[4:9000] = bytes(8996)
    path.write_bytes(damaged)
    with pytest.raises(CorpusError, match=r"b\.parquet"):
        index_captions(index, files, workers=workers)
    with open_captions(index) as opened:
        assert "web/b.parquet" not in opened.files()
    path.write_bytes(whole)
    counts = index_captions(index, files, workers=workers)
    assert (counts.rows, counts.files_added + counts.files_skipped) == (180_000, 3)
    assert [row[-2:] for row in held(index)] == [(f.file, row) for f in files for row in range(60_000)]
    assert list((index / "building").iterdir()) == []


def test_a_file_that_shrinks_while_it_is_read(corpus: Path, index: Path) -> None:
    files = find_files([corpus])
    write(corpus / "part-5.parquet", 49)
    with pytest.raises(CaptrawlError, match=r"part-5\.parquet"):
        index_captions(index, files, workers=1)


def test_two_builders_of_the_same_files(corpus: Path, index: Path) -> None:
    files = find_files([corpus])
    index_captions(index, [])
    (group,) = plan(files, 2, row_group_rows)
    with staged(index, group.files, plan=group.cuts):
        with pytest.raises(IndexBusyError, match=r"another process is indexing web/part-1\.parquet into"):
            index_captions(index, files, workers=2)
        others = find_files([write(corpus.parent / "other" / "x.parquet", 4)])
        assert index_captions(index, others) == IndexedCounts(1, 0, 4, 4)
    assert index_captions(index, files, workers=2) == IndexedCounts(5, 0, 150, 154)


def test_something_else_at_the_location(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("dear")
    with pytest.raises(CaptionIndexError, match="notes"):
        index_captions(tmp_path / "notes", find_files([corpus]))
    assert [path.name for path in (tmp_path / "notes").iterdir()] == ["diary.txt"]


# Plans ------------------------------------------------------------------------------------------


def made_up(name: str, rows: int, size: int = 0) -> CorpusFile:
    return CorpusFile(name, Path(name), "laion400m", Fingerprint(rows, size, ""))


def shape(groups: list[PlannedGroup]) -> list[list[str]]:
    return [[file.file for file in group.files] for group in groups]


def test_small_files_go_together() -> None:
    files = [made_up(f"{number:03}", 10_000) for number in range(250)]
    groups = plan(files, 2, row_group_rows)
    assert [len(group.files) for group in groups] == [100, 100, 50]
    assert [file for group in groups for file in group.files] == files
    assert all(len(group.parts) == 1 for group in groups)


def test_middling_files_stand_alone() -> None:
    files = [made_up("a", 10), made_up("b", 400_000), made_up("c", 10), made_up("d", 1_500_000)]
    assert shape(plan(files, 1, row_group_rows)) == [["b"], ["d"], ["a", "c"]]


def test_few_rows_are_split_among_workers() -> None:
    files = [made_up(f"{number:02}", 10_000) for number in range(40)]
    assert [len(group.files) for group in plan(files, 4, row_group_rows)] == [10, 10, 10, 10]
    assert [len(group.files) for group in plan(files, 40, row_group_rows)] == [5] * 8


def test_texts_are_judged_by_their_size() -> None:
    files = [made_up("a.tsv", -1, 100_000_000), made_up("b.tsv", -1, 1000), made_up("c.tsv", -1, 1000)]
    assert shape(plan(files, 1, row_group_rows)) == [["a.tsv"], ["b.tsv", "c.tsv"]]


def test_a_huge_file_is_cut_by_row_groups(tmp_path: Path) -> None:
    rows = 2_600_000
    table = pa.table({"url": pa.nulls(rows, pa.string()), "caption": pa.nulls(rows, pa.string())})
    pq.write_table(table, tmp_path / "huge.parquet", row_group_size=250_000)
    pq.write_table(table, tmp_path / "solid.parquet", row_group_size=rows)
    huge, solid = find_files([tmp_path / "huge.parquet", tmp_path / "solid.parquet"])
    cut, whole = plan([huge, solid], 1, row_group_rows)
    assert [[piece.row_groups for piece in part] for part in cut.parts] == [
        [range(4)],
        [range(4, 7)],
        [range(7, 11)],
    ]
    assert [[piece.row_groups for piece in part] for part in whole.parts] == [[None]]
    assert PART_ROWS == 1_000_000


def job_of(file: CorpusFile, workers: int, on_rows: Any) -> LoadJob:
    return LoadJob([file], frozenset({file.file}), read_batches, row_group_rows, workers, False, on_rows)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_cut_file_is_whole_in_the_index(tmp_path: Path, index: Path, workers: int) -> None:
    (file,) = find_files([write(tmp_path / "web" / "huge.parquet", 100, group=9)])
    index_captions(index, [])
    cuts = tuple((Piece(file, range(start, start + 4)),) for start in (0, 4, 8))
    reported_rows: list[int] = []
    rows = build_groups(index, [PlannedGroup((file,), cuts)], job_of(file, workers, reported_rows.append))
    assert (rows, sum(reported_rows)) == (100, 100)
    assert held(index) == expected([file])
    assert index_captions(index, [file]) == IndexedCounts(0, 1, 0, 100)


def test_a_finished_part_of_a_killed_build_is_found_again(tmp_path: Path, index: Path) -> None:
    (file,) = find_files([write(tmp_path / "web" / "huge.parquet", 100, group=10)])
    index_captions(index, [])
    group = PlannedGroup((file,), ((Piece(file, range(5)),), (Piece(file, range(5, 10)),)))
    with staged(index, group.files, plan=group.cuts) as staging:
        build_part(staging.folder, 0, [(file, read_batches(file, row_groups=range(5)))])
    (part,) = (index / "building").glob("*/part-00000/part.json")
    made = part.stat().st_mtime_ns
    reported_rows: list[int] = []
    assert build_groups(index, [group], job_of(file, 1, reported_rows.append)) == 100
    (part,) = (index / "groups").glob("*/part-00000/part.json")
    assert (part.stat().st_mtime_ns, sum(reported_rows)) == (made, 100)
    assert held(index) == expected([file])


def test_what_kills_left_inside_groups_is_deleted(corpus: Path, index: Path) -> None:
    files = find_files([corpus])
    index_captions(index, [])
    (group,) = plan(files, 1, row_group_rows)
    with staged(index, group.files, plan=group.cuts) as staging:
        (staging.folder / ".part-00000-dead").mkdir()  # of a killed worker
        (staging.folder / ".part-00000-dead" / "values.rows").write_bytes(b"x" * 1000)
        (staging.folder / ".manifest.json.1.tmp").touch()
        build_part(staging.folder, 0, [(file, read_batches(file)) for file in files])
        staging.commit(parts=1)
    assert list((index / "groups").rglob(".part-*")) == []
    (folder,) = (index / "groups").iterdir()
    (folder / ".part-00000-older").mkdir()  # as captrawl left it before
    (index / "groups" / ".x.removed.json.1.tmp").touch()
    assert index_captions(index, files) == IndexedCounts(0, 5, 0, 150)
    assert list(folder.iterdir()) != []
    assert [*(index / "groups").rglob(".part-*"), *(index / "groups").rglob("*.tmp")] == []
    assert held(index) == expected(files)


def test_what_killed_builds_left_is_deleted_at_the_end(corpus: Path, index: Path) -> None:
    index_captions(index, [])
    (index / "building" / "0123456789abcdef0123" / ".part-00000-dead").mkdir(parents=True)
    (index / "building" / "0123456789abcdef0123.lock").touch()
    index_captions(index, find_files([corpus]))
    assert list((index / "building").iterdir()) == []


def test_an_index_whose_making_was_killed_is_made(corpus: Path, index: Path) -> None:
    (index / "groups").mkdir(parents=True)
    (index / ".captions.json.123.tmp").touch()
    assert index_captions(index, find_files([corpus])) == IndexedCounts(5, 0, 150, 150)
