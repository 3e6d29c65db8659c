"""draw() on made-up workspaces: the lists, the table, the counts, the reasons, staleness, errors."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from captrawl.classes.files import load_classes
from captrawl.cli import app
from captrawl.core.errors import InputError, WorkspaceError
from captrawl.sampling.files import SAMPLE_SCHEMA, read_list, read_sample
from captrawl.sampling.methods import resolve
from captrawl.sampling.outcome import outcomes, why_nothing
from captrawl.sampling.pool import read_pool, read_pools
from captrawl.sampling.recipes import name_of
from captrawl.sampling.sample import draw, sample_status
from captrawl.sampling.task import paths_of, task_of
from captrawl.search.vectors.models import model_of
from captrawl.search.vectors.store import Embeddings
from captrawl.workspace.settings import SampleSettings, parse_settings, save_settings
from captrawl.workspace.workspace import State
from typer.testing import CliRunner

E = np.eye(4, dtype=np.float32)


def towards(axis: int, cosine: float) -> np.ndarray:
    """A unit vector with this cosine to the axis."""
    other = (axis + 1) % 4
    return (cosine * E[axis] + np.sqrt(1 - cosine**2) * E[other]).astype(np.float32)


def swat_reader(path: Path, root: str = "/elsewhere") -> list[tuple[str, int, int]]:
    """A plain re-implementation of the reader in SWAT's training code: join to a root, split at blanks."""
    lines = []
    for line in path.read_text().splitlines():
        words = line.split(" ")
        assert len(words) == 3, line
        joined = words[0] if words[0].startswith("/") else f"{root}/{words[0]}"
        lines.append((joined, int(words[1]), int(words[2])))
    return lines


@pytest.fixture
def birds(make_workspace, make_row):
    """Two classes with a pool, one without; row 4 has no image, row 5 isn't embedded."""
    rows = [make_row(0, i) for i in range(6)] + [make_row(2, i) for i in (10, 11, 3)]
    rows[1]["caption"] = None
    rows[2]["caption"] = "two\nlines, and a comma"
    vectors = {
        0: (towards(0, 0.5), towards(0, 0.1)),
        1: (towards(0, 0.2), towards(0, 0.9)),
        2: (towards(0, 0.3), towards(0, 0.4)),
        3: (towards(0, 0.4), towards(0, 0.4)),
        10: (towards(2, 0.8), towards(2, -0.3)),
        11: (towards(2, 0.1), towards(2, 0.6)),
    }
    return make_workspace(
        rows, vectors, prompts=E[:3], unusable={"http://127.0.0.1/4.jpg": "http_404"}, pictures=True
    )


