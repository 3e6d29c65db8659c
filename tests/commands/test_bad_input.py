"""Bad input, one table: each ends in a clear line that names the file, row or key, or in a counted reason.

Every case runs the command as a user types it; exit code 1 (2 for options that can't go together), no
traceback, and what was there stays as it was.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from captrawl.cli import app
from typer.testing import CliRunner, Result

GOOD = {"url": ["http://a/1.jpg", "http://a/2.jpg"], "caption": ["a dog", "a cat"]}


@dataclass
class Place:
    """A folder with a good corpus, its index, a class list and a workspace."""

    root: Path

    @property
    def index(self) -> Path:
        return self.root / "index"

    @property
    def workspace(self) -> Path:
        return self.root / "w"

    def write(self, name: str, content: bytes | str | dict[str, object]) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            pq.write_table(pa.table(content), path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    here = Place(tmp_path)
    here.write("pets/part.parquet", dict(GOOD))
    here.write("classes.txt", "dog\ncat\n")
    assert run("index", "captions", tmp_path / "pets", "--to", here.index, "--workers", 1).exit_code == 0
    done = run("init", here.workspace, "--classes", tmp_path / "classes.txt", "--index", here.index)
    assert done.exit_code == 0, done.output
    return here


def parquet(columns: dict[str, object]) -> Callable[[Place], list[object]]:
    return lambda here: ["index", "captions", here.write("bad/x.parquet", columns), "--to", here.index]


def file(name: str, content: bytes) -> Callable[[Place], list[object]]:
    return lambda here: ["index", "captions", here.write(f"bad/{name}", content), "--to", here.index]


def listed(name: str, content: bytes | str) -> Callable[[Place], list[object]]:
    return lambda here: ["count", "--classes", here.write(name, content), "--index", here.index]


def changed(old: str, new: str) -> Callable[[Place], list[object]]:
    """Run with the workspace's settings changed."""

    def command(here: Place) -> list[object]:
        path = here.workspace / "captrawl.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        return ["-C", here.workspace, "run"]

    return command


def setting(line: str) -> Callable[[Place], list[object]]:
    def edit(here: Place) -> list[object]:
        path = here.workspace / "captrawl.toml"
        key = line.split(" = ")[0]
        lines = [line if old.startswith(f"{key} = ") else old for old in path.read_text().splitlines()]
        if line not in lines:
            lines.insert(lines.index("[download]") + 1, line)
        path.write_text("\n".join(lines) + "\n")
        return ["-C", here.workspace, "status"]

    return edit


def truncated() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(GOOD), sink)
    return sink.getvalue().to_pybytes()[:-20]


TWICE = json.dumps({"format": 1, "classes": [{"id": 1, "name": "a", "synonyms": []}] * 2})
NONE = json.dumps({"0": {"name": "dog", "alternates": {}}, "1": {"name": "cat", "alternates": {"cat": 1}}})

