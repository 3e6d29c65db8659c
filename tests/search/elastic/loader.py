"""A loader for tests to kill: python loader.py LOCATION VERSION FILE=ROWS…; it skips what is in."""

from __future__ import annotations

import os
import signal
import sys

from captrawl.search.elastic.index import ElasticCaptions
from corpus import Corpus


def main(location: str, version: str, *files: str) -> None:
    corpus = Corpus({name: int(rows) for name, rows in (file.split("=") for file in files)}, version)
    with ElasticCaptions.open(location, create=True) as index:
        held = index.files()
        print("ready", flush=True)
        with index.loading():
            for file in corpus.files:
                if held.get(file.file) != file.fingerprint:
                    index.add(file, corpus.batches(file.file))
                print(f"in {file.file}", flush=True)
            if os.environ.get("CAPTRAWL_TEST_DIE") == "before leaving":
                os.kill(os.getpid(), signal.SIGKILL)
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