def test_t2t_rank_writes_every_file_in_its_format(birds) -> None:
    workspace = birds.workspace
    counts = draw(workspace, SampleSettings(n=3))
    root = workspace.root
    images = {
        row["uid"]: row["path"]
        for row in read_sample(paths_of(workspace, "T2T500")).to_pylist()
        if row["path"]
    }
    table = read_sample(paths_of(workspace, "T2T500"))
    assert table.schema.equals(SAMPLE_SCHEMA)
    listed = [
        (row["class_id"], row["uid"], row["kept"], row["rank"], row["reason"]) for row in table.to_pylist()
    ]
    assert listed == [
        (0, 1, True, 1, ""),
        (0, 2, True, 2, ""),  # equal scores: the lower uid first
        (0, 3, True, 3, ""),
        (2, 11, True, 1, ""),
        (2, 3, True, 2, ""),  # orthogonal to class 2: a score of 0 is kept
        (0, 0, False, None, "beyond_n"),
        (0, 4, False, None, "no_image: http_404"),
        (0, 5, False, None, "not_embedded"),
        (2, 10, False, None, "T2T<0"),
    ]
    lines = swat_reader(root / "samples/T2T500.txt")
    assert lines == [
        (f"{root}/{images[uid]}", label, 0) for uid, label in ((1, 0), (2, 0), (3, 0), (11, 2), (3, 2))
    ]
    assert all(Path(path).is_file() for path, _, _ in lines)
    assert [(line.path, line.label, line.flag) for line in read_list(root / "samples/T2T500.txt")] == lines
    text = (root / "samples/T2T500_num_imgs_sampled.json").read_text()
    assert json.loads(text) == {"0": 3, "1": 0, "2": 2}
    assert text == json.dumps({"0": 3, "1": 0, "2": 2}, indent=4)
    assert (root / "samples/T2T500_sampled_list.txt").read_text() == "\n".join(
        [
            f"0.9/0.0, {root}/{images[1]}, N.A.",
            f"0.4/0.0, {root}/{images[2]}, two lines, and a comma",
            f"0.4/0.0, {root}/{images[3]}, caption 3",
            f"0.6/0.0, {root}/{images[11]}, caption 11",
            f"0.0/0.0, {root}/{images[3]}, caption 3",
        ]
    )
    filtered = (root / "samples/T2T500_filtered_list.txt").read_text()
    assert filtered == f"-0.3/0.0, {root}/{images[10]}, caption 10"
    assert counts == {
        "classes": 3, "without_pool": 1, "pool": 9, "embedded": 7, "kept": 5,
        "beyond_n": 1, "no_image": 1, "not_embedded": 1, "T2T<0": 1,
    }  # fmt: skip


def test_a_sample_and_its_export_are_told_in_json(birds, tmp_path) -> None:
    root = birds.workspace.root
    drawn = CliRunner().invoke(app, ["-C", str(root), "sample", "-n", "3", "--json"])
    names = [entry.name for entry in load_classes(birds.workspace.classes_path())]
    assert json.loads(drawn.stdout) == {
        "sample": "T2T3",
        "name": "T2T3",
        "kept": 5,
        "n": 3,
        "classes": [{"id": i, "name": names[i], "kept": kept} for i, kept in enumerate((3, 0, 2))],
        "short": [1, 2],
        "counts": dict(birds.workspace.recorded("sample:T2T3").counts),
        "list": str(root / "samples" / "T2T3.txt"),
    }
    command = ["-C", str(root), "export", "--to", "urls", str(tmp_path / "out"), "--name", "T2T3", "--json"]
    told = json.loads(CliRunner().invoke(app, command).stdout)
    assert told["folder"] == str(tmp_path / "out")
    assert told["counts"]["urls"] == 5


def test_the_classes_short_of_n_are_named(birds) -> None:
    done = CliRunner().invoke(app, ["-C", str(birds.workspace.root), "sample", "-n", "3"])
    names = [entry.name for entry in load_classes(birds.workspace.classes_path())]
    assert f"short of 3: 2 of 3 classes ({names[1]} 0, {names[2]} 2)" in done.stdout.splitlines()


def test_an_empty_sample_says_why(birds) -> None:
    done = CliRunner().invoke(app, ["-C", str(birds.workspace.root), "sample", "--keep", "T2I>=0.99"])
    assert done.exit_code == 0
    assert "every matched row was dropped (T2I<0.99 7, " in done.stdout


def test_why_nothing_was_kept_names_the_reason_and_the_remedy(make_workspace, make_row) -> None:
    rows = [make_row(0, n) for n in range(9)]
    unusable = {row["url"]: "private_address" for row in rows[:8]} | {rows[8]["url"]: "http_404"}
    made = make_workspace(rows, {}, prompts=E[:1], unusable=unusable)
    assert outcomes(made.workspace) == []
    draw(made.workspace, made.workspace.settings().sample[0])
    [outcome] = outcomes(made.workspace)
    assert (outcome.name, outcome.kept, [entry.id for entry in outcome.short]) == ("T2T500", 0, [0])
    why = why_nothing(made.workspace, "T2T500")
    assert why.startswith(
        "every matched row was dropped (no_image: private_address 8, no_image: http_404 1);"
    )
    assert "--allow-private" in why


