"""The closed-form probe, auto, zero-shot and the linear probe, on vectors whose answer is known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from captrawl.cli import app
from captrawl.core.errors import InputError, QueryError, WorkspaceError
from captrawl.core.files import digest
from captrawl.sampling.auto.choice import ShotVerdicts, chosen_of
from captrawl.sampling.auto.contest import folds_of
from captrawl.sampling.evaluate import (
    AccuracyLine,
    evaluate,
    evaluation_path,
    read_evaluation,
    sample_vectors,
)
from captrawl.sampling.files import read_list, read_sample
from captrawl.sampling.marks import Mark, set_marks
from captrawl.sampling.outcome import outcome_of
from captrawl.sampling.probe import Probe, evenly, resampled, wilson
from captrawl.sampling.references import Shots
from captrawl.sampling.sample import Drawer, draw, sample_status
from captrawl.sampling.task import paths_of, task_of
from captrawl.search.vectors.models import model_of
from captrawl.search.vectors.store import Embeddings
from captrawl.workspace.settings import SampleSettings, parse_settings, save_settings
from captrawl.workspace.workspace import State
from typer.testing import CliRunner


def unit(values: np.ndarray) -> np.ndarray:
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


def test_the_probe_is_discriminant_analysis_as_scikit_learn_has_it() -> None:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    generator = np.random.default_rng(0)
    centres = generator.standard_normal((4, 6))
    labels = generator.integers(0, 4, 300)
    vectors = unit(centres[labels] + 0.7 * generator.standard_normal((300, 6)))
    probe, halves = Probe(4, 6), (Probe(4, 6), Probe(4, 6))
    for index in range(4):
        mine = vectors[labels == index]
        probe.add(index, mine)
        halves[0].add(index, mine[::2])
        halves[1].add(index, mine[1::2])
    tests = unit(generator.standard_normal((200, 6)))
    posterior = probe.log_posterior(tests)
    assert np.exp(posterior).sum(axis=1) == pytest.approx(np.ones(200))
    assert halves[0].added(halves[1]).log_posterior(tests) == pytest.approx(posterior, abs=1e-3)
    peer = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1, priors=[0.25] * 4).fit(vectors, labels)
    # scikit-learn weighs each class's covariance by the priors, we by the images: nearly the same
    assert (posterior.argmax(axis=1) == peer.predict(tests)).mean() > 0.97


def test_a_class_without_vectors_is_never_predicted_and_broken_ones_are_passed_over() -> None:
    probe = Probe(3, 2)
    probe.add(0, np.array([[1, 0], [np.nan, 0]], np.float32))
    probe.add(2, np.array([[0, 1]], np.float32))
    posterior = probe.log_posterior(np.array([[0.9, 0.1], [0.2, 0.8]], np.float32))
    assert probe.counts.tolist() == [1, 0, 1]
    assert posterior.argmax(axis=1).tolist() == [0, 2]
    assert (posterior[:, 1] == -np.inf).all()
    assert Probe(2, 2).log_posterior(np.zeros((1, 2), np.float32)).tolist() == [[-np.inf, -np.inf]]


def test_folds_hold_every_class_out_evenly_and_a_single_shot_never() -> None:
    shots = Shots(np.zeros((12, 2), np.float32), np.array([0] * 5 + [1] * 6 + [2]))
    folds = folds_of(shots, seed=1)
    assert sorted(folds[:5].tolist()) == [0, 1, 2, 3, 4]
    assert sorted(folds[5:11].tolist()) == [0, 0, 1, 2, 3, 4]
    assert folds[11] == -1
    assert folds_of(shots, 1).tolist() == folds.tolist()


@pytest.fixture
def polluted(make_workspace, make_row, tmp_path):
    """Three classes; a quarter of each pool is right; captions say nothing, images everything."""
    generator = np.random.default_rng(2)
    centres = np.eye(8)[:3]

    def near(c: int, count: int) -> np.ndarray:
        return unit(centres[c] + 0.25 * generator.standard_normal((count, 8)))

    rows, vectors = [], {}
    for c in range(3):
        for number in range(80):
            uid = 100 * c + number
            image = near(c if number < 20 else (c + 1 + number % 2) % 3, 1)[0]
            vectors[uid] = (image, unit(generator.standard_normal(8)))
            rows.append(make_row(c, uid))
    shots = {c: near(c, 4) for c in range(3)}
    settings = {
        "sample": [
            {"name": "random", "method": "Random", "n": 20},
            {"name": "auto", "method": "auto", "n": 20},
        ]
    }
    return make_workspace(rows, vectors, prompts=unit(np.ones((3, 8))), shots=shots, settings=settings)


def purity(workspace, name: str) -> float:
    rows = read_sample(paths_of(workspace, name), kept=True).to_pylist()
    return sum(row["uid"] % 100 < 20 for row in rows) / len(rows)


def test_auto_chooses_what_the_shots_like_and_shows_why(polluted) -> None:
    workspace = polluted.workspace
    for spec in workspace.settings().sample:
        draw(workspace, spec)
    assert purity(workspace, "random") < 0.4
    assert purity(workspace, "auto") > 0.95
    table = json.loads(paths_of(workspace, "auto").auto.read_text())
    assert table["method"] in ("--rank clean", "--rank fit")  # by images alone: all prompts are the same here
    assert table["format"] == 2
    assert len(table["best"]) == 5
    assert table["best"][0] == next(
        one["method"] for one in table["trials"] if one["method"] != "shots alone"
    )
    assert all(trial["low"] <= trial["accuracy"] <= trial["high"] for trial in table["trials"])
    trials = {(trial["method"], trial["n"]): trial for trial in table["trials"]}
    accuracies = [trial["accuracy"] for trial in table["trials"]]
    assert accuracies == sorted(accuracies, reverse=True)
    assert {trial["n"] for trial in table["trials"]} == {0, 2, 5, 10, 20}
    assert trials["--rank Random", 20]["images"] == 60
    assert trials["shots alone", 0]["accuracy"] == table["alone"]
    assert (
        trials[table["method"], table["n"]]["accuracy"]
        >= accuracies[0] - trials["--rank Random", 20]["error"]
    )
    assert workspace.recorded("sample:auto").details["method"] == table["method"]
    spec = workspace.settings().sample[1]
    outcome = outcome_of(workspace, spec)
    assert outcome.n == table["n"]
    assert outcome.auto.startswith(f"auto: {table['method']}, {table['n']} per class; ")


def test_what_was_confirmed_by_hand_is_a_shot_in_every_fold_of_auto(polluted) -> None:
    workspace = polluted.workspace
    set_marks(workspace, 1, {100: Mark.CONFIRMED, 103: Mark.CONFIRMED, 104: Mark.REJECTED})
    drawer = Drawer.of(workspace, task_of(workspace, workspace.settings().sample[1]))
    fold = np.arange(12) % 4 == 0  # one shot of each class
    shots = drawer.outside(fold).shots
    assert shots.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 1, 1]
    confirmed = [polluted.vectors[uid][0] for uid in (100, 103)]
    assert np.allclose(shots.vectors[-2:], confirmed, atol=1e-3)
    draw(workspace, workspace.settings().sample[1])
    assert {100, 103} <= set(read_sample(paths_of(workspace, "auto"), ["uid"], kept=True)["uid"].to_pylist())


def lines_of(*rights: list[str]) -> np.ndarray:
    """Booleans (orders, numbers, shots) of texts such as 1101."""
    return np.array([[[mark == "1" for mark in line] for line in numbers] for numbers in rights])


def test_the_number_is_the_best_of_the_orders_together_and_the_larger_of_equal_ones() -> None:
    alone = np.array([False] * 8)
    few, many = "11111100", "11110000"
    assert chosen_of(lines_of([few, many], [few, many]), alone) == (0, 0)
    assert chosen_of(lines_of([many, many], [many, many]), alone) == (0, 1)


def test_the_first_order_within_one_standard_error_is_taken() -> None:
    alone = np.array([False] * 16)
    best = "1" * 15 + "0"
    near, far = "1" * 14 + "00", "1" * 8 + "0" * 8
    assert chosen_of(lines_of([near], [best]), alone) == (0, 0)
    assert chosen_of(lines_of([far], [near], [best]), alone) == (1, 0)


def test_none_is_chosen_where_the_shots_alone_are_clearly_better() -> None:
    alone = np.array([True] * 15 + [False])
    assert chosen_of(lines_of(["1" * 8 + "0" * 8]), alone) == (-1, 0)
    assert chosen_of(lines_of(["1" * 14 + "00"]), alone) == (0, 0)


def verdicts_of(correct: np.ndarray, folds: np.ndarray, *, alone: str = "", shots: int = 1) -> ShotVerdicts:
    """ShotVerdicts where each class has ``shots`` in a row."""
    size = correct.shape[2]
    right = np.array([sign == "1" for sign in alone or "0" * size])
    numbers = (10, 100)[: correct.shape[1]]
    return ShotVerdicts(correct, right, np.arange(size) // shots, folds, numbers)


def test_the_accuracy_is_of_what_the_other_folds_choose() -> None:
    folds = np.array([0] * 6 + [1] * 6)
    # each order is right in one fold only: what the other fold likes is wrong here
    correct = lines_of(["111111000000"], ["000000111111"])
    for lines, accuracy in ((correct, 0.0), (correct[:1] | True, 1.0)):
        verdicts = verdicts_of(lines, folds)
        right = [verdicts.right(fold, choice) for fold, choice in verdicts.choices().items()]
        assert np.concatenate(right).mean() == accuracy


def test_a_class_whose_shots_clearly_like_another_n_gets_one_between_its_own_and_the_tasks() -> None:
    folds = np.arange(48) % 5
    good, bad = "1" * 16, "0" * 16
    choice = verdicts_of(lines_of([bad + good + good, good + bad + good]), folds, shots=16).choice()
    assert (choice.order, choice.n) == (0, 100)  # two classes of three as good either way: the larger n
    # 16 shots weigh as much as the task: the middle of 10 and 100 on the scale of log(1 + n)
    assert choice.numbers == {1: round(np.sqrt(11 * 101) - 1)}
    assert [choice.number(index) for index in (0, 1, 2)] == [100, 32, 100]
    seven = lines_of(["0" * 7 + "1" * 7, "1" * 7 + "0" * 7])
    assert verdicts_of(seven, folds[:14], shots=7).choice().numbers == {}, "7 shots can't tell"
    near = lines_of(["0" * 6 + "1" * 10 + good, "0" * 8 + "1" * 8 + good])
    assert verdicts_of(near, folds[:32], shots=16).choice().numbers == {}, "two shots of 16 are chance"
    misled = verdicts_of(lines_of([good + bad]), folds[:32], alone=bad + good, shots=16)
    assert misled.choice().numbers == {1: round(np.sqrt(11) - 1)}, "its own shots alone are better"


def test_none_is_a_sample_of_nothing_said_in_one_line(make_workspace, make_row) -> None:
    """Pools of the other classes' pictures: every sample misleads."""
    generator = np.random.default_rng(3)
    centres = np.eye(8)[:3]

    def near(c: int, count: int) -> np.ndarray:
        return unit(centres[c] + 0.15 * generator.standard_normal((count, 8)))

    vectors = {100 * c + i: (near((c + 1) % 3, 1)[0], near(c, 1)[0]) for c in range(3) for i in range(30)}
    rows = [make_row(uid // 100, uid) for uid in vectors]
    prompts = unit(np.roll(centres, -1, axis=0))
    made = make_workspace(rows, vectors, prompts=prompts, shots={c: near(c, 2) for c in range(3)})
    done = CliRunner().invoke(app, ["-C", str(made.workspace.root), "sample", "--method", "auto", "-n", "30"])
    assert done.exit_code == 0, done.output
    assert "auto: none, no sample is better than the shots alone (100.0 % of held-out shots" in done.output
    assert "short of" not in done.output
    assert paths_of(made.workspace, "auto30").listing.read_text() == ""


def test_auto_compares_nothing_where_no_image_came(make_workspace, make_row) -> None:
    centres = np.eye(8)[:3]
    shots = {c: unit(centres[c] + 0.1 * np.eye(8)[4:6]) for c in range(3)}
    made = make_workspace([make_row(c, c) for c in range(3)], {}, prompts=unit(centres), shots=shots)
    done = CliRunner().invoke(app, ["-C", str(made.workspace.root), "sample", "--method", "auto", "-n", "30"])
    assert done.exit_code == 0, done.output
    assert "no shots or no images to compare by" in " ".join(done.output.split())
    assert json.loads(paths_of(made.workspace, "auto30").auto.read_text())["trials"] == []


def test_auto_without_shots_takes_what_the_mixture_lets_pass_and_says_that_nothing_measured_it(
    make_workspace, make_row
) -> None:
    generator = np.random.default_rng(5)
    centres = np.eye(8)[:3]
    rows, vectors = [], {}
    for c in range(3):
        for number in range(60):
            right = number < 15 * (c + 1)
            image = unit(centres[c if right else (c + 1) % 3] + 0.15 * generator.standard_normal(8))
            vectors[100 * c + number] = (image, unit(generator.standard_normal(8)))
            rows.append(make_row(c, 100 * c + number))
    made = make_workspace(rows, vectors, prompts=unit(centres))
    root = str(made.workspace.root)
    done = CliRunner().invoke(app, ["-C", root, "sample", "--method", "auto", "-n", "50"])
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "auto: no shots or no images to compare by, so --rank clean-text --keep 'clean-text>=mix'" in said
    assert "nothing measured how good that is" in said
    table = read_sample(paths_of(made.workspace, "auto50"), kept=True).to_pylist()
    right = [[row["uid"] % 100 < 15 * (c + 1) for row in table if row["class_id"] == c] for c in range(3)]
    assert [len(rows) for rows in right] == pytest.approx([15, 30, 45], abs=4)
    assert all(np.mean(rows) > 0.9 for rows in right)
    with pytest.raises(QueryError, match="auto chooses its threshold"):
        draw(made.workspace, SampleSettings(method="auto", threshold=0.3))


def test_a_table_of_another_list_or_captrawl_isnt_shown(polluted) -> None:
    workspace = polluted.workspace
    spec = workspace.settings().sample[1]
    draw(workspace, spec)
    path = paths_of(workspace, "auto").auto
    table = json.loads(path.read_text())
    assert outcome_of(workspace, spec).n == table["n"]
    path.write_text(json.dumps({**table, "n": 7}))  # a later draw that was killed before its list
    stale = outcome_of(workspace, spec)
    assert (stale.n, stale.auto) == (20, "")
    plain = SampleSettings(name="auto", method="Random", n=20)
    draw(workspace, plain)
    assert not path.exists()
    assert outcome_of(workspace, plain).auto == ""


def test_a_list_of_the_rule_before_is_stale(polluted) -> None:
    workspace = polluted.workspace
    spec = workspace.settings().sample[1]
    draw(workspace, spec)
    assert sample_status(workspace, spec).state == State.DONE
    lock = workspace.root / "captrawl.lock.json"
    document = json.loads(lock.read_text())
    record = document["stages"]["sample:auto"]
    record["inputs"]["method"] = digest(["auto", "--rank Random", 20, None, False, "", False])
    del record["details"]["auto"]
    lock.write_text(json.dumps(document))
    assert sample_status(workspace, spec).state == State.STALE
    assert outcome_of(workspace, spec).auto == ""


def test_auto_with_single_shots_says_so(make_workspace, make_row) -> None:
    axes = np.eye(2, dtype=np.float32)
    made = make_workspace(
        [make_row(0, 1)], {1: (axes[0], axes[0])}, prompts=axes, shots={0: axes[:1], 1: axes[1:]}
    )
    with pytest.raises(InputError, match="no class has two; name a method"):
        draw(made.workspace, SampleSettings(method="auto"))


def test_evaluate_tells_good_samples_from_bad(polluted, tmp_path) -> None:
    """The few shots serve as labelled images too: their vectors are in the cache, so no model is asked."""
    workspace = polluted.workspace
    for spec in workspace.settings().sample:
        draw(workspace, spec)
    shots = tmp_path / "shots"
    told: list[tuple[str, int, int]] = []
    result = evaluate(workspace, shots / "list.txt", shots, progress=lambda *t: told.append(t))
    assert told == [("evaluate", done, 5) for done in range(1, 6)]  # a step a probe, of five training sets
    lines = {line.name: line for line in result.lines}
    assert list(lines) == ["zero-shot", "shots", "random", "auto", "shots + random", "shots + auto"]
    assert (result.labelled, result.classes) == (12, 3)
    assert lines["zero-shot"].accuracy == pytest.approx(4 / 12)  # equal prompts: always the first class
    assert lines["auto"].accuracy == 1.0
    assert lines["random"].accuracy < 0.7
    assert [lines[name].images for name in ("shots", "random", "shots + random")] == [12, 60, 72]
    assert all(line.low <= line.accuracy <= line.high for line in result.lines)
    assert (lines["auto"].low, lines["auto"].high) == wilson(12, 12)
    best = max(result.lines, key=lambda line: line.accuracy)
    for line in result.lines:
        against = {"to_best": best, "to_shots": lines["shots"]}
        for key, other in against.items():
            difference = getattr(line, key)
            assert (difference is None) == (line is other)
            if difference:
                assert difference.value == pytest.approx(line.accuracy - other.accuracy)
                assert difference.low <= difference.value <= difference.high
    assert lines["random"].to_shots.high < 0
    assert read_evaluation(workspace) == result
    assert evaluate(workspace, shots / "list.txt", shots) == result
    one = evaluate(workspace, shots / "list.txt", shots, samples=["auto"])
    assert [line.name for line in one.lines] == ["zero-shot", "shots", "auto", "shots + auto"]
    command = ["-C", str(workspace.root), "evaluate", "--labelled", str(shots / "list.txt")]
    said = " ".join(CliRunner().invoke(app, [*command, "--root", str(shots)]).stdout.split())
    assert "to the best to the shots" in said
    assert "random 60 3 33.3 (8.3–58.3) -66.7 ± 25.0 -66.7 ± 25.0" in said


def test_the_accuracy_is_that_of_a_probe_on_the_whole_list(polluted, tmp_path) -> None:
    """A bootstrap of the training list leaves out a third of it, and is punished for that: up to 8 points."""
    from sklearn.linear_model import LogisticRegression

    workspace = polluted.workspace
    draw(workspace, workspace.settings().sample[0])
    shots = tmp_path / "shots"
    result = evaluate(workspace, shots / "list.txt", shots, samples=["random"])
    embeddings = Embeddings.open(workspace.embeddings_folder(model_of(workspace).slug))
    train = sample_vectors(workspace, "random", embeddings)
    entries = read_list(shots / "list.txt")
    test = np.concatenate([polluted.shots[c] for c in range(3)])
    peer = LogisticRegression(C=0.316, max_iter=300).fit(train.vectors * 10, train.labels)
    expected = (peer.predict(test * 10) == [entry.label for entry in entries]).mean()
    assert next(line for line in result.lines if line.name == "random").accuracy == pytest.approx(expected)


def test_an_evaluation_of_format_1_is_read(polluted) -> None:
    line = {"name": "zero-shot", "images": 0, "classes": 3, "accuracy": 0.5, "low": 0.4, "high": 0.625}
    path = evaluation_path(polluted.workspace)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"format": 1, "labelled": 8, "classes": 3, "lines": [line]}))
    evaluation = read_evaluation(polluted.workspace)
    assert evaluation
    assert evaluation.lines == (AccuracyLine("zero-shot", 0, 3, 0.5, 0.4, 0.625),)


