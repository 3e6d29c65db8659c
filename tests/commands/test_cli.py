"""The commands as a user types them: what they print, as text and as JSON, and how they end."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import pty
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import mmh3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from captrawl.cli import app
from captrawl.commands.examples import EXAMPLES
from captrawl.commands.hints import directory_first
from captrawl.commands.table import GROUPS
from captrawl.core.version import __version__
from captrawl.workspace.doctor import Verdict, examine
from rich.cells import cell_len
from typer.testing import CliRunner, Result

ROWS = [
    ("http://a/0.jpg", "A Golden-Retriever dog", "UNLIKELY", 0.31),
    ("http://a/1.jpg", "golden  RETRIEVERS", "UNLIKELY", 0.2),
    ("http://a/2.jpg", "satellite photo, annual crop land", None, None),
    ("http://a/3.jpg", "a husky and a golden retriever", "NSFW", 0.4),
    (None, "golden retriever \x1b[31mred\x1b[0m 犬", "UNSURE", 0.1),
]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    columns = dict(
        zip(("URL", "TEXT", "NSFW", "similarity"), map(list, zip(*ROWS, strict=True)), strict=True)
    )
    size = len(ROWS)
    columns |= {"WIDTH": [640] * size, "HEIGHT": [480] * size, "LICENSE": ["?"] * size}
    (folder / "pets").mkdir()
    pq.write_table(pa.table(columns), folder / "pets" / "part-0.parquet")
    done = run("index", "captions", folder / "pets", "--to", folder / "index", "--workers", 1)
    assert done.stdout == "5 rows added from 1 file, 0 files already in; the index contains 5 rows\n"
    again = run("index", "captions", folder / "pets", "--to", folder / "index", "--json")
    assert json.loads(again.stdout) == {"files_added": 0, "files_skipped": 1, "rows_added": 0, "rows": 5}
    return folder / "index"


def test_query_json(index: Path) -> None:
    done = run("query", "golden retriever", "--index", index, "--order", "corpus", "--json")
    answer = json.loads(done.stdout)
    assert answer["total"] == 2
    assert answer["safety"] == {"left_out": 1, "unknown": 0}
    first, second = answer["rows"]
    assert first == {
        "uid": str(mmh3.hash64("http://a/0.jpgA Golden-Retriever dog")[0]),
        "url": "http://a/0.jpg",
        "caption": "A Golden-Retriever dog",
        "synonym": "golden retriever",
        "width": 640,
        "height": 480,
        "similarity": 0.31,
        "nsfw": "UNLIKELY",
        "punsafe": None,
        "licence": None,  # the corpus says ?
        "language": None,
        "priority": first["priority"],
        "file": "pets/part-0.parquet",
        "row": 0,
        "source": "pets/part-0.parquet:0",
    }
    lines = run(
        "query", "golden retriever", "--index", index, "--order", "corpus", "--csv"
    ).stdout.splitlines()
    header, row = list(csv.reader(lines))[:2]
    assert {name: "" if first[name] is None else str(first[name]) for name in header} == dict(
        zip(header, row, strict=True)
    )
    assert (second["url"], second["uid"]) == (None, str(mmh3.hash64(ROWS[4][1])[0]))


def test_count_json(index: Path) -> None:
    done = run("count", "golden retriever", "husky", "--index", index, "--no-safety", "--json")
    answer = json.loads(done.stdout)
    assert answer["rows"] == 5
    assert answer["classes"] == [
        {
            "id": 0,
            "name": "golden retriever",
            "total": 3,
            "synonyms": {"golden retriever": 3, "husky": 1},
        }
    ]
    assert answer["credited"] == {"0": {"golden retriever": 3, "husky": 0}}


def test_count_shows_matches_and_credited_rows(index: Path) -> None:
    lines = run("count", "golden retriever", "husky", "--index", index, "--no-safety").stdout.splitlines()
    words = [line.split()[:4] for line in lines]
    assert words[0][:3] == ["phrase", "matches", "credited"]
    assert words[1][:4] == ["golden", "retriever", "3", "3"]
    assert words[2][:3] == ["husky", "1", "0"]
    assert words[3] == ["any", "of", "them", "3"]
    assert "credited: each row once, to its phrase with most matches" in lines


@pytest.mark.parametrize(
    ("options", "total"),
    [
        ([], 2),
        (["--no-safety"], 3),
        (["--nsfw", "UNLIKELY"], 1),
        (["--min-similarity", "0.3"], 1),
        (["--exclude", "dog"], 1),
        (["--prefix", "dog"], 1),
        (["--min-side", "481"], 0),
        (["--licence", "cc"], 0),
    ],
)
def test_filters_reach_the_query(index: Path, options: list[str], total: int) -> None:
    done = run("count", "golden retriever", "--index", index, "--json", *options)
    assert json.loads(done.stdout)["classes"][0]["total"] == total


def test_the_terminal_shows_no_escape_of_a_caption(index: Path) -> None:
    done = run("query", "golden retriever", "--index", index)
    assert "2 rows match" in done.stdout
    assert "\x1b" not in done.stdout
    assert "�[31mred" in done.stdout
    assert "1 unsafe row left out" in done.stderr


def test_strict_safety_says_what_it_left_out(index: Path) -> None:
    done = run("count", "annual crop", "--index", index, "--strict-safety")
    assert "1 unsafe or unjudged row left out (--no-safety shows them)" in done.stderr
    done = run("count", "annual crop", "--index", index)
    assert "1 row without a safety value kept (--strict-safety drops them)" in done.stderr


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("captrawl que", ["query"]),
        ("captrawl query dog --ord", ["--order"]),
        ("captrawl query dog --order ra", ["random"]),
        ("captrawl init birds --dataset ima", ["imagenet"]),
    ],
)
def test_a_shell_completes_commands_options_and_values(words: str, completed: list[str]) -> None:
    asked = {"_CAPTRAWL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        ["captrawl"], executable=Path(sys.executable).with_name("captrawl"), env=os.environ | asked,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == completed


def in_a_terminal(width: int, *arguments: object) -> list[str]:
    """What a command shows in a terminal so many cells wide, without styles, line by line."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "captrawl", *map(str, arguments)],
        stdout=theirs, stderr=subprocess.DEVNULL, env=os.environ | {"COLUMNS": str(width), "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the end, on Linux
        while part := os.read(ours, 65536):
            shown += part
    os.close(ours)
    assert child.wait(60) == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()


LONG = f"http://example.org/{'x' * 60}.jpg"


@pytest.mark.parametrize(
    ("width", "caption", "url"),
    [
        (120, "a dog", LONG),  # the caption leaves room
        (140, "a dog " * 12, LONG),  # the caption wraps
        (80, "a dog", f"{LONG[: 80 - 7 - 4 - 4 - 1]}…"),
        (None, "a dog " * 12, LONG),
    ],
)
def test_urls_use_the_width(tmp_path: Path, width: int | None, caption: str, url: str) -> None:
    (tmp_path / "c.tsv").write_text(f"url\tcaption\n{LONG}\t{caption}\n")
    run("index", "captions", tmp_path / "c.tsv", "--to", tmp_path / "index")
    asked = ["query", "dog", "--index", tmp_path / "index"]
    lines = in_a_terminal(width, *asked) if width else run(*asked).stdout.splitlines()
    assert lines[0] == "1 row matches"
    assert [line.split()[-1] for line in lines if "http" in line] == [url]


WIDE = {
    "猫 golden retriever 🐕 とても長い日本語のキャプションです、幅を超えて折り返します": "長い日本語",
    "golden retriever 한국어 문장 ﬁn café 狗 that goes on and on, beyond every width": "beyond every",
    "before " * 2_000 + "the golden retriever " + "behind " * 2_000: "the golden",
}
"""A caption, and words of it that are in view."""


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminals_width_is_kept_with_wide_characters(tmp_path: Path, width: int) -> None:
    table = pa.table(
        {"url": [f"http://example.org/{'x' * 90}/{n}.jpg" for n in range(3)], "caption": list(WIDE)}
    )
    pq.write_table(table, tmp_path / "wide.parquet")
    run("index", "captions", tmp_path / "wide.parquet", "--to", tmp_path / "index", "--workers", 1)
    asked = ["golden retriever", "goldie", "--index", tmp_path / "index"]
    lines = in_a_terminal(width, "query", *asked)
    assert max(map(cell_len, lines)) <= width
    assert len(lines) < 40  # a caption of 28,000 characters is cut
    flat = re.sub(r"\s+", "", "".join(line[18:] for line in lines))
    columns = [re.sub(r"\s+", "", words) for words in WIDE.values()]
    if width == 60:  # no URL column between the pieces of a caption
        assert all(words in flat for words in columns)
    assert any("http://exa" in line for line in lines) is (width >= 80)
    counted = in_a_terminal(width, "count", *asked)
    assert max(map(cell_len, counted)) <= width
    bars = [line.count("█") for line in counted if "golden retriever" in line or "any of" in line]
    assert bars == [min(40, width - 16 - 2 - 7 - 2 - 8 - 2)] * 2  # name, matches, credited, each with a gap
    assert not [line for line in counted if line and not line.strip(" █")]  # no bar goes on below itself


def test_csv_and_files(index: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "captrawl", "query", "golden retriever", "--index", str(index), "--csv"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {row["caption"] for row in rows} == {ROWS[0][1], ROWS[4][1]}
    for name in ("all.parquet", "all.csv"):
        assert run("query", "golden retriever", "--index", index, "--output", tmp_path / name).exit_code == 0
    assert sorted(pq.read_table(tmp_path / "all.parquet").column("row").to_pylist()) == [0, 4]
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 3


def test_a_file_of_every_match_is_told_in_json(index: Path, tmp_path: Path) -> None:
    done = run("query", "golden retriever", "--index", index, "--output", tmp_path / "a.csv", "--json")
    assert json.loads(done.stdout) == {
        "rows": 2, "output": str(tmp_path / "a.csv"), "safety": {"left_out": 1, "unknown": 0}
    }  # fmt: skip


def test_what_a_bound_of_ones_own_leaves_out_is_told(index: Path) -> None:
    done = run("count", "golden retriever", "--index", index, "--max-punsafe", "0.9")
    assert "1 unsafe row left out (tagged NSFW, or punsafe above 0.9)" in done.stderr


def test_random_order_is_seeded(index: Path) -> None:
    def order(seed: int) -> list[str]:
        done = run(
            "query", "golden retriever", "--index", index, "--no-safety",
            "--order", "random", "--seed", seed, "--json",
        )  # fmt: skip
        return [row["source"] for row in json.loads(done.stdout)["rows"]]

    assert order(1) == order(1)
    assert {tuple(order(seed)) for seed in range(20)} != {tuple(order(0))}


def test_the_version_needs_no_command() -> None:
    assert run("--version").stdout == f"captrawl {__version__}\n"


def test_usage_errors_end_with_two_and_a_hint() -> None:
    done = run("qurey", "dog")
    assert done.exit_code == 2
    assert re.search(r"Did you mean .*'query'", done.stderr)


def test_ctrl_c_ends_with_130_and_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes the question and never answers
        index = f"http://127.0.0.1:{server.getsockname()[1]}/laion"
        asking = subprocess.Popen(
            [sys.executable, "-m", "captrawl", "query", "dog", "--index", index],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip
        with server.accept()[0]:
            asking.send_signal(signal.SIGINT)
            stdout, stderr = asking.communicate(timeout=60)
    assert (asking.returncode, stdout) == (130, "")
    assert stderr == "captrawl: interrupted; what was done stays\n"


def test_every_command_says_what_it_does() -> None:
    listed = run("--help").stdout
    for name in ("index", "query", "count", "init", "match", "download", "embed", "sample", "run", "status"):
        assert name in listed
        assert len(run(name, "--help").stdout) > 100


def test_doctor_names_what_is_wrong(index: Path, tmp_path: Path) -> None:
    findings = {f.check: f for f in examine(tmp_path, index=str(index))}
    assert findings["index"].verdict is Verdict.GOOD
    assert "5 rows of 1 file" in findings["index"].text
    assert findings["python"].verdict is Verdict.GOOD
    golden = Path(__file__).parents[1] / "golden" / "captions-1" / "index"
    place = shutil.copytree(golden, tmp_path / "old")
    old = {f.check: f for f in examine(tmp_path, index=str(place))}["index"]
    assert old.verdict is Verdict.WARNING
    assert "analyzer 1 of 2: accents beyond Latin, markup and scripts without spaces match less" in old.text
    bad = {f.check: f for f in examine(tmp_path, index=str(tmp_path / "none"))}["index"]
    assert bad.verdict is Verdict.BAD
    assert "none" in bad.text
    (tmp_path / "captrawl.toml").write_text("[captions]\nindx = 'x'\n")
    done = run("-C", tmp_path, "doctor", "--json")
    assert done.exit_code == 1
    checks = {check["check"]: check for check in json.loads(done.stdout)["checks"]}
    assert "did you mean 'index'" in checks["settings"]["text"]


def test_a_reader_that_leaves_is_no_error(index: Path) -> None:
    command = f"{sys.executable} -m captrawl query retriever --index {index} --limit 5 --json | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout == "{\n"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (["local-dir:nowhere"], "isn't an open_clip model"),
        (["ViT-B-32", "--pretrained", "nope"], "has no weights 'nope'"),
        (["ViT-B-32", "--pretrained", "laion400m_e32"], "use model ViT-B-32-quickgelu"),
    ],
)
def test_init_tells_of_a_model_that_embed_would_refuse(
    index: Path, tmp_path: Path, model: list[str], told: str
) -> None:
    pytest.importorskip("open_clip")
    (tmp_path / "classes.txt").write_text("dog\n")
    done = run(
        "init", tmp_path / "w", "--classes", tmp_path / "classes.txt", "--index", index, "--model", *model
    )
    assert done.exit_code == 0  # the model may come to this machine later
    assert done.stderr.startswith("warning: ")
    assert told in done.stderr


def test_a_process_with_a_model_library_ends_quietly(index: Path, tmp_path: Path) -> None:
    pytest.importorskip("open_clip")
    (tmp_path / "classes.txt").write_text("dog\n")
    arguments = ["init", tmp_path / "w", "--classes", tmp_path / "classes.txt", "--index", index]
    command = [sys.executable, "-m", "captrawl", *arguments, "--model", "ViT-B-32", "--pretrained", "nope"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("warning: ViT-B-32 has no weights 'nope'")


def test_init_says_nothing_of_a_model_that_is_there(index: Path, tmp_path: Path) -> None:
    pytest.importorskip("open_clip")
    (tmp_path / "classes.txt").write_text("dog\n")
    arguments = ["--classes", tmp_path / "classes.txt", "--index", index, "--model", "vitb32_clip"]
    assert run("init", tmp_path / "w", *arguments).stderr == ""


def leaves(group: object, words: tuple[str, ...] = ()) -> dict[str, object]:
    """Every command of the app by its words."""
    commands: dict[str, object] = {}
    for name, command in group.commands.items():
        inner = leaves(command, (*words, name)) if hasattr(command, "commands") else {}
        commands.update(inner or {" ".join((*words, name)): command})
    return commands


def test_every_command_has_an_example_that_parses() -> None:
    commands = leaves(typer.main.get_command(app))
    assert set(EXAMPLES) == set(commands)
    for words, example in EXAMPLES.items():
        given = shlex.split(example)
        assert given[0] == "captrawl"
        given = given[3:] if given[1] == "-C" else given[1:]
        count = len(words.split())
        assert given[:count] == words.split()
        context = commands[words].make_context(words, given[count:])
        assert example in " ".join(commands[words].get_help(context).split())


def test_the_help_shows_every_command_in_a_group(captrawl) -> None:
    text = captrawl("--help").stdout
    sections = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert sections[-3:] == ["Look around:", "Make a list:", "Check and share:"]
    shown = [line.split()[0] for line in text.splitlines() if line.startswith("  ") and line[2:3].isalpha()]
    names = [name for entries in GROUPS.values() for name in entries]
    assert [name for name in shown if name in names] == names
    assert set(names) == set(typer.main.get_command(app).commands)


def test_the_workspace_may_stand_behind_the_command() -> None:
    assert directory_first(["match", "-C", "ws", "--all"]) == ["-C", "ws", "match", "--all"]
    assert directory_first(["-C", "ws", "match"]) == ["-C", "ws", "match"]
    assert directory_first(["query", "--", "-C", "x"]) == ["query", "--", "-C", "x"]
    assert directory_first(["query", "dog", "-C"]) == ["query", "dog", "-C"]


def test_questions_take_the_workspaces_index(captrawl, index, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("dog\n")
    captrawl("init", tmp_path / "ws", "--classes", tmp_path / "classes.txt", "--index", index)
    asked = json.loads(captrawl("count", "dog", "--index", index, "--json").stdout)
    assert json.loads(captrawl("-C", tmp_path / "ws", "count", "dog", "--json").stdout) == asked
    assert json.loads(captrawl("count", "dog", "-C", tmp_path / "ws", "--json").stdout) == asked
    assert "dog" in captrawl("-C", tmp_path / "ws", "query", "dog").stdout
    alone = captrawl("count", "dog", cwd=tmp_path, check=False)
    assert alone.returncode == 2
    assert "give --index INDEX" in alone.stderr


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("query", "--classes", "x.csv"), "captrawl count --classes FILE"),
        (("count", "list.csv"), "captrawl count --classes list.csv"),
        (("query", "dog", "-n", "5"), "--limit"),
        (("run", "--model", "ViT-B-32"), "captrawl embed --model"),
        (("query", "dog", "--license", "cc"), "--licence"),
    ],
)
def test_a_wrong_guess_is_told_what_was_meant(captrawl, tmp_path: Path, words, hint: str) -> None:
    (tmp_path / "list.csv").write_text("dog\n")
    done = captrawl(*words, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert hint in done.stderr


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("classes", "convert", "c.txt", "--to", "hf"), "huggingface"),
        (("-C", "ws", "export", "out", "--to", "hf"), "huggingface"),
        (("-C", "ws", "sample", "--method", "T2I"), "T2I-rank"),
        (("init", "x", "--dataset", "imagnet", "--index", "i"), "imagenet"),
        (("query", "dog", "--order", "rand", "--index", "i"), "random"),
    ],
)
def test_a_choice_that_is_none_names_the_nearest_and_ends_with_two(
    captrawl, index: Path, tmp_path: Path, words, hint: str
) -> None:
    (tmp_path / "c.txt").write_text("dog\n")
    captrawl("init", tmp_path / "ws", "--classes", tmp_path / "c.txt", "--index", index)
    words = tuple(str(index) if word == "i" else word for word in words)
    done = captrawl(*words, cwd=tmp_path, check=False)
    assert done.returncode == 2, done.stderr
    assert hint in done.stderr
    assert len(done.stderr.splitlines()) <= 2