def test_a_name_alone_draws_the_sample_as_the_settings_have_it(birds) -> None:
    workspace = birds.workspace
    command = ["-C", str(workspace.root), "sample", "--name", "mine"]
    assert CliRunner().invoke(app, [*command, "--rank", "T2I", "-n", "2"]).exit_code == 0
    asked = next(spec for spec in workspace.settings().sample if spec.name == "mine")
    first = (workspace.samples_folder / "mine.txt").read_text()
    assert CliRunner().invoke(app, command).exit_code == 0
    assert asked in workspace.settings().sample
    assert (workspace.samples_folder / "mine.txt").read_text() == first
    again = [*command, "-n", "500", "--replace"]  # described anew, all else as usual
    assert CliRunner().invoke(app, again).exit_code == 0
    assert SampleSettings(name="mine") in workspace.settings().sample


def test_another_choice_never_takes_the_name_of_a_sample_that_stands(birds) -> None:
    workspace = birds.workspace
    command = ["-C", str(workspace.root), "sample"]
    assert CliRunner().invoke(app, command).exit_code == 0
    before = {path.name: path.read_bytes() for path in workspace.samples_folder.iterdir()}
    assert CliRunner().invoke(app, [*command, "--method", "T2I-rank", "-n", "2"]).exit_code == 0
    assert {name: (workspace.samples_folder / name).read_bytes() for name in before} == before
    assert (workspace.samples_folder / "T2I2.txt").exists()
    refused = CliRunner().invoke(app, [*command, "--name", "T2T500", "--method", "T2I-rank", "-n", "2"])
    assert refused.exit_code == 1
    said = " ".join(refused.stderr.split())
    assert "sample 'T2T500' is another one: T2T-rank (by T2T, T2T>=0), n 500" in said
    assert "--name T2I2" in said
    assert {name: (workspace.samples_folder / name).read_bytes() for name in before} == before
    equal = CliRunner().invoke(app, [*command, "--name", "T2T500", "--method", "T2T-rank", "-n", "500"])
    assert equal.exit_code == 0
    settings = workspace.settings()
    save_settings(settings.model_copy(update={"sample": []}), workspace.settings_path)
    assert CliRunner().invoke(app, [*command, "--name", "T2T500", "-n", "2"]).exit_code == 1  # as drawn
    done = CliRunner().invoke(app, [*command, "--name", "T2T500", "-n", "2", "--replace"])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ({}, "T2T500"),
        ({"method": "T2I-rank", "n": 5}, "T2I5"),
        ({"method": "Random", "n": 2}, "Random2"),
        ({"method": "Random", "seed": 3}, "Random500+seed3"),
        ({"method": "T2T-rank", "seed": 3}, "T2T500"),
        ({"method": "T2T-rank-T2I-tshd"}, "T2T500+T2I0.25"),
        ({"rank": "T2T", "keep": ["T2I>=0.25"]}, "T2T500+T2I0.25"),
        ({"method": "Random-I2I", "threshold": 0.4}, "Random500+I2I.mean0.4"),
        ({"method": "auto", "n": 50}, "auto50"),
        ({"rank": "I2I", "keep": ["T2I<0.3", "I2T>0.1"]}, "I2I500+T2Ibelow0.3+I2Tabove0.1"),
        ({"rank": "T2I+I2I", "keep": ["T2I>=q40", "probe>=mix"]}, "T2I-I2I500+T2Iq40+probemix"),
        ({"rank": "rrf(T2T,T2I)", "n": 5}, "rrf-T2T-T2I5"),
        ({"dedup": 0.9, "zeroshot": True, "tail": True}, "T2T500+dedup0.9+zeroshot+tail"),
        ({"referee": "drop", "leak_guard": "tests.txt", "names": "name"}, "T2T500+guard+drop+name"),
    ],
)
def test_the_name_follows_from_the_choice(choice: dict[str, object], name: str) -> None:
    spec = SampleSettings.model_validate(choice)
    assert name_of(spec, resolve(spec)) == name
    assert SampleSettings(name=name).name == name


