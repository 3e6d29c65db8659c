"""A loader for tests to kill: python loader.py LOCATION VERSION FILE=ROWS…; it skips what is in.

CAPTRAWL_TEST_DIE="before leaving" kills it before it puts the settings back.
"""

from __future__ import annotations

import os
import signal
import sys

from captrawl.search.elastic import load
from captrawl.search.elastic.index import ElasticCaptions
from corpus import Corpus


def main(location: str, version: str, *files: str) -> None:
    corpus = Corpus({name: int(rows) for name, rows in (file.split("=") for file in files)}, version)
    load.GROUP_ROWS = 2000  # small files, small groups
    with ElasticCaptions.open(location, create=True) as index:
        held = index.files()
        print("ready", flush=True)
        with index.loading():
            files = [file for file in corpus.files if held.get(file.file) != file.fingerprint]
            for group in load.groups(files):
                index.add_group(group, lambda file: corpus.batches(file.file))
            if os.environ.get("CAPTRAWL_TEST_DIE") == "before leaving":
                os.kill(os.getpid(), signal.SIGKILL)
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
