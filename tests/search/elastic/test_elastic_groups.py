"""Small files go in together: few requests, and each file in or out by itself."""

from __future__ import annotations

import itertools
import multiprocessing
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.core.errors import CorpusError, IndexBusyError
from captrawl.core.records import LoadJob
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.search.elastic import bulk
from captrawl.search.elastic import index as elastic_index
from captrawl.search.elastic import load as elastic_load
from captrawl.search.elastic.index import ElasticCaptions
from captrawl.search.query import CaptionQuery, Filters, Safety

pytestmark = pytest.mark.elastic

ANY = Filters(safety=Safety.OFF)
DOGS, BLUE = (CaptionQuery((phrase,), filters=ANY) for phrase in ("dog", "blue dog"))
VERSIONS = [CaptionQuery((f"version {n}",), filters=ANY) for n in (1, 2)]
SIZES = {f"corpus/{n:02}": 20 + n for n in range(40)}


def load(index, made, read, *, workers=1):
    """Load ``made``'s files as `captrawl index captions` does; the rows."""
    names = frozenset(made.sizes) - index.files().keys()
    return index.load(LoadJob(made.files, names, read, lambda path: [], workers, False, lambda rows: None))


def documents(index):
    """How many documents lie in the index, counted or not."""
    index.server.client.indices.refresh(index=index.index)
    return index.server.client.count(index=index.index)["count"]


def test_small_files_share_their_requests(place, corpus, proxy):
    """Each for itself took five writing requests a file, of which three refreshed the index."""
    made = corpus(SIZES)
    requests = Counter()

    def counted(path, body):
        requests[path.split("?")[0].rsplit("/", 1)[1]] += 1
        return ""

    url, name = place.rsplit("/", 1)
    with (
        proxy.between(url, counted) as through,
        ElasticCaptions.open(f"{through}/{name}", create=True) as index,
    ):
        before = requests.copy()
        rows = load(index, made, lambda file: made.batches(file.file))
        spent = requests - before
        assert rows == sum(SIZES.values())
        assert {file: mark.rows for file, mark in index.files().items()} == SIZES
        blue = sum(-(-size // 3) for size in SIZES.values())
        assert index.count([DOGS, BLUE]) == [sum(SIZES.values()), blue]
    assert spent["_refresh"] == 1
    assert spent["_bulk"] <= 1 + 2 + 4  # rows; the loads noted and committed; the control record's
    assert spent.total() < len(SIZES)


def test_groups_are_shared_out_among_processes(place, tmp_path, monkeypatch):
    monkeypatch.setattr(elastic_index, "_WORKER_ROWS", 100)
    monkeypatch.setattr(elastic_load, "GROUP_ROWS", 150)
    for number in range(4):
        captions = [f"a dog, no. {row}" for row in range(100)]
        table = pa.table({"url": [f"http://x/{number}/{row}" for row in range(100)], "caption": captions})
        pq.write_table(table, tmp_path / f"{number}.parquet")
    processes = set()

    def progress(what, done, total=None):
        processes.update(process.pid for process in multiprocessing.active_children())

    done = index_captions(place, find_files([tmp_path]), workers=2, progress=progress)
    assert (done.files_added, done.rows_added, done.rows) == (4, 400, 400)
    assert len(processes) == 2
    with ElasticCaptions.open(place) as index:
        assert index.count([DOGS]) == [400]
        assert documents(index) == 400 + 4 + 1


def test_a_file_that_cannot_be_read_leaves_those_before_it_in(place, corpus):
    made = corpus(SIZES)
    names = list(SIZES)

    def read(file):
        batches = made.batches(file.file, 10)
        if file.file != names[25]:
            yield from batches
        yield from itertools.islice(batches, 1)
        if file.file == names[25]:
            raise CorpusError(f"{file.file} ends early")

    with ElasticCaptions.open(place, create=True) as index:
        with pytest.raises(CorpusError, match="corpus/25 ends early"):
            load(index, made, read)
        rows = sum(list(SIZES.values())[:25])
        assert (list(index.files()), index.rows(), index.count([DOGS])) == (names[:25], rows, [rows])
        assert documents(index) == rows + 25 + 1  # of the others nothing is left
        assert load(index, made, lambda file: made.batches(file.file)) == sum(SIZES.values()) - rows
        assert documents(index) == sum(SIZES.values()) + 40 + 1


def test_a_file_that_another_replaces_meanwhile_leaves_the_others_in(place, corpus):
    made, other = corpus(SIZES), corpus({"corpus/03": 5}, "2")

    with ElasticCaptions.open(place, create=True) as index:

        def read(file):
            yield from made.batches(file.file)
            if file.file == "corpus/20":
                index.add(other.files[0], other.batches("corpus/03"))

        with pytest.raises(IndexBusyError, match="corpus/03 was replaced or removed by another process"):
            load(index, made, read)
        rows = sum(SIZES.values()) - SIZES["corpus/03"]
        assert (index.rows(), index.count(VERSIONS)) == (rows + 5, [rows, 5])
        assert documents(index) == rows + 5 + 40 + 1


@pytest.mark.parametrize("way", ["lose", "429"])
def test_a_group_outlasts_a_bad_connection(place, corpus, proxy, monkeypatch, way):
    """Records too: a request of them that was lost, or whose answer was, is sent again."""
    monkeypatch.setattr(bulk, "CHUNK_DOCUMENTS", 300)
    made, rows = corpus(SIZES), sum(SIZES.values())
    count = itertools.count()

    def misbehave(path, body):
        return way if "_bulk" in path and next(count) % 2 == 0 else ""

    url, name = place.rsplit("/", 1)
    ElasticCaptions.open(place, create=True).close()
    with proxy.between(url, misbehave) as bad, ElasticCaptions.open(f"{bad}/{name}") as index:
        assert load(index, made, lambda file: made.batches(file.file)) == rows
    with ElasticCaptions.open(place) as index:
        assert (index.rows(), index.count([DOGS])) == (rows, [rows])
        assert documents(index) == rows + 40 + 1


def test_a_killed_group_is_unseen_and_taken_up(place, corpus, monkeypatch):
    """The rows of all its files lie there, and none counts."""
    monkeypatch.setattr(bulk, "CHUNK_DOCUMENTS", 100)
    made = corpus(SIZES)

    def killed(file):
        yield from made.batches(file.file)
        if file.file == "corpus/30":
            raise KeyboardInterrupt

    with ElasticCaptions.open(place, create=True) as index:
        with pytest.raises(KeyboardInterrupt):
            load(index, made, killed)
        assert documents(index) > 500
        assert (index.rows(), index.files(), index.count([DOGS])) == (0, {}, [0])
        assert load(index, made, lambda file: made.batches(file.file)) == sum(SIZES.values())
        assert documents(index) == sum(SIZES.values()) + 40 + 1
        assert index.count([DOGS]) == [sum(SIZES.values())]