def test_evaluate_without_a_sample_says_so(polluted, tmp_path) -> None:
    with pytest.raises(WorkspaceError, match="has no sample yet; make one with captrawl sample"):
        evaluate(polluted.workspace, tmp_path / "shots/list.txt", tmp_path / "shots")
    settings = polluted.workspace.settings()
    assert read_evaluation(polluted.workspace) is None
    save_settings(
        parse_settings(settings.model_dump(exclude_none=True), "x"), polluted.workspace.settings_path
    )


def test_intervals() -> None:
    # Wilson 1927 by hand for 8 of 10
    assert wilson(8, 10) == pytest.approx((0.490162, 0.943318), abs=1e-6)
    assert wilson(0, 0) == (0.0, 1.0)


def test_resampled_accuracies_are_paired_and_spread_as_the_binomial() -> None:
    generator = np.random.default_rng(0)
    first = generator.random(400) < 0.7
    second = first.copy()
    second[:8] = ~first[:8]
    draws = resampled(np.array([first, second]))
    assert draws.shape == (1000, 2)
    share = first.mean()
    assert draws[:, 0].mean() == pytest.approx(share, abs=0.005)
    assert draws[:, 0].std() == pytest.approx(np.sqrt(share * (1 - share) / 400), rel=0.1)
    paired = (draws[:, 0] - draws[:, 1]).std()
    assert paired == pytest.approx(np.sqrt(8 / 400) / np.sqrt(400), rel=0.15)  # 8 of 400 differ
    assert paired < 0.3 * np.sqrt(2) * draws[:, 0].std()


def test_a_list_beyond_the_most_images_is_taken_evenly() -> None:
    labels = np.array([0] * 100 + [1] * 10 + [2] * 50)
    assert evenly(labels, 200).tolist() == list(range(160))
    rows = evenly(labels, 60)
    assert np.bincount(labels[rows]).tolist() == [20, 10, 20]
    assert len(set(rows.tolist())) == len(rows)