CASES: dict[str, tuple[Callable[[Place], list[object]], list[str]]] = {
    "no such file": (lambda p: ["index", "captions", p.root / "no.parquet", "--to", p.index], ["no.parquet"]),
    "empty folder": (
        lambda p: [(p.root / "empty").mkdir(), "index", "captions", p.root / "empty", "--to", p.index][1:],
        ["empty"],
    ),
    "missing column": (parquet({"address": ["x"], "words": ["y"]}), ["x.parquet", "address"]),
    "mistyped column": (parquet({"url": [1.5], "caption": ["y"]}), ["x.parquet", "url"]),
    "truncated parquet": (file("t.parquet", truncated()), ["t.parquet"]),
    "not parquet": (file("n.parquet", b"hello, world, I'm a text"), ["n.parquet"]),
    "empty file": (file("e.parquet", b""), ["e.parquet"]),
    "broken gzip": (file("b.tsv.gz", gzip.compress(b"a cat\thttp://a/1\n" * 2000)[:-40]), ["b.tsv.gz"]),
    "unknown preset": (
        lambda p: ["index", "captions", p.root / "pets", "--to", p.index, "--preset", "laoin400m"],
        ["laoin400m", "laion400m"],
    ),
    "changed file": (
        lambda p: [
            p.write("pets/part.parquet", {"url": ["u"], "caption": ["c"]}),
            "index", "captions", p.root / "pets", "--to", p.index,
        ][1:],
        ["pets/part.parquet", "--replace"],
    ),
    "part out of range": (
        lambda p: ["index", "captions", p.root / "pets", "--to", p.index, "--part", "4/3"], ["4/3"],
    ),
    "index is no index": (lambda p: ["query", "dog", "--index", p.root / "pets"], ["pets"]),
    "index isn't there": (lambda p: ["query", "dog", "--index", p.root / "nowhere"], ["nowhere"]),
    "server is down": (lambda p: ["query", "dog", "--index", "http://127.0.0.1:9/laion"], ["127.0.0.1:9"]),
    "phrase without a word": (lambda p: ["query", "***", "--index", p.index], ["***"]),
    "prefix without a word": (lambda p: ["query", "dog", "--prefix", "😀", "--index", p.index], ["😀"]),
    "two safeties": (
        lambda p: ["query", "dog", "--index", p.index, "--no-safety", "--strict-safety"], ["--no-safety"],
    ),
    "phrases and classes": (
        lambda p: ["count", "dog", "--classes", p.root / "classes.txt", "--index", p.index],
        ["--classes"],
    ),
    "no class list": (lambda p: ["count", "--classes", p.root / "no.csv", "--index", p.index], ["no.csv"]),
    "empty class list": (listed("empty.txt", ""), ["empty.txt"]),
    "wrong encoding": (listed("latin.txt", "caf\xe9\n".encode("latin-1")), ["latin.txt"]),
    "broken json": (listed("broken.json", '{"0": {'), ["broken.json"]),
    "repeated id": (listed("classes.json", TWICE), ["classes.json", "1"]),
    "only emoji": (listed("emoji.txt", "dog\n😀😀\n"), ["😀😀"]),
    "unknown setting": (setting("retrys = 3"), ["download.retrys", "'retries'"]),
    "wrong value": (setting("deadline = -1.0"), ["download.deadline", "-1"]),
    "no workspace": (lambda p: ["-C", p.root, "run"], ["captrawl.toml", "captrawl init"]),
    "a run with a model that isn't there": (
        changed('"ViT-B-32-quickgelu"', '"ViT-B-23"'), ["'ViT-B-23'", "did you mean", "ViT-B-32"],
    ),
    "a run with weights that are nowhere": (
        changed('"ViT-B-32-quickgelu"', '"local-dir:/nowhere"'), ["/nowhere"],
    ),
    "a run whose sample needs shots": (
        changed('method = ""', 'method = "I2I-rank"'), ["I2I-rank needs few shots"],
    ),
    "workspace twice": (
        lambda p: ["init", p.workspace, "--classes", p.root / "classes.txt", "--index", p.index], ["already"],
    ),
    "no classes and no dataset": (
        lambda p: ["init", p.root / "v", "--index", p.index],
        ["--classes", "--dataset"],
    ),
    "unknown dataset": (
        lambda p: ["init", p.root / "v", "--dataset", "flowers", "--index", p.index],
        ["flowers", "flowers102"],
    ),
    "no shots": (
        lambda p: ["init", p.root / "v", "--classes", p.root / "classes.txt", "--index", p.index,
                   "--shots", p.root / "no.txt"],
        ["no.txt"],
    ),
    "download before match": (lambda p: ["-C", p.workspace, "download"], ["match"]),
    "embed before download": (
        lambda p: [run("-C", p.workspace, "match"), "-C", p.workspace, "embed"][1:], ["download"],
    ),
    "sample before embed": (
        lambda p: [run("-C", p.workspace, "match"), "-C", p.workspace, "sample", "--name", "A"][1:],
        ["captrawl"],
    ),
    "unknown method": (
        lambda p: ["-C", p.workspace, "sample", "--name", "A", "--method", "T2T-rnk"],
        ["T2T-rnk", "T2T-rank"],
    ),
    "a name that leaves the folder": (
        lambda p: ["-C", p.workspace, "sample", "--name", "../../x"], ["../../x"],
    ),
    "a file where the workspace goes": (
        lambda p: ["init", p.root / "classes.txt", "--classes", p.root / "classes.txt", "--index", p.index],
        ["classes.txt is a file"],
    ),
    "a file where a folder goes": (
        lambda p: ["query", "dog", "--index", p.index, "--output", p.root / "classes.txt" / "all.csv"],
        ["classes.txt", "choose another place"],
    ),
    "neither a number nor all": (
        setting('sample = "al"'), ["match.sample: Input should be a valid integer", "'all'", "got 'al'"],
    ),
    "method and conditions": (
        lambda p: ["-C", p.workspace, "sample", "--method", "T2T-rank", "--keep", "T2I>=0.25"],
        ["sample: sample 'T2T500': give a method (T2T-rank) or rank and keep, not both"],
    ),
    "unknown score": (
        lambda p: ["-C", p.workspace, "sample", "--keep", "T2X>=0.25"],
        ["there is no score 'T2X'; did you mean 'T2T'?"],
    ),
    "similar to nothing": (lambda p: ["-C", p.workspace, "similar"], ["--text", "--image"]),
    "similar in nothing": (
        lambda p: ["-C", p.workspace, "similar", "--text", "dog", "--in", "words"], ["words", "captions"],
    ),
    "unknown order": (
        lambda p: ["query", "dog", "--index", p.index, "--order", "newest"], ["newest", "relevance"],
    ),
    "two formats": (lambda p: ["query", "dog", "--index", p.index, "--json", "--csv"], ["--json", "--csv"]),
    "all and a sample": (
        lambda p: ["-C", p.workspace, "match", "--all", "--sample", 9], ["--all", "--sample 9"],
    ),
    "weights without a model": (
        lambda p: ["-C", p.workspace, "embed", "--pretrained", "openai"], ["openai", "--model"],
    ),
    "plan and adopt": (
        lambda p: ["-C", p.workspace, "download", "--plan-only", "--adopt", p.root],
        ["--plan-only", "--adopt"],
    ),
    "swap of a folder": (
        lambda p: ["index", "captions", p.root / "pets", "--to", p.index, "--swap"], ["swapped", "--replace"],
    ),
}  # fmt: skip

