"""A build that is killed at any moment, interrupted, or outlived: rerun, it ends as an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.indexer.captions import IndexedCounts, index_captions
from captrawl.indexer.corpora.files import find_files, read_batches
from captrawl.search.captions import open_captions
from captrawl.search.query import CaptionQuery, Filters, Safety

FILES, ROWS = 6, 12_000
BUILD = """
import sys
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files

if __name__ == "__main__":
    print(index_captions(sys.argv[1], find_files([sys.argv[2]]), workers=2), flush=True)
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed") / "web"
    folder.mkdir()
    for number in range(FILES):
        captions = [f"caption {i} of the file {number} {'word ' * (i % 20)}" for i in range(ROWS)]
        urls = [f"http://a/{number}/{i}" for i in range(ROWS)]
        pq.write_table(pa.table({"url": urls, "caption": captions}), folder / f"part-{number}.parquet")
    (folder.parent / "build.py").write_text(BUILD)
    return folder


def start(corpus: Path, index: Path) -> subprocess.Popen[str]:
    return launch([sys.executable, str(corpus.parent / "build.py"), str(index), str(corpus)])


def launch(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=120)
    return out.strip(), err.strip()


def wait_for(corpus: Path, index: Path, process: subprocess.Popen[str]) -> None:
    """Until the first group is being built, or the build is over."""
    while process.poll() is None and not list((index / "building").glob("*/.part-*")):
        time.sleep(0.01)


def rows_of(index: Path) -> list[tuple[Any, ...]]:
    everything = CaptionQuery(("caption",), filters=Filters(safety=Safety.OFF))
    with open_captions(index) as opened:
        table = pa.Table.from_batches(opened.scan(everything))
        assert opened.rows() == table.num_rows
    rows = zip(*(table[name].to_pylist() for name in table.column_names), strict=True)
    return sorted(rows, key=lambda row: row[-2:])


def check_whole(corpus: Path, index: Path) -> None:
    files = find_files([corpus])
    table = pa.Table.from_batches([batch for file in files for batch in read_batches(file)])
    assert rows_of(index) == list(zip(*(table[name].to_pylist() for name in table.column_names), strict=True))
    with open_captions(index) as opened:
        assert opened.files() == {file.file: file.fingerprint for file in files}
    assert list((index / "building").iterdir()) == []


def test_sigkill_at_random_moments(corpus: Path, tmp_path: Path) -> None:
    undisturbed, index = tmp_path / "whole", tmp_path / "IDX"
    began = time.monotonic()
    assert finish(start(corpus, undisturbed)) == (
        str(IndexedCounts(FILES, 0, FILES * ROWS, FILES * ROWS)),
        "",
    )
    whole = time.monotonic() - began
    moments = random.Random(11)
    kept = 0
    for _ in range(10):
        process = start(corpus, index)
        time.sleep(moments.uniform(0, whole))
        os.killpg(process.pid, signal.SIGKILL)
        finish(process)
        if (index / "captions.json").exists():
            with open_captions(index) as opened:
                rows = opened.rows()
                assert rows % ROWS == 0
                assert rows >= kept
                kept = rows
    out, err = finish(start(corpus, index))
    assert (out.endswith(f"rows={FILES * ROWS})"), err) == (True, "")
    check_whole(corpus, index)
    assert rows_of(undisturbed) == rows_of(index)


def test_only_the_parent_is_killed(corpus: Path, tmp_path: Path) -> None:
    index = tmp_path / "IDX"
    process = start(corpus, index)
    wait_for(corpus, index, process)
    workers = psutil.Process(process.pid).children()
    process.kill()
    finish(process)
    out, err = finish(start(corpus, index))
    assert (out.endswith(f"rows={FILES * ROWS})"), err) == (True, "")
    assert psutil.wait_procs(workers, timeout=10)[1] == []
    check_whole(corpus, index)


def test_ctrl_c_is_clean(corpus: Path, tmp_path: Path) -> None:
    index = tmp_path / "IDX"
    process = start(corpus, index)
    wait_for(corpus, index, process)
    workers = psutil.Process(process.pid).children()
    os.killpg(process.pid, signal.SIGINT)
    _, err = finish(process)
    assert process.returncode == -signal.SIGINT
    assert err.count("Traceback") == 1
    assert err.endswith("KeyboardInterrupt")
    assert psutil.wait_procs(workers, timeout=10)[1] == []
    assert list((index / "building").glob("*/.part-*")) == []
    assert index_captions(index, find_files([corpus]), workers=1).rows == FILES * ROWS
    check_whole(corpus, index)


def test_two_builders_share_the_work_or_one_is_told(corpus: Path, tmp_path: Path) -> None:
    index = tmp_path / "IDX"
    builders = [start(corpus, index) for _ in range(2)]
    answers = [finish(builder) for builder in builders]
    told = [err for _, err in answers if "IndexBusyError: another process is indexing web/part-" in err]
    done = [out for out, _ in answers if out.endswith(f"rows={FILES * ROWS})")]
    assert len(told) + len(done) == 2, answers
    assert done
    check_whole(corpus, index)


def test_two_builders_with_parts(corpus: Path, tmp_path: Path) -> None:
    index = tmp_path / "IDX"
    script = tmp_path / "build.py"
    script.write_text(BUILD.replace("workers=2", "workers=2, part=(int(sys.argv[3]), 2)"))
    commands = [[sys.executable, str(script), str(index), str(corpus), part] for part in "12"]
    builders = [launch(command) for command in commands]
    added = [finish(builder)[0] for builder in builders]
    assert sum(int(one.split("files_added=")[1].split(",")[0]) for one in added) == FILES
    check_whole(corpus, index)