def test_swats_word_for_synonyms_is_known(birds) -> None:
    command = ["-C", str(birds.workspace.root), "sample", "--prompt-name", "alternates"]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert birds.workspace.settings().sample[-1].names == "synonyms"


def test_prompt_names_are_the_samples_own(birds) -> None:
    workspace = birds.workspace
    command = ["-C", str(workspace.root), "sample"]
    assert CliRunner().invoke(app, command).exit_code == 0
    before = workspace.settings_path.read_text()
    first = (workspace.samples_folder / "T2T500.txt").read_bytes()
    drawn = task_of(workspace, SampleSettings(names="most_common_name"))
    assert drawn.names == [(entry.name,) for entry in load_classes(workspace.classes_path())]
    assert CliRunner().invoke(app, [*command, "--prompt-name", "synonyms", "-n", "2"]).exit_code == 0
    settings = workspace.settings()
    assert settings.model.names == parse_settings(tomllib.loads(before), "before").model.names
    assert [(spec.name, spec.names) for spec in settings.sample][-1] == ("T2T2+synonyms", "synonyms")
    assert sample_status(workspace, settings.sample[0]).state is State.DONE
    assert (workspace.samples_folder / "T2T500.txt").read_bytes() == first


def test_scores_of_every_row_are_in_the_table(birds) -> None:
    draw(birds.workspace, SampleSettings(n=3, name="all"))
    rows = {(r["class_id"], r["uid"]): r for r in read_sample(paths_of(birds.workspace, "all")).to_pylist()}
    assert rows[0, 0]["T2T"] == 0.1
    assert rows[0, 0]["T2I"] == 0.5
    assert rows[2, 10]["T2T"] == -0.3
    assert rows[0, 0]["I2I_mean"] is None
    assert rows[0, 4]["T2T"] is None
    assert rows[0, 5]["sha256"] is not None


def test_two_scores_are_listed_with_their_thresholds(birds) -> None:
    draw(birds.workspace, SampleSettings(name="t", method="T2T-rank-T2I-tshd", n=1))
    folder = birds.workspace.samples_folder
    sampled = [line.split(", ")[:2] for line in (folder / "t_sampled_list.txt").read_text().splitlines()]
    filtered = [line.split(", ")[:2] for line in (folder / "t_filtered_list.txt").read_text().splitlines()]
    assert sampled == [["0.4/0.0", "0.3/0.25"], ["-0.3/0.0", "0.8/0.25"]]
    assert filtered == [["0.9/0.0", "0.2/0.25"], ["0.6/0.0", "0.1/0.25"], ["0.0/0.0", "0.0/0.25"]]


def test_shots_any_number_a_class(make_workspace, make_row) -> None:
    """Defect 10 of the origin: sixteen shots were insisted on, and the I2I samplers ended in a TypeError."""
    rows = [make_row(c, 10 * c + i) for c in range(3) for i in range(3)]
    vectors = {
        10 * c + i: (towards(c, 0.2 + 0.3 * i), towards(c, 0.8 - 0.3 * i)) for c in range(3) for i in range(3)
    }
    shots = {0: np.stack([E[0]]), 1: np.stack([E[1], -E[1], E[2]])}
    made = make_workspace(rows, vectors, prompts=E[:3], shots=shots)
    draw(made.workspace, SampleSettings(name="i2i", method="I2I-rank", n=2))
    table = read_sample(paths_of(made.workspace, "i2i")).to_pylist()
    kept = [(row["class_id"], row["uid"]) for row in table if row["kept"]]
    # class 1's mean over shots is E[2] / 3: the larger the angle to E[1], the nearer; class 2 has no shots
    assert kept == [(0, 2), (0, 1), (1, 10), (1, 11)]
    by_uid = {row["uid"]: row for row in table}
    assert by_uid[0]["I2I_max"] == 0.2
    assert by_uid[10]["I2I_max"] == pytest.approx(np.sqrt(1 - 0.04), abs=1e-6)
    assert by_uid[20]["reason"] == "no_score"
    draw(made.workspace, SampleSettings(name="r", method="Random-I2I", threshold=0.4, n=5))
    kept = {row["uid"] for row in read_sample(paths_of(made.workspace, "r"), kept=True).to_pylist()}
    assert kept == {1, 2}
    for method in ("I2T-rank", "T2T-rank-I2T-tshd", "T2T-rank-I2I-tshd", "I2T-tshd"):
        draw(made.workspace, SampleSettings(name=method, method=method))


