"""Who loads, and what is put back when a loader was killed, judged by signatures and the server's clock."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.search.elastic import liveness, session
from captrawl.search.elastic.catalogue import CONTROL_ID, Catalogue
from captrawl.search.elastic.index import ElasticCaptions
from captrawl.search.elastic.load import Files
from captrawl.search.elastic.records import DOOMED
from captrawl.search.elastic.session import change_control, settle

pytestmark = pytest.mark.elastic


def owed(index):
    """The refresh interval of now, and what the index's record says is to be put back and who is at work."""
    (settings,) = index.server.client.indices.get_settings(index=index.index).values()
    detail = index.server.client.get(index=index.index, id=CONTROL_ID)["_source"]["record"]["detail"]
    return settings["settings"]["index"].get("refresh_interval"), detail["restore"], detail["sessions"]


SETTLED = (None, {}, {})


def parquet(folder, rows):
    table = pa.table({"url": [f"http://x/{n}" for n in range(rows)], "caption": ["a dog"] * rows})
    pq.write_table(table, folder / "a.parquet", row_group_size=10_000)
    return folder / "a.parquet"


def test_what_a_loader_killed_at_its_end_left_is_put_back_by_a_run_with_nothing_to_do(
    place, tmp_path, captrawl, loader
):
    file = parquet(tmp_path, 50)
    command = ["index", "captions", file, "--to", place, "--workers", 1, "--json"]
    captrawl(*command)
    assert loader(place, "1", {}, CAPTRAWL_TEST_DIE="before leaving").wait() == -signal.SIGKILL
    with ElasticCaptions.open(place) as index:
        assert owed(index)[0] == "-1"
        assert '"rows_added": 0' in captrawl(*command).stdout
        assert owed(index) == SETTLED


def test_a_run_with_nothing_to_do_deletes_what_a_killed_load_left(place, tmp_path, captrawl):
    file = parquet(tmp_path, 50)
    command = ["index", "captions", file, "--to", place, "--workers", 1, "--json"]
    captrawl(*command)
    with ElasticCaptions.open(place) as index:
        files = Files(index._catalogue(index.index))
        (name,) = index.files()
        files._change(name, lambda entry: replace(entry, pending={"killed": DOOMED}))
        assert not files.catalogue.view().clean
        assert '"rows_added": 0' in captrawl(*command).stdout
        assert files.catalogue.view().clean


def test_who_opens_an_index_for_loading_puts_back_what_a_killed_loader_left(place, loader):
    ElasticCaptions.open(place, create=True).close()
    assert loader(place, "1", {}, CAPTRAWL_TEST_DIE="before leaving").wait() == -signal.SIGKILL
    with ElasticCaptions.open(place) as index:
        assert owed(index)[0] == "-1"
        with ElasticCaptions.open(place, create=True):
            assert owed(index) == SETTLED


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_load_that_is_told_to_end_puts_its_settings_back(place, tmp_path, end):
    file = parquet(tmp_path, 400_000)
    ElasticCaptions.open(place, create=True).close()
    command = [sys.executable, "-m", "captrawl", "index", "captions", file, "--to", place, "--workers", "1"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
        ElasticCaptions.open(place) as index,
    ):
        deadline = time.monotonic() + 60
        while owed(index)[0] != "-1" and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(end)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, "interrupted; what was done stays" in errors) == (130, True)
        assert owed(index) == SETTLED
        assert index.rows() == 0


@pytest.fixture
def left_behind(place):
    """left_behind(signature) → an index whose record says that such a loader is at work."""
    opened = []

    def left_behind(**signed):
        index = ElasticCaptions.open(place, create=True)
        opened.append(index)
        catalogue = Catalogue(index.server, index.index)
        signed = {
            "host": "elsewhere",
            "pid": 1,
            "beat": catalogue.server_time() - signed.pop("age"),
            **signed,
        }
        restore = {"refresh_interval": None, "number_of_replicas": "1", "auto_expand_replicas": "0-1"}
        change_control(catalogue, lambda d: {**d, "restore": restore, "sessions": {"other": signed}})
        index.server.client.indices.put_settings(index=index.index, settings={"refresh_interval": "-1"})
        return index, catalogue

    yield left_behind
    for index in opened:
        index.close()


def test_a_loader_elsewhere_is_dead_once_it_is_silent_by_the_servers_clock(left_behind, monkeypatch):
    index, catalogue = left_behind(age=liveness.SILENT + 5, namespace="another boot pid:[1]", started="1")
    monkeypatch.setattr(time, "time", lambda: 0.0)  # this machine's clock is no matter
    settle(catalogue, wait=False)
    assert owed(index) == SETTLED


def test_a_process_number_says_nothing_in_another_namespace(left_behind):
    """As in a container: the number of the dead loader is that of a living process here."""
    index, catalogue = left_behind(age=1, namespace="another boot pid:[1]", started="1")
    settle(catalogue, wait=False)
    assert owed(index)[0] == "-1"
    mine = {**liveness.signature(0.0), "started": "another process had the number"}
    index, catalogue = left_behind(age=1, **{k: v for k, v in mine.items() if k != "beat"})
    settle(catalogue, wait=False)
    assert owed(index) == SETTLED


def test_a_loader_that_may_be_dead_is_watched(left_behind, monkeypatch):
    monkeypatch.setattr(liveness, "SILENT", 3.0)
    index, catalogue = left_behind(age=0, namespace="another boot pid:[1]", started="1")
    started = time.monotonic()
    settle(catalogue, wait=True)
    assert owed(index) == SETTLED
    assert time.monotonic() - started > 2


def test_a_loader_that_signs_again_lives(left_behind, monkeypatch):
    monkeypatch.setattr(session, "_LOOK", 0.2)
    index, catalogue = left_behind(age=0, namespace="another boot pid:[1]", started="1")

    def sign(detail):
        other = detail["sessions"]["other"]
        return {**detail, "sessions": {"other": {**other, "beat": other["beat"] + 1}}}

    renewal = threading.Timer(1.0, lambda: change_control(catalogue, sign))
    renewal.start()
    settle(catalogue, wait=True)
    renewal.join()
    assert owed(index)[0] == "-1"


def test_a_loader_of_an_older_captrawl_is_judged_by_its_beat(left_behind):
    index, catalogue = left_behind(age=liveness.SILENT + 1)
    settle(catalogue, wait=False)
    assert owed(index) == SETTLED
