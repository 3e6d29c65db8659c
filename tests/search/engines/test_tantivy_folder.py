"""The embedded index on the disk: commits, kills, builders side by side, damage, and what isn't an index."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest
from captrawl.core.errors import CaptionIndexError, CorpusError, IndexBusyError
from captrawl.core.records import RowId
from captrawl.search.captions import open_captions
from captrawl.search.query import CaptionQuery, Filters
from captrawl.search.tantivy import part as tantivy_part
from captrawl.search.tantivy import scan as tantivy_scan
from captrawl.search.tantivy.build import build_part, staged, sweep_index
from captrawl.search.tantivy.folder import ROWS
from captrawl.search.tantivy.row_blocks import FORMATS

DOG = CaptionQuery(("dog",))


def filled(root, rows, file_of, batches_of, files=("a", "b")):
    """An index with one group of several files."""
    with open_captions(root, create=True):
        pass
    known = [file_of(name, len(rows[name])) for name in files]
    with staged(root, known) as staging:
        build_part(staging.folder, 0, [(f, batches_of(rows[f.file])) for f in known])
        assert staging.commit(parts=1) == sum(len(rows[name]) for name in files)
    return root


@pytest.fixture
def rows(make_rows):
    return {name: make_rows(["dog", f"cat {name}", "dog"], file=name) for name in ("a", "b", "c")}


@pytest.fixture
def index_folder(tmp_path, rows, file_of, batches_of):
    return filled(tmp_path / "index", rows, file_of, batches_of)


def leftovers(root: Path) -> list[str]:
    return sorted(entry.name for entry in (root / "building").iterdir())


def test_a_row_costs_one_byte_of_norms(tmp_path, make_rows, file_of, batches_of):
    """Its caption's, by which relevance is scored; the tags' were a byte that nothing read."""
    rows = {"a": make_rows(["dog", "cat dog"] * 1000, file="a", nsfw="UNLIKELY", language="en")}
    place = filled(tmp_path / "index", rows, file_of, batches_of, files=("a",))
    (norms,) = place.rglob("*.fieldnorm")
    assert 2000 <= norms.stat().st_size < 2500
    with open_captions(place) as index:
        query = CaptionQuery(("dog",), filters=Filters(language="en"))
        assert index.count([query, CaptionQuery(("dog",), filters=Filters(language="de"))]) == [2000, 0]
        assert set(index.relevant(query, 1000)["caption"].to_pylist()) == {"dog"}


def test_a_file_of_a_group_is_removed_alone(index_folder):
    with open_captions(index_folder) as index:
        index.remove("a")
        assert (sorted(index.files()), index.rows(), index.count([DOG])) == (["b"], 3, [2])
        assert set(index.sample(DOG, 9, 4)["file"].to_pylist()) == {"b"}
        assert index.first(DOG, 9, RowId("a", 0))["file"].to_pylist() == ["b", "b"]
        assert [batch["file"].to_pylist() for batch in index.scan(DOG)] == [["b", "b"]]
        index.remove("b")
        assert (index.files(), index.rows(), index.count([DOG])) == ({}, 0, [0])
    assert list((index_folder / "groups").iterdir()) == []
    assert leftovers(index_folder) == []


def test_a_replaced_file_stays_out_when_its_successor_goes(index_folder, make_rows, file_of, batches_of):
    with open_captions(index_folder) as index:
        index.add(file_of("a", 1, "2"), batches_of(make_rows(["dog dog"], file="a")))
        assert (index.rows(), index.count([DOG, CaptionQuery(("cat a",))])) == (4, [3, 0])
        index.add(file_of("a", 1, "3"), batches_of(make_rows(["cow"], file="a")))
        assert (index.rows(), index.count([DOG])) == (4, [2])
        index.remove("a")
        assert (index.rows(), index.count([DOG]), sorted(index.files())) == (3, [2], ["b"])


def test_a_replacement_counts_from_its_rename_on(index_folder, make_rows, file_of, batches_of):
    """As if killed after the rename: that the old rows are out isn't noted beside their group yet."""
    with open_captions(index_folder) as index:
        index.add(file_of("a", 1, "2"), batches_of(make_rows(["dog dog"], file="a")))
    (noted,) = index_folder.glob("groups/*.removed.json")
    noted.unlink()
    with open_captions(index_folder) as index:
        assert (index.rows(), index.count([DOG])) == (4, [3])
        assert index.files()["a"] == file_of("a", 1, "2").fingerprint
        index.remove("a")
        assert (index.rows(), index.count([DOG])) == (3, [2])