def test_a_method_that_needs_shots_says_so_before_any_work(birds) -> None:
    with pytest.raises(InputError, match=r"I2I-rank needs few shots.*set shots"):
        draw(birds.workspace, SampleSettings(method="I2I-rank"))
    assert not birds.workspace.samples_folder.exists()


def test_a_missing_caption_and_broken_vectors_are_counted(make_workspace, make_row) -> None:
    """Defect 10: an image without a caption was a KeyError."""
    nothing = np.full(4, np.nan, np.float32)
    rows = [make_row(0, 1, caption=None), make_row(0, 2), make_row(0, 3)]
    vectors = {1: (E[0], E[0]), 2: (nothing, E[0]), 3: (E[0], nothing)}
    made = make_workspace(rows, vectors, prompts=E[:1])
    counts = draw(made.workspace, SampleSettings(name="t2t"))
    assert (counts["kept"], counts["no_score"]) == (2, 1)
    counts = draw(made.workspace, SampleSettings(name="t2i", method="T2I-rank", dedup=0.9, zeroshot=True))
    assert (counts["kept"], counts["no_score"], counts["near_duplicate"]) == (1, 1, 1)
    assert draw(made.workspace, SampleSettings(name="all", method="Random"))["kept"] == 3


def test_identity_is_the_uid_never_a_place(make_workspace, make_row) -> None:
    """Defects 1 and 2: file numbers were taken for row numbers, and two matrices joined by position.

    The vectors lie in another order than the matches, in two shards; the drop must hit the right picture.
    """
    generator = np.random.default_rng(0)
    vectors = {}
    for uid in range(40):
        axis = generator.standard_normal(4)
        axis = (axis / np.linalg.norm(axis)).astype(np.float32)
        vectors[uid] = (axis, towards(0, 0.9 - uid / 100))
    for copy, original in ((17, 3), (29, 5)):
        vectors[copy] = (vectors[original][0], vectors[copy][1])
    made = make_workspace([make_row(0, uid) for uid in range(40)], vectors, prompts=E[:1])
    draw(made.workspace, SampleSettings(name="d", dedup=0.9999))
    rows = read_sample(paths_of(made.workspace, "d")).to_pylist()
    assert {row["uid"] for row in rows if row["reason"] == "near_duplicate"} == {17, 29}
    draw(made.workspace, SampleSettings(name="z", method="T2I-rank", zeroshot=True))
    for row in read_sample(paths_of(made.workspace, "z")).to_pylist():
        assert row["T2I"] == round(float(vectors[row["uid"]][0][0]), 6)
        assert row["T2T"] == round(float(vectors[row["uid"]][1][0]), 6)


