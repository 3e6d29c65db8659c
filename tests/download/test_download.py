"""The whole of download() over a web of the kinds of answers that occur."""

from __future__ import annotations

from captrawl.indexer.download import download, download_status
from captrawl.workspace import State


def test_smoke(web, make_workspace, tools, caplog):
    urls = [web.give(f"/{n}.jpg", tools.jpeg(n)) for n in range(10)]
    urls += [web.url("/gone.jpg"), web.give("/page", b"<html>hello there, friend</html>")]
    workspace = make_workspace(urls)
    assert download_status(workspace).state is State.MISSING
    counts = download(workspace)
    assert counts == {
        "packed": 10,
        "failed": 1,
        "failed:http_404": 1,
        "dropped": 1,
        "dropped:not_an_image": 1,
    }
    images = tools.images_of(workspace)
    print(images[urls[0]])
    assert download_status(workspace).state is State.DONE
