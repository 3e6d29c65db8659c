"""Archives in an object store: fsspec's own store in memory, and what a missing library says."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import tarfile
from collections.abc import Iterator

import fsspec
import pytest
from captrawl.core.errors import MissingExtraError
from captrawl.indexer.download.stage import download
from captrawl.indexer.sources.blobs import ArchiveError, MissingArchiveError
from captrawl.indexer.sources.store_blob import StoreBlob


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    made = fsspec.filesystem("memory")
    yield made
    made.store.clear()


def test_a_tar_in_a_store_gives_its_pictures(store, make_workspace, tools) -> None:
    data = tools.jpeg(3)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        described = json.dumps({"url": "http://rotten.invalid/a.jpg"}).encode()
        for name, content in (("1.jpg", data), ("1.json", described)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    store.pipe_file("/bucket/x/00000.tar", out.getvalue())
    urls = ["http://rotten.invalid/a.jpg", "http://rotten.invalid/b.jpg"]
    archives = ["memory://bucket/x/{00000..00001}.tar"]
    workspace = make_workspace(urls, archives=archives, sources=["tars"])
    assert download(workspace) == {"packed": 1, "failed": 1, "failed:no_source": 1}
    assert tools.images_of(workspace)[urls[0]]["sha256"] == hashlib.sha256(data).hexdigest()


def test_what_a_store_cannot_give_is_one_line(store) -> None:
    store.pipe_file("/bucket/a.tar", b"0123456789")
    blob = StoreBlob("memory://bucket/a.tar")
    assert (blob.size, blob.read(2, 3)) == (10, b"234")
    with pytest.raises(ArchiveError, match="ends at byte 10"):
        blob.read(8, 5)
    with pytest.raises(MissingArchiveError, match="isn't there"):
        StoreBlob("memory://bucket/b.tar")
    with pytest.raises(ArchiveError, match=r"nowhere://x/b.tar can't be read \(ValueError\)"):
        StoreBlob("nowhere://x/b.tar")


@pytest.mark.skipif(importlib.util.find_spec("s3fs") is not None, reason="s3fs is installed")
def test_a_store_whose_library_is_not_there_names_the_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"s3:// files needs captrawl\[remote\]"):
        StoreBlob("s3://bucket/a.tar")