def test_values_are_completed_from_the_workspace_and_the_registries(tmp_path: Path, index: Path) -> None:
    (tmp_path / "c.txt").write_text("dog\ncat\n")
    run("init", tmp_path / "ws", "--classes", tmp_path / "c.txt", "--index", index)
    place = f"captrawl -C {tmp_path / 'ws'}"
    lines = {
        f"{place} sample --method T2T-rank-": "T2T-rank-T2I-tshd",
        f"{place} sample --name T": "T2T500",
        f"{place} export --to web": "webdataset",
        f"{place} similar --class c": "cat",
        f"{place} similar --in im": "images",
        "captrawl index captions --preset coyo": "coyo",
    }
    for line, completed in lines.items():
        environment = {**os.environ, "_CAPTRAWL_COMPLETE": "complete_bash", "COMP_WORDS": line}
        environment["COMP_CWORD"] = str(len(line.split()) - 1)
        done = subprocess.run(
            [sys.executable, "-m", "captrawl"], env=environment, capture_output=True, text=True, check=False
        )
        assert completed in done.stdout, (line, done.stdout, done.stderr)


@pytest.mark.parametrize("text", ["[]", '{"format": 1, "stages": []}', "[" * 100_000])
def test_a_lock_file_that_is_none_is_a_line(captrawl, index: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "c.txt").write_text("dog\n")
    captrawl("init", tmp_path / "ws", "--classes", tmp_path / "c.txt", "--index", index)
    (tmp_path / "ws" / "captrawl.lock.json").write_text(text)
    done = captrawl("-C", tmp_path / "ws", "match", check=False)
    assert done.returncode == 1
    assert "captrawl.lock.json" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_spoil_no_file(index: Path, tmp_path: Path, closed: str) -> None:
    """The next file opened once took the free descriptor, and lines were printed into it."""
    (tmp_path / "c.txt").write_text("dog\n")
    run("init", tmp_path / "ws", "--classes", tmp_path / "c.txt", "--index", index)
    command = shlex.join([sys.executable, "-m", "captrawl", "-C", str(tmp_path / "ws"), "match"])
    done = subprocess.run(f"{command} {closed}", shell=True, check=False)
    assert done.returncode == 0
    assert pq.read_table(tmp_path / "ws" / "matches.parquet").num_rows == 1


def test_a_terminal_that_is_ascii_shows_what_it_can(index: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "captrawl"]
    for words in (["count", "café"], ["query", "golden retriever"]):
        done = subprocess.run(
            [*command, *words, "--index", str(index)], env=environment, capture_output=True, check=False
        )
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    done = subprocess.run(
        [*command, "query", "golden retriever", "--index", str(index), "--json"], env=environment,
        capture_output=True, check=True,
    )  # fmt: skip
    assert any("犬" in row["caption"] for row in json.loads(done.stdout)["rows"])
