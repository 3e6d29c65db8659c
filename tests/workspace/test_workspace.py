"""Workspaces: settings with their errors, atomic artefacts, locks, and the record of stages."""

from __future__ import annotations

import json
import multiprocessing
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from captrawl.classes.model import ClassEntry, Synonym
from captrawl.core.errors import SettingsError, StorageError, WorkspaceError
from captrawl.core.files import atomic, digest, write_json
from captrawl.core.version import __version__
from captrawl.indexer.download.session import DOWNLOAD
from captrawl.indexer.match_stage import MATCH
from captrawl.sampling.report.stage import REPORT
from captrawl.sampling.task import sample_facts
from captrawl.workspace import pipeline
from captrawl.workspace.doctor import Verdict, examine
from captrawl.workspace.settings import (
    SampleSettings,
    Settings,
    load_settings,
    parse_settings,
    sample_settings,
    save_settings,
)
from captrawl.workspace.settings_edits import edit_settings, put_sample
from captrawl.workspace.workspace import StageRecord, Workspace

CLASSES = (ClassEntry(0, "dog", (Synonym("dog"), Synonym("puppy"))),)
SETTINGS = Settings.model_validate({"captions": {"index": "idx"}})


def test_settings_survive_the_file(tmp_path: Path) -> None:
    given = parse_settings(
        {
            "captions": {"index": "http://host:9200/laion"},
            "match": {"sample": "all", "filters": {"nsfw": ["UNLIKELY"], "min_similarity": 0.3}},
            "sample": [{"name": "a"}, {"name": "b", "rank": "T2T", "keep": ["T2I>=0.25"]}],
        },
        "test",
    )
    save_settings(given, tmp_path / "captrawl.toml")
    assert load_settings(tmp_path / "captrawl.toml") == given


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"download": {"retrys": 1}}, "unknown key 'download.retrys'; did you mean 'retries'?"),
        ({"downlaod": {}}, "unknown key 'downlaod'; did you mean 'download'?"),
        ({"match": {"filters": {"min_sid": 1}}}, "did you mean 'min_side'?"),
        ({"sample": [{"nmae": "x"}]}, "unknown key 'sample.0.nmae'; did you mean 'name'?"),
        ({"download": {"deadline": -1}}, "download.deadline: Input should be greater than 0 (got -1)"),
        ({"model": {"precision": "int8"}}, "(got 'int8')"),
        ({"sample": [{"name": "../../etc/passwd"}]}, "sample.0.name"),
        ({"sample": [{"name": "a"}, {"name": "a"}]}, "two samples are named 'a'"),
        ({"sample": [{"method": "T2T-rank", "rank": "T2T"}]}, "not both"),
        ({"sample": [{"threshold": float("nan")}]}, "sample.0.threshold: Input should be a finite number"),
    ],
)
def test_wrong_settings_are_named(data: dict[str, object], expected: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse_settings({"captions": {"index": "idx"}, **data}, "birds/captrawl.toml")
    assert str(error.value).startswith("birds/captrawl.toml: ")
    assert expected in str(error.value)


@pytest.mark.parametrize("text", ["[captions", "\xff\xfe", "[captions]\nindex = 3"])
def test_broken_toml_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "captrawl.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"captrawl\.toml"):
        load_settings(path)


def test_a_missing_index_is_named() -> None:
    with pytest.raises(SettingsError, match="captions: Field required"):
        parse_settings({}, "captrawl.toml")


def test_a_samples_own_error_is_short() -> None:
    with pytest.raises(SettingsError, match="n: Input should be greater than or equal to 1"):
        sample_settings(name="x", n=0)


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", "-x", "é", "x\n", "x" * 101])
def test_a_samples_name_is_asked_for_in_words(name: str) -> None:
    words = f"name: use letters, digits and . _ + -, a letter or digit first, 100 at most (got {name!r})"
    with pytest.raises(SettingsError, match=re.escape(words)):
        sample_settings(name=name)


def test_a_workspace_is_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "birds"
    made = Workspace.create(folder, SETTINGS, CLASSES)
    assert Workspace.open(folder).settings() == SETTINGS
    assert json.loads((folder / "classes.json").read_text())["classes"][0]["name"] == "dog"
    with pytest.raises(WorkspaceError, match="is a captrawl workspace already"):
        Workspace.create(folder, SETTINGS, ())
    assert made.classes_path() == folder / "classes.json"


def test_no_workspace_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"no captrawl\.toml"):
        Workspace.open(tmp_path)