WRONG_USAGE = {
    "part out of range", "two safeties", "phrases and classes", "no classes and no dataset",
    "similar to nothing", "similar in nothing", "unknown order", "two formats", "all and a sample",
    "weights without a model", "plan and adopt", "swap of a folder", "unknown dataset", "unknown method",
}  # fmt: skip
"""The cases whose options are wrong whatever the files hold; the exit code is 2, as of unknown options."""


@pytest.mark.parametrize("case", CASES)
def test_a_clear_error(place: Place, case: str) -> None:
    arguments, expected = CASES[case]
    command = arguments(place)
    before = contents(place.root)
    done = run(*command)
    assert done.exit_code == (2 if case in WRONG_USAGE else 1), (done.exit_code, done.output, done.exception)
    assert isinstance(done.exception, SystemExit)
    message = done.stderr.strip()
    assert message.startswith("captrawl: ")
    assert len(message.splitlines()) <= 2, message
    for text in expected:
        assert text in message
    assert contents(place.root) == before
    assert json.loads(run("count", "dog", "--index", place.index, "--json").stdout)["rows"] == 2


def test_status_says_why_a_stage_cannot_be_told(place: Place) -> None:
    assert run("-C", place.workspace, "match").exit_code == 0
    place.index.rename(place.root / "elsewhere")
    done = run("-C", place.workspace, "status", "--json")
    first = json.loads(done.stdout)["stages"][0]
    assert (first["stage"], first["state"], first["counts"]["matches"]) == ("match", "stale", 2)
    assert first["reason"].startswith(f"no caption index at {place.index}")
    assert run("-C", place.workspace, "match").exit_code == 1


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".locks" not in path.parts and path.suffix != ".lock"
    }


def test_odd_rows_are_taken_and_counted(place: Place) -> None:
    long = "dog " * 15_000
    odd = {
        "URL": [None, "http://a/1", "http://a/2", "http://a/3", "not a url"],
        "TEXT": ["a dog", None, long, "dog &amp; cat", "dog"],
        "WIDTH": [10, None, 39_580, 5, 5],
        "HEIGHT": [10, None, 5, 5, 5],
        "LICENSE": ["?", "", None, "cc/by", "?"],
        "NSFW": ["UNLIKELY", None, "UNSURE", "UNLIKELY", "UNLIKELY"],
        "similarity": [6016.0, None, 0.31, -3.0, 0.2],
    }
    source = place.write("odd/laion.parquet", odd)
    assert run("index", "captions", source, "--to", place.index).exit_code == 0
    found = json.loads(run("query", "dog", "--index", place.index, "--order", "corpus", "--json").stdout)
    assert found["total"] == 5
    rows = {row["source"]: row for row in found["rows"]}
    assert rows["odd/laion.parquet:0"]["url"] is None
    assert rows["odd/laion.parquet:0"]["similarity"] is None
    assert rows["odd/laion.parquet:2"]["caption"] == long
    assert rows["odd/laion.parquet:3"]["caption"] == "dog &amp; cat"
    counted = json.loads(run("count", "dog & cat", "--index", place.index, "--json").stdout)
    assert counted["classes"][0]["total"] == 1
    similar = run("count", "dog", "--index", place.index, "--min-similarity", "-1", "--json")
    assert json.loads(similar.stdout)["classes"][0]["total"] == 2


@pytest.mark.parametrize(
    "name",
    ["AC/DC", "salt, pepper", "macaroni & cheese", 'the "best" dog', "..", "St. John's (wort)", "../../etc"],
)
def test_hostile_class_names_are_names(place: Place, name: str) -> None:
    if name == "..":
        done = run("count", "--classes", place.write("h.json", json.dumps([name])), "--index", place.index)
        assert done.exit_code == 1
        return
    listed_names = place.write("h.json", json.dumps([name, "dog"]))
    counts = json.loads(run("count", "--classes", listed_names, "--index", place.index, "--json").stdout)
    assert [entry["name"] for entry in counts["classes"]] == [name, "dog"]
    folder = place.root / "hostile"
    assert run("init", folder, "--classes", listed_names, "--index", place.index).exit_code == 0
    assert run("-C", folder, "match").exit_code == 0
    assert {path.name for path in place.root.iterdir()} == {
        "pets", "classes.txt", "index", "w", "h.json", "hostile"
    }  # fmt: skip