def test_cuts_of_a_file_come_in_together(tmp_path, make_rows, file_of, batches_of):
    root = tmp_path / "index"
    every = make_rows([f"dog {n}" for n in range(10)], file="huge")
    huge = file_of("huge", 10)
    with open_captions(root, create=True) as index:
        with staged(root, [huge], plan="cuts of 4") as staging:
            assert build_part(staging.folder, 0, [(huge, batches_of(every[:4]))]) == 4
            assert build_part(staging.folder, 2, [(huge, batches_of(every[8:]))]) == 2
            assert (index.rows(), index.files()) == (0, {})
        with staged(root, [huge], plan="cuts of 4") as staging:
            never = iter(())
            assert build_part(staging.folder, 0, [(huge, never)]) == 4  # found again, not read again
            with pytest.raises(CorpusError, match="gave 6 rows instead of 10"):
                staging.commit(parts=3)
            assert build_part(staging.folder, 1, [(huge, batches_of(every[4:8]))]) == 4
            assert staging.commit(parts=3) == 10
        assert (index.rows(), index.count([DOG])) == (10, [10])
        assert index.first(DOG, 99, None)["row"].to_pylist() == list(range(10))
    assert leftovers(root) == []


def test_another_plan_starts_again(tmp_path, make_rows, file_of, batches_of):
    root = tmp_path / "index"
    every = make_rows(["dog"] * 4, file="huge")
    huge = file_of("huge", 4)
    with open_captions(root, create=True) as index:
        with staged(root, [huge], plan="1") as staging:
            build_part(staging.folder, 0, [(huge, batches_of(every[:1]))])
        with staged(root, [huge], plan="2") as staging:
            build_part(staging.folder, 0, [(huge, batches_of(every))])
            assert staging.commit(parts=1) == 4
        assert index.rows() == 4
    assert len(leftovers(root)) == 2
    sweep_index(root)
    assert leftovers(root) == []


def test_what_is_in_is_not_put_in_twice(index_folder, rows, file_of, batches_of):
    known = [file_of("a", 3), file_of("b", 3)]
    with staged(index_folder, known) as staging:
        build_part(staging.folder, 0, [(f, batches_of(rows[f.file])) for f in known])
        assert staging.commit(parts=1) == 0
    mixed = [file_of("b", 3, "other"), file_of("c", 3)]
    with staged(index_folder, mixed) as staging:
        build_part(staging.folder, 0, [(f, batches_of(rows[f.file])) for f in mixed])
        with pytest.raises(CaptionIndexError, match="contains b already; put the new one in with --replace"):
            staging.commit(parts=1)
        assert staging.commit(parts=1, replace=True) == 6
    with open_captions(index_folder) as index:
        assert (index.rows(), index.count([DOG]), index.files()["b"].digest) == (9, [6], "other")


def test_the_second_builder_of_a_file_is_told(index_folder, rows, file_of, batches_of):
    new = file_of("c", 3)
    with open_captions(index_folder) as index:
        busy = pytest.raises(IndexBusyError, match="another process is indexing c")
        with staged(index_folder, [new]), busy:
            index.add(new, batches_of(rows["c"]))
        assert index.add(new, batches_of(rows["c"])) == 3


BUILDER = """
    import sys, time
    from pathlib import Path
    import pyarrow as pa
    from captrawl.core.records import ROW_SCHEMA, CorpusFile, Fingerprint
    from captrawl.search.captions import open_captions

    def batches():
        for first in range(0, 20000, 1000):
            rows = [dict.fromkeys(ROW_SCHEMA.names) | dict(uid=n, priority=n, file="killed", row=n,
                    caption=f"dog number {n}", url=f"http://u/{n}") for n in range(first, first + 1000)]
            yield pa.RecordBatch.from_pylist(rows, schema=ROW_SCHEMA)

    with open_captions(sys.argv[1]) as index:
        print("adding", flush=True)
        index.add(CorpusFile("killed", Path("killed"), "", Fingerprint(20000, 1, "1")), batches())
        print("added", flush=True)
"""