COMMENTED = """# birds of the pond
[captions]
index = "idx"  # the lab's

[match]
seed = 3
sample = 100  # enough

# the lists
[[sample]]
n = 20
name = "A"  # small
dedup = 0.9
"""


def test_a_changed_setting_leaves_the_rest_of_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "captrawl.toml"
    path.write_text(COMMENTED)
    edit_settings(path, {"match": {"sample": "all"}, "download": {"resize": 256}})
    lines = path.read_text().split("\n")
    assert 'sample = "all" # enough' in [" ".join(line.split()) for line in lines]
    added = {"", "[download]", "resize = 256"}
    old = {" ".join(line.split()) for line in COMMENTED.replace("sample = 100", 'sample = "all"').split("\n")}
    assert {" ".join(line.split()) for line in lines} == old | added
    settings = load_settings(path)
    assert (settings.match.sample, settings.match.seed, settings.download.resize) == ("all", 3, 256)


def test_a_sample_takes_the_place_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "captrawl.toml"
    path.write_text(COMMENTED)
    put_sample(path, SampleSettings(name="A", n=20, zeroshot=True))
    assert path.read_text() == COMMENTED.replace("dedup = 0.9", "zeroshot = true")
    put_sample(path, SampleSettings(name="B", method="T2I-rank"))
    assert path.read_text().startswith(COMMENTED.replace("dedup = 0.9", "zeroshot = true"))
    stored = [(sample.name, sample.n, sample.method) for sample in load_settings(path).sample]
    assert stored == [("A", 20, ""), ("B", 500, "T2I-rank")]


def test_the_default_sample_stays_beside_the_first_that_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "captrawl.toml"
    path.write_text('[captions]\nindex = "idx"\n')
    put_sample(path, SampleSettings(name="B"))
    assert [sample.name for sample in load_settings(path).sample] == ["T2T500", "B"]
    put_sample(path, SampleSettings(name="C", n=7))
    assert '"B"\nn = 500\n\n[[sample]]\nname = "C"' in path.read_text(), "a blank line parts the tables"