def test_one_image_of_two_classes_is_in_both_and_repeats_in_neither(make_workspace, make_row) -> None:
    """Defect 8: duplicates across classes went unseen. They are in both pools, and the table shows it."""
    same = "http://127.0.0.1/same.jpg"
    rows = [make_row(0, 1, url=same), make_row(0, 2, url=same), make_row(1, 1, url=same), make_row(0, 3)]
    rows.append(make_row(0, 1, url=same, row=99))  # the corpus repeats the row
    hashes = {same: "a" * 64, "http://127.0.0.1/3.jpg": "a" * 64}
    vectors = {uid: (towards(0, 0.9), towards(0, uid / 4)) for uid in (1, 2, 3)}
    made = make_workspace(rows, vectors, prompts=E[:2], hashes=hashes)
    draw(made.workspace, SampleSettings())
    rows = read_sample(paths_of(made.workspace, "T2T500")).to_pylist()
    assert [(row["class_id"], row["uid"], row["reason"]) for row in rows] == [
        (0, 3, ""), (1, 1, ""), (0, 1, "same_image"), (0, 2, "same_image"), (0, 1, "same_image")
    ]  # fmt: skip


def test_pools_come_in_class_order_with_gaps(make_workspace, make_row) -> None:
    rows = [make_row(c, 10 * c) for c in (1, 3, 7)]  # 7 is no longer in the list
    made = make_workspace(rows, {10: (E[1], E[1]), 30: (E[3], E[3])}, prompts=E)
    counts = draw(made.workspace, SampleSettings())
    assert json.loads(paths_of(made.workspace, "T2T500").counts.read_text()) == {
        "0": 0,
        "1": 1,
        "2": 0,
        "3": 1,
    }
    assert (counts["classes"], counts["without_pool"], counts["pool"]) == (4, 2, 2)


def test_a_classs_pool_is_the_same_alone_and_among_all(birds) -> None:
    place = birds.workspace
    embeddings = Embeddings.open(place.embeddings_folder(model_of(place).slug))
    pools = list(read_pools(place, load_classes(place.classes_path()), embeddings))
    assert [(pool.class_id, pool.table.num_rows, len(pool.rows)) for pool in pools] == [
        (0, 6, 4),
        (1, 0, 0),
        (2, 3, 3),
    ]
    for pool in pools:
        alone = read_pool(place, pool.class_id, embeddings)
        assert alone.table.to_pylist() == pool.table.to_pylist()
        assert alone.embedded.tolist() == pool.embedded.tolist()
    rows = np.array([3, -1, 0, 3])
    hashes = embeddings.metadata["sha256"].to_pylist()
    assert embeddings.take("sha256", rows).to_pylist() == [hashes[3], None, hashes[0], hashes[3]]


def test_no_match_at_all_is_fine(make_workspace) -> None:
    made = make_workspace([], {}, prompts=E[:2])
    assert draw(made.workspace, SampleSettings(dedup=0.9, zeroshot=True))["kept"] == 0
    assert paths_of(made.workspace, "T2T500").listing.read_text() == ""
    assert read_sample(paths_of(made.workspace, "T2T500")).num_rows == 0


def test_a_blank_in_a_path_is_refused_with_the_reason(make_workspace, make_row) -> None:
    made = make_workspace([make_row(0, 1)], {1: (E[0], E[0])}, prompts=E[:1], folder="my birds")
    with pytest.raises(WorkspaceError, match=r"my birds contains a space.*move the workspace"):
        draw(made.workspace, SampleSettings())
    made = make_workspace([make_row(0, 1), make_row(0, 2)], {1: (E[0], E[0]), 2: (E[0], E[0])}, prompts=E[:1])
    images = pq.read_table(made.workspace.images_path).to_pylist()
    images[0]["path"] = "images/adopted/a b.jpg"
    import pyarrow as pa
    from captrawl.core.records import IMAGE_SCHEMA

    pq.write_table(pa.Table.from_pylist(images, IMAGE_SCHEMA), made.workspace.images_path)
    counts = draw(made.workspace, SampleSettings())
    assert (counts["kept"], counts["blank_in_path"]) == (1, 1)