def test_a_killed_build_is_resumed_without_losing_or_doubling_a_row(index_folder):
    start = [sys.executable, "-c", textwrap.dedent(BUILDER), str(index_folder)]
    for delay in (0.0, 0.1, 0.25, 0.5):
        with subprocess.Popen(start, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "adding\n"
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        with open_captions(index_folder) as index:
            assert index.rows() in (6, 20006)
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL)
    with open_captions(index_folder) as index:
        assert (index.rows(), index.count([DOG])) == (20006, [20004])
    sweep_index(index_folder)
    assert leftovers(index_folder) == []


def test_builders_side_by_side_lose_nothing(index_folder, make_rows, file_of, batches_of):
    def add(name):
        with open_captions(index_folder) as index:
            index.add(file_of(name, 5), batches_of(make_rows(["dog"] * 5, file=name)))

    threads = [threading.Thread(target=add, args=(f"file {n}",)) for n in range(6)]
    with open_captions(index_folder) as reader:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert reader.count([DOG])[0] % 5 == 4
        for thread in threads:
            thread.join()
        assert (reader.rows(), reader.count([DOG])) == (36, [34])


def test_readers_see_the_old_rows_or_the_new(index_folder, make_rows, file_of, batches_of):
    seen = set()
    done = threading.Event()

    def read():
        with open_captions(index_folder) as reader:
            while not done.is_set():
                seen.add(reader.count([CaptionQuery(("horse",))])[0])

    with open_captions(index_folder) as index:
        index.add(file_of("r", 4), batches_of(make_rows(["horse"] * 4, file="r")))
        reader = threading.Thread(target=read)
        reader.start()
        for version in range(6):
            rows = make_rows(["horse"] * (4 + version % 2), file="r")
            index.add(file_of("r", len(rows), str(version)), batches_of(rows))
        done.set()
        reader.join()
    assert seen <= {4, 5}


def test_pools_of_all_sizes_are_scanned_whole(tmp_path, monkeypatch, make_rows, file_of, batches_of):
    """What fits is read with other queries' rows, what doesn't page by page; parts are many or few."""
    monkeypatch.setattr(tantivy_part, "PAGE_ROWS", 2 * FORMATS[2].rows)
    monkeypatch.setattr(tantivy_scan, "WAITING_ROWS", 2 * FORMATS[2].rows)
    monkeypatch.setattr(tantivy_scan, "_FEW", 60)
    monkeypatch.setattr(tantivy_scan, "_LOT", 16)
    captions = [f"dog {'cat' if n % 3 else 'cow'} n{n % 50}" for n in range(400)]
    for files in (1, 5):
        held = {f"f{n}": make_rows(captions, file=f"f{n}") for n in range(files)}
        with open_captions(tmp_path / f"{files}", create=True) as index:
            for name, rows in held.items():
                index.add(file_of(name, len(rows)), batches_of(rows, 64))
            asked = [CaptionQuery((word,)) for word in ("n1", "dog", "n2", "cat", "nothing", "n49")]
            found = [(n, r["file"], r["row"]) for n, b in index.scans(asked) for r in b.to_pylist()]
        wanted = [
            (number, row["file"], row["row"])
            for number, query in enumerate(asked)
            for rows in held.values()
            for row in rows
            if query.synonyms[0] in row["caption"].split()
        ]
        assert [number for number, *_ in found] == [number for number, *_ in wanted]
        assert sorted(found) == sorted(wanted)


# What isn't an index, or is damaged ------------------------------------------------------------------


def test_a_folder_that_is_no_index_is_refused_untouched(tmp_path):
    with pytest.raises(CaptionIndexError, match=r"no caption index at .*nowhere; build one"):
        open_captions(tmp_path / "nowhere")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "dog.jpg").write_bytes(b"x")
    with pytest.raises(CaptionIndexError, match="isn't a caption index"):
        open_captions(tmp_path / "photos")
    with pytest.raises(CaptionIndexError, match="contains other things"):
        open_captions(tmp_path / "photos", create=True)
    with pytest.raises(CaptionIndexError, match=r"dog\.jpg"):
        open_captions(tmp_path / "photos" / "dog.jpg", create=True)
    assert [entry.name for entry in (tmp_path / "photos").iterdir()] == ["dog.jpg"]