def test_an_override_is_for_one_call(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w", SETTINGS, CLASSES)
    private = workspace.overriding({"download": {"allow_private": True}})
    assert private.settings().download.allow_private
    assert private.overriding({"match": {"seed": 4}}).settings().download.allow_private
    assert not workspace.settings().download.allow_private
    with pytest.raises(SettingsError, match=r"download\.retries"):
        workspace.overriding({"download": {"retries": -1}}).settings()


def test_stages_are_recorded_and_forgotten(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w", SETTINGS, CLASSES)
    assert workspace.recorded("match") is None
    MATCH.record(workspace, {"seed": digest(0)}, {"matches": 3}, {"index": "idx"})
    DOWNLOAD.record(workspace, {}, {"packed": 2})
    assert workspace.recorded("match") == StageRecord({"seed": digest(0)}, {"matches": 3}, {"index": "idx"})
    workspace.forget("match")
    assert workspace.recorded("match") is None
    assert workspace.recorded("download") == StageRecord({}, {"packed": 2}, {})


def test_the_lock_file_says_what_made_a_stage(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w", SETTINGS, CLASSES)
    for facts in (MATCH, DOWNLOAD, sample_facts("A"), REPORT):
        facts.record(workspace, {}, {})
    stages = json.loads(workspace.lock_path.read_text())["stages"]
    made = {stage: entry["made_by"] for stage, entry in stages.items()}
    assert made["match"]["versions"].items() >= {
        "captrawl": __version__, "tantivy": metadata.version("tantivy"),
    }.items()  # fmt: skip
    given = SETTINGS.model_dump(mode="json", exclude_none=True)
    assert made["match"]["settings"] == {name: given[name] for name in ("task", "captions", "match")}
    assert made["download"]["settings"] == {"download": given["download"]}
    assert [made[stage]["settings"] for stage in ("sample:A", "report")] == [{}, {}]


@pytest.mark.parametrize("text", ["", "{", '{"format": 99, "stages": {}}'])
def test_a_broken_lock_file_is_a_clear_error(tmp_path: Path, text: str) -> None:
    workspace = Workspace.create(tmp_path / "w", SETTINGS, CLASSES)
    workspace.lock_path.write_text(text)
    with pytest.raises(WorkspaceError, match=r"captrawl\.lock\.json"):
        workspace.recorded("match")


def hold(folder: Path, held: object, release: object) -> None:
    with Workspace(folder).locked("download"):
        held.set()
        release.wait(30)


def test_a_stage_runs_once_at_a_time(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w", SETTINGS, CLASSES)
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=hold, args=(workspace.root, held, release))
    other.start()
    assert held.wait(30)
    with (
        pytest.raises(WorkspaceError, match="another process is running 'download'"),
        workspace.locked("download"),
    ):
        pass
    with workspace.locked("embed"):
        pass
    other.kill()
    other.join()
    with workspace.locked("download"):  # the kernel dropped the dead process's lock
        pass


def test_a_failed_write_leaves_the_artefact_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(OSError, match="full"), atomic(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise OSError("full")
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
def test_a_full_disk_is_named_with_the_artefact(tmp_path: Path) -> None:
    path = tmp_path / "artefact.json"
    message = rf"{path}: No space left on device; free space there"
    with pytest.raises(StorageError, match=message), atomic(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        Path("/dev/full").write_bytes(b"\0")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no /dev/full")
def test_a_full_disk_behind_standard_output_is_named(tmp_path: Path) -> None:
    golden = Path(__file__).resolve().parents[1] / "golden/captions-2/index"
    index = shutil.copytree(golden, tmp_path / "index")
    command = [sys.executable, "-m", "captrawl", "query", "a", "--index", str(index), "--csv"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert "standard output: No space left on device; free space there" in done.stderr
    assert "Traceback" not in done.stderr


def test_digests_are_of_values() -> None:
    assert digest({"b": [1, 2], "a": "é"}) == digest({"a": "é", "b": [1, 2]})
    assert digest([1, 2]) != digest([2, 1])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"model": {"device": "gpu"}}, r"model\.device: .*a GPU is 'cuda' \(got 'gpu'\)"),
        ({"sample": [{"n": "3"}]}, r"sample\.0\.n: .*valid integer.*\(got '3'\)"),
        ({"match": {"seed": "1"}}, r"match\.seed"),
        ({"download": {"allow_private": "yes"}}, r"download\.allow_private"),
        ({"download": {"deadline": "30"}}, r"download\.deadline"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_before_any_work(data: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_settings({"captions": {"index": "idx"}, **data}, "captrawl.toml")


def test_whole_numbers_stand_for_seconds(tmp_path: Path) -> None:
    settings = parse_settings({"captions": {"index": "i"}, "download": {"deadline": 30}}, "captrawl.toml")
    assert settings.download.deadline == 30.0


def test_a_relative_model_lies_in_the_workspace(tmp_path: Path, tiny_model: Path, monkeypatch) -> None:
    """run and doctor once looked for it below the folder that they were started in."""
    settings = parse_settings(
        {"captions": {"index": "i"}, "model": {"name": "local-dir:model", "pretrained": ""}},
        "captrawl.tomlcaptrawl.toml",
    )
    workspace = Workspace.create(tmp_path / "w", settings, CLASSES)
    shutil.copytree(tiny_model, workspace.root / "model")
    monkeypatch.chdir(tmp_path)
    pipeline.check(workspace)
    (model,) = [one for one in examine(workspace.root) if one.check == "model"]
    assert model.verdict is Verdict.GOOD, model.text