def test_status_says_what_changed(birds) -> None:
    workspace, spec = birds.workspace, SampleSettings(n=3)
    assert sample_status(workspace, spec).state is State.MISSING
    counts = draw(workspace, spec)
    done = sample_status(workspace, spec)
    assert (done.state, dict(done.counts)) == (State.DONE, counts)
    stale = sample_status(workspace, SampleSettings(n=4))
    assert (stale.state, stale.reason) == (State.STALE, "method changed since")
    assert sample_status(workspace, SampleSettings(n=3, seed=5)).state is State.DONE  # T2T-rank has no seed
    paths_of(workspace, "T2T500").listing.unlink()
    lost = sample_status(workspace, spec)
    assert (lost.state, lost.reason) == (State.PARTIAL, "T2T500.txt not there")
    draw(workspace, spec)
    matches = pq.read_table(workspace.matches_path)
    pq.write_table(matches.slice(0, 8), workspace.matches_path)
    assert sample_status(workspace, spec).reason == "matches changed since"


def test_a_second_draw_gives_the_same_bytes(birds) -> None:
    paths = paths_of(birds.workspace, "s")
    spec = SampleSettings(name="s", method="Random", n=2, seed=3)
    draw(birds.workspace, spec)
    first = [path.read_bytes() for path in paths.all()]
    draw(birds.workspace, spec)
    assert [path.read_bytes() for path in paths.all()] == first
    assert sorted(path.name for path in birds.workspace.samples_folder.iterdir()) == sorted(
        path.name for path in paths.all()
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.jpg 9 1", [":1: label 9", "2 classes"]),
        ("a.jpg 0 1\nmissing.jpg 0 1", [":2: there is no image", "missing.jpg"]),
        ("\n \n", ["lists no image", "`path label flag`"]),
        ("a.jpg", [":1: 'a.jpg' isn't `path label flag`"]),
        ("a.jpg x 1", [":1:", "isn't `path label flag`"]),
    ],
)
def test_bad_shot_lists_name_file_and_line(make_workspace, make_row, tmp_path, text, words) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "shots.txt").write_text(text)
    task = {"task": {"shots": str(tmp_path / "shots.txt"), "root": str(tmp_path)}}
    made = make_workspace([make_row(0, 1)], {1: (E[0], E[0])}, prompts=E[:2], settings=task)
    with pytest.raises(InputError) as error:
        draw(made.workspace, SampleSettings())
    for word in ["shots.txt", *words]:
        assert word in str(error.value)


def test_stages_that_come_first_are_named(make_workspace, make_row) -> None:
    made = make_workspace([make_row(0, 1)], {1: (E[0], E[0])}, prompts=E[:1])
    made.workspace.images_path.unlink()
    with pytest.raises(WorkspaceError, match="captrawl download first"):
        draw(made.workspace, SampleSettings())
    made.workspace.matches_path.unlink()
    with pytest.raises(WorkspaceError, match="captrawl match first"):
        draw(made.workspace, SampleSettings())


def test_what_a_killed_run_left_is_swept_and_other_samples_files_are_not(birds) -> None:
    folder = birds.workspace.samples_folder
    folder.mkdir()
    left = [".T2T500.parquet.123.tmp", ".T2T500.parquet.123.dropped", ".T2T500.txt.99.tmp"]
    others = [".T2T500.txt.txt.99.tmp", ".T2T500b.txt.99.tmp", "T2T500_notes.txt"]
    for name in [*left, *others]:
        (folder / name).write_text("x")
    draw(birds.workspace, SampleSettings())
    found = {path.name for path in folder.iterdir()}
    assert not found & set(left)
    assert found >= set(others)


def test_a_name_that_would_overwrite_another_samples_list_is_refused(birds) -> None:
    with pytest.raises(InputError, match="can't be named 'T2T500_sampled_list': sample 'T2T500'"):
        draw(birds.workspace, SampleSettings(name="T2T500_sampled_list"))