def test_a_folder_that_another_process_is_just_making_is_no_other_thing(tmp_path):
    (tmp_path / "index" / "groups").mkdir(parents=True)
    with open_captions(tmp_path / "index", create=True) as index:
        assert index.files() == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"kind": "captrawl captions", "format": 4}, "has format 4, this captrawl reads formats 1 to 3"),
        ({"kind": "captrawl captions", "format": 1, "analyzer": 9}, "has analyzer 9, .* knows 1, 2"),
        ({"captions": []}, "isn't a caption index: its captions.json is something else"),
        ([1], "isn't a caption index: its captions.json is something else"),
        (None, "is damaged"),
    ],
)  # fmt: skip
def test_another_format_is_refused(index_folder, content, message):
    text = '{"kind": ' if content is None else json.dumps(content)
    (index_folder / "captions.json").write_text(text, encoding="utf-8")
    with pytest.raises(CaptionIndexError, match=message):
        open_captions(index_folder, create=True)


def garble(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(b"\xff" * (len(content) // 3) + content[len(content) // 3 :])


def part_of(root: Path) -> Path:
    (part,) = root.glob("groups/*/part-00000")
    return part


DAMAGES = {
    "a part is gone": lambda part: shutil.rmtree(part),
    "tantivy's list is gone": lambda part: (part / "meta.json").unlink(),
    "tantivy's list is cut off": lambda part: (part / "meta.json").write_text(
        '{"segments": [', encoding="utf-8"
    ),
    "postings are gone": lambda part: next(part.glob("*.idx")).unlink(),
    "postings are empty": lambda part: next(part.glob("*.idx")).write_bytes(b""),
    "the values are gone": lambda part: (part / ROWS).unlink(),
    "the values are empty": lambda part: (part / ROWS).write_bytes(b""),
    "the values are cut off": lambda part: os.truncate(part / ROWS, 100),
    "the values are garbled": lambda part: garble(part / ROWS),
    "the part's note is gone": lambda part: (part / "part.json").unlink(),
    "the part's note lacks a key": lambda part: (part / "part.json").write_text("{}", encoding="utf-8"),
    "the manifest is gone": lambda part: (part.parent / "manifest.json").unlink(),
    "the manifest is cut off": lambda part: (part.parent / "manifest.json").write_text("{", encoding="utf-8"),
    "the manifest lacks a key": lambda part: (part.parent / "manifest.json").write_text(
        "{}", encoding="utf-8"
    ),
    "groups is gone": lambda part: shutil.rmtree(part.parent.parent),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_a_clear_error(index_folder, damage):
    DAMAGES[damage](part_of(index_folder))
    with pytest.raises(CaptionIndexError, match=str(index_folder)), open_captions(index_folder) as index:
        index.sample(DOG, 9, 0)


def test_rows_that_are_missing_are_noticed(index_folder):
    manifest = part_of(index_folder).parent / "manifest.json"
    told = json.loads(manifest.read_text(encoding="utf-8"))
    told["files"][0]["counted"] += 1
    manifest.write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(CaptionIndexError, match="is damaged: it contains 6 rows instead of 7"):
        open_captions(index_folder)


READER = """
    import os, sys, time
    import captrawl.search.tantivy.index
    from captrawl.search.captions import open_captions
    from captrawl.search.query import CaptionQuery, Filters

    def ask(place):
        with open_captions(place) as index:
            time.sleep(1)  # tantivy looks for changes
            return index.count([CaptionQuery(("dog",))]), index.sample(CaptionQuery(("dog",)), 1, 0).num_rows

    if os.geteuid() == 0:
        ask(sys.argv[2])  # imports everything while it may
        os.seteuid(65534)
    print(*ask(sys.argv[1]))
"""


def test_an_index_that_can_only_be_read_is_read(index_folder):
    """As a user who may not write into it."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    copy = shutil.copytree(index_folder, place / "index")
    folders = [path for path in [copy, *copy.rglob("*")] if path.is_dir()]
    try:
        for path in copy.rglob("*"):
            if not path.is_dir():
                path.chmod(0o444)
        for path in folders:
            path.chmod(0o555)
        start = [sys.executable, "-c", textwrap.dedent(READER), str(copy), str(index_folder)]
        done = subprocess.run(start, capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr, done.returncode) == ("[4] 1\n", "", 0)
    finally:
        for path in folders:
            path.chmod(0o755)
        shutil.rmtree(place)


def test_files_get_the_modes_of_the_folder(index_folder):
    """Tantivy itself lets only their owner read some."""
    part = part_of(index_folder)
    assert {path.stat().st_mode for path in part.iterdir()} == {(part / "part.json").stat().st_mode}
