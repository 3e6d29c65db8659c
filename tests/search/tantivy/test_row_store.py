"""Row stores give back what was written, row by row and all at once, and notice damage."""

from __future__ import annotations

import os
from itertools import count

import numpy as np
import pyarrow as pa
import pytest
from captrawl.core.records import ROW_SCHEMA
from captrawl.search.tantivy import row_store
from captrawl.search.tantivy.row_blocks import COLUMNS, FORMATS
from captrawl.search.tantivy.row_store import RowStore, RowWriter, read_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

texts = st.none() | st.text(max_size=8) | st.just("long " * 9000)  # some need 4 bytes a number
sides = st.none() | st.sampled_from([0, 1, 640, 40_000, 2**31 - 1])
_names = count()
BOTH = pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
MOST_ROWS = max(form.rows for form in FORMATS.values())


@st.composite
def stored(draw):
    """Batches of rows, each as (positions, rows); positions jump, go back, and never repeat."""
    batches = []
    free = draw(st.permutations([0, 1000, 2000, 5000]))
    for first in free[: draw(st.integers(1, 4))]:
        size = draw(st.integers(1, 2 * MOST_ROWS + 5))
        steps = draw(st.lists(st.sampled_from([1, 1, 1, 1, 4]), min_size=size, max_size=size))
        held = draw(st.sets(st.sampled_from(list(COLUMNS))))
        values = {name: texts if kind == pa.string() else sides for name, kind in COLUMNS.items()}
        few = {name: draw(st.lists(values[name], min_size=3, max_size=3)) for name in sorted(held)}
        rows = [{name: few[name][at % 3] for name in sorted(held)} for at in range(size)]
        batches.append((np.cumsum([first, *steps[1:]]), rows))
    return batches


def write(path, batches, form=FORMATS[2]):
    with RowWriter(path, form) as writer:
        for positions, rows in batches:
            full = [dict.fromkeys(ROW_SCHEMA.names) | row for row in rows]
            unused = {"uid": 0, "priority": 0, "file": "", "row": 0}
            writer.add(positions, pa.RecordBatch.from_pylist([row | unused for row in full], ROW_SCHEMA))
    return RowStore(path)


def rows_of(columns, size):
    lists = {name: columns[name].to_pylist() if name in columns else [None] * size for name in COLUMNS}
    return [dict(zip(COLUMNS, values, strict=True)) for values in zip(*lists.values(), strict=True)]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(batches=stored(), data=st.data())
def test_what_was_written_is_read(tmp_path, batches, data):
    store = write(tmp_path / f"{next(_names)}.rows", batches, FORMATS[data.draw(st.sampled_from([*FORMATS]))])
    known = {
        position: {name: row.get(name) for name in COLUMNS}
        for positions, rows in batches
        for position, row in zip(positions.tolist(), rows, strict=True)
    }
    picked = data.draw(st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=80))
    for some in (sorted(known), picked):
        found = read_rows([(store, np.array(some))])
        assert rows_of(found, len(some)) == [known[position] for position in some]
        with pytest.MonkeyPatch.context() as patch:  # as many blocks as are more than one reading's
            patch.setattr(row_store, "_AT_ONCE", 2)
            order = np.array(data.draw(st.permutations(range(2 * len(some)))))
            found = read_rows([(store, np.array(some)), (store, np.array(some))], order)
            assert rows_of(found, len(order)) == [known[[*some, *some][at]] for at in order]


def test_several_stores_are_read_as_one(tmp_path):
    one = write(tmp_path / "one", [(np.arange(3), [{"url": f"a{n}", "width": n} for n in range(3)])])
    other = write(tmp_path / "other", [(np.arange(70), [{"url": None, "nsfw": f"t{n}"} for n in range(70)])])
    none = np.array([], np.int64)
    found = read_rows([(one, np.array([2, 0])), (other, none), (other, np.array([69, 1]))])
    assert [(row["url"], row["width"], row["nsfw"]) for row in rows_of(found, 4)] == [
        ("a2", 2, None), ("a0", 0, None), (None, None, "t69"), (None, None, "t1"),
    ]  # fmt: skip
    assert read_rows([(one, none)]) == {}


def test_stores_of_both_formats_are_read_as_one(tmp_path):
    stores = [
        write(
            tmp_path / f"{number}", [(np.arange(200), [{"url": f"{number} {n}"} for n in range(200)])], form
        )
        for number, form in FORMATS.items()
    ]
    found = read_rows([(store, np.array([199, 3])) for store in stores])
    assert found["url"].to_pylist() == ["1 199", "1 3", "2 199", "2 3"]


@BOTH
def test_a_page_read_again_and_again(tmp_path, form):
    """What stays unpacked from question to question is the right block, however many there are."""
    rows = 60 * form.rows
    store = write(tmp_path / "s", [(np.arange(rows), [{"caption": f"c{n}"} for n in range(rows)])], form)
    generator = np.random.default_rng(3)
    for size in (1, 1, 5, 20, 40, 3, 1, 16):
        some = generator.integers(0, rows, size)
        for _ in range(2):
            assert read_rows([(store, some)])["caption"].to_pylist() == [f"c{n}" for n in some]


def test_an_empty_store_is_whole(tmp_path):
    assert write(tmp_path / "empty", []).firsts.tolist() == []


@BOTH
def test_neighbours_share_a_block(tmp_path, form):
    positions = np.concatenate([np.arange(form.rows + 2), np.arange(500, 503)])
    store = write(tmp_path / "store", [(positions, [{"url": "u"}] * len(positions))], form)
    assert store.firsts.tolist() == [0, form.rows, 500]


def test_an_error_leaves_no_whole_store(tmp_path):
    with pytest.raises(KeyboardInterrupt), RowWriter(tmp_path / "store", FORMATS[2]):
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match="cut off"):
        RowStore(tmp_path / "store")


@BOTH
@pytest.mark.parametrize("at", [0, 40, -60, -24, -1])
def test_damage_is_an_error(tmp_path, at, form):
    path = tmp_path / "store"
    write(
        path,
        [(np.arange(200), [{"url": f"http://example.org/{n * 7919}", "caption": "é"} for n in range(200)])],
        form,
    )
    content = bytearray(path.read_bytes())
    at %= len(content)
    content[at : at + 4] = b"\xff" * len(content[at : at + 4])
    path.write_bytes(content)
    with pytest.raises((ValueError, OSError, IndexError, OverflowError)):
        read_rows([(RowStore(path), np.arange(200))])


def test_a_store_that_is_cut_off_is_an_error(tmp_path):
    path = tmp_path / "store"
    write(path, [(np.arange(200), [{"url": "u"}] * 200)])
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(ValueError, match="damaged at its end"):
        RowStore(path)


def test_the_formats_are_noted_in_their_reader():
    """Golden files have blocks of so many rows: another number is another format."""
    assert {number: (form.magic, form.rows, form.codec) for number, form in FORMATS.items()} == {
        1: (b"captrows", 48, "lz4_raw"),
        2: (b"captrow2", 96, "zstd"),
    }
    assert list(COLUMNS) == ["width", "height", "url", "caption", "nsfw", "licence", "language"]
