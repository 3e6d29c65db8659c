"""docs/from-swat.md typed: from a SWAT user's database, metrics and folder to lists in SWAT's own form."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest


@pytest.fixture
def typed(captrawl, tmp_path: Path):
    """Type a command line in a folder of one's own."""

    def run(line: str) -> str:
        words = line.split()
        assert words[0] == "captrawl"
        return captrawl(*(word.strip("'") for word in words[1:]), cwd=tmp_path).stdout

    return run


def test_from_the_database(typed, make_swat, tmp_path: Path) -> None:
    swat = make_swat(features=False, database=True)
    (tmp_path / "laion400m.db").symlink_to(swat.root / "laion400m.db")
    metrics = swat.root / "shapes_metrics-LAION400M.json"
    assert "9 rows added" in typed("captrawl index captions laion400m.db --to IDX")
    typed(f"captrawl init X --classes {metrics} --index IDX --profile swat --model {swat.model}")
    compared = json.loads(typed(f"captrawl -C X match --compare {metrics} --json"))
    assert [(x["total"], x["actual_freq"]) for x in compared["classes"]] == [(5, 6), (4, 7), (0, 0)]
    assert "matches 9" in typed("captrawl -C X match --all")
    assert "matches 6" in typed("captrawl -C X match --sample 3")
    assert "verified" in typed("captrawl -C X status --verify")
    converted = json.loads(typed(f"captrawl classes convert {metrics} --to json"))
    assert [entry["name"] for entry in converted["classes"]] == ["red star", "blue_disc", "unicorn"]


def test_from_the_folder(typed, make_swat, swat_reader, tmp_path: Path) -> None:
    swat = make_swat()
    said = typed(f"captrawl import swat {swat.root} --to X --model {swat.model}")
    assert "classes 3, matches 9, images 7, embedded 7" in said
    typed("captrawl -C X run")  # the two URLs that never came are on loopback, which is refused
    images = json.loads(typed("captrawl -C X status --json"))["stages"]
    assert {stage["stage"]: stage["state"] for stage in images} == dict.fromkeys(
        (stage["stage"] for stage in images), "done"
    )
    typed("captrawl -C X sample --name A --rank T2T --keep 'T2I>=-1'")
    typed("captrawl -C X sample --name B --dedup 0.9 --zeroshot")
    typed("captrawl -C X sample --name C --prompt-name most_common_name")
    full = (tmp_path / "X/samples/T2T500.txt").read_text().splitlines()
    kept = (tmp_path / "X/samples/A.txt").read_text().splitlines()
    assert sorted(line.split()[1] for line in kept) == ["0"] * 4 + ["1"] * 3
    assert set(full) <= set(kept)
    assert (tmp_path / "X/samples/C.txt").is_file()
    typed("captrawl -C X export --to swat OUT --name A")
    (listing,) = (tmp_path / "OUT").glob("data/*/A.txt")
    assert len(swat_reader(listing, Path("/nowhere"))) == len(kept)
    typed("captrawl -C X status --verify")


def test_counts_as_json_and_the_warning_of_a_blank(captrawl, make_swat, tmp_path: Path) -> None:
    swat = make_swat(features=False)
    done = captrawl("import", "swat", swat.root, "--to", tmp_path / "a b", "--json")
    assert json.loads(done.stdout) == {"counts": {"classes": 3, "matches": 9, "without_url": 0, "images": 7}}
    assert re.search(r"warning: .*/a b contains a space, .* no\s+sample can be drawn", done.stderr, re.DOTALL)


def test_the_caution_comes_before_anything_is_fetched(captrawl, make_swat, tmp_path: Path) -> None:
    swat = make_swat(features=False, database=True)
    caution = r"note: .*child abuse material \(CSAM\).* such as the NSFW tag, .*Re-LAION"
    said = captrawl("import", "swat", swat.root, "--to", tmp_path / "imported").stderr
    assert re.search(caution, said, re.DOTALL)
    captrawl("index", "captions", swat.root / "laion400m.db", "--to", tmp_path / "index")
    metrics = swat.root / "shapes_metrics-LAION400M.json"
    captrawl("init", tmp_path / "w", "--classes", metrics, "--index", tmp_path / "index")
    task = ("-C", tmp_path / "w")
    assert not re.search(caution, captrawl(*task, "match").stderr, re.DOTALL)
    assert re.search(caution, captrawl(*task, "download", "--plan-only").stderr, re.DOTALL)
    assert not re.search(caution, captrawl(*task, "download").stderr, re.DOTALL)  # said once a workspace
