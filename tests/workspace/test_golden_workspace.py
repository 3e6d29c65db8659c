"""A workspace, an index and a class list that an earlier version made: they open, and go on as they are."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("open_clip")

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "captrawl_tests_golden", Path(__file__).with_name("make_golden.py")
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = maker()


@pytest.fixture(params=sorted(path.name for path in GOLDEN.glob("workspace-*")))
def place(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The golden files where they were made: lists and models have absolute paths."""
    with Path(f"{MAKER.PLACE}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(MAKER.PLACE, ignore_errors=True)
        shutil.copytree(GOLDEN / request.param, MAKER.PLACE)
        shutil.copytree(Path(__file__).resolve().parents[2] / "demo" / "model", MAKER.PLACE / "model")
        yield MAKER.PLACE
        shutil.rmtree(MAKER.PLACE)


def artefacts(birds: Path) -> dict[str, str]:
    """The hash of every file of the workspace that a stage made."""
    return {
        path.relative_to(birds).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(birds.rglob("*"))
        if path.is_file() and ".locks" not in path.parts and path.suffix != ".sqlite"
    }


def states(captrawl, birds: Path) -> dict[str, str]:
    stages = json.loads(captrawl("-C", birds, "status", "--json").stdout)["stages"]
    return {stage["stage"]: stage["state"] for stage in stages}


def test_nothing_is_done_again(place: Path, captrawl) -> None:
    birds = place / "birds"
    before = artefacts(birds)
    assert set(states(captrawl, birds).values()) == {"done"}
    captrawl("-C", birds, "status", "--verify")
    captrawl("-C", birds, "run", "--allow-private")
    after = artefacts(birds)
    changed = {name for name in before if before[name] != after.get(name)}
    assert changed <= {"captrawl.toml", "captrawl.lock.json"}
    counts = json.loads(captrawl("count", "dog", "--index", place / "captions", "--json").stdout)
    assert counts["classes"][0]["total"] == 6


def test_a_class_that_is_added_fetches_and_embeds_only_its_rows(place: Path, captrawl) -> None:
    birds = place / "birds"
    before = artefacts(birds)
    document = json.loads((birds / "classes.json").read_text())
    document["classes"].append({"id": 3, "name": "tower", "synonyms": [{"text": "tower"}]})
    (birds / "classes.json").write_text(json.dumps(document))
    server = ThreadingHTTPServer(("127.0.0.1", MAKER.PORT), MAKER.Pictures)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    captrawl("-C", birds, "run", "--allow-private")
    server.shutdown()
    server.server_close()
    assert set(states(captrawl, birds).values()) == {"done"}
    after = artefacts(birds)
    kept = [
        name for name in before if name.startswith(("images/00000/0", "embeddings/")) and "json" not in name
    ]
    assert len(kept) > 30
    assert {name for name in kept if after.get(name) != before[name]} == set()
    lines = (birds / "samples" / "T2T500.txt").read_text().split("\n")
    assert sum(line.endswith(" 3 0") for line in lines) == 5
