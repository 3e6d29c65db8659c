"""The referee against a plain oracle, and through draw()."""

from __future__ import annotations

import numpy as np
import pytest
from captrawl.sampling.files import read_sample
from captrawl.sampling.referee import Policy, judge
from captrawl.sampling.sample import draw
from captrawl.sampling.task import paths_of
from captrawl.search.vectors.models import model_of
from captrawl.search.vectors.store import Embeddings
from captrawl.workspace.settings import SampleSettings


@pytest.mark.parametrize("seed", range(6))
def test_the_best_margin_wins(make_workspace, make_row, seed: int) -> None:
    generator = np.random.default_rng(seed)
    prompts = generator.standard_normal((4, 8))
    prompts = (prompts / np.linalg.norm(prompts, axis=1, keepdims=True)).astype(np.float32)
    if seed == 5:
        prompts[2] = prompts[1]  # two classes of one name
    vectors, rows, hashes = {}, [], {}
    for uid in range(30):
        image = generator.standard_normal(8)
        image = (image / np.linalg.norm(image)).astype(np.float32)
        if uid == 7:
            image[:] = np.nan
        if uid % 5 == 4:
            image = vectors[uid - 1][0]  # the same picture at another URL, another caption
            hashes[f"http://127.0.0.1/{uid}.jpg"] = hashes[f"http://127.0.0.1/{uid - 1}.jpg"] = f"{uid:064d}"
        vectors[uid] = (image, image)
        rows += [make_row(c, uid) for c in range(4) if generator.random() < 0.5]
    made = make_workspace(rows, vectors, prompts=prompts, hashes=hashes)
    embeddings = Embeddings.open(made.workspace.embeddings_folder(model_of(made.workspace).slug))
    pools = [
        embeddings.rows_of(np.array([row["uid"] for row in made.rows if row["class_id"] == c], np.int64))
        for c in range(4)
    ]
    picture = {uid: uid - 1 if uid % 5 == 4 else uid for uid in range(30)}
    there = np.array([vectors[uid][0] for uid in sorted({row["uid"] for row in rows})])
    usual = [
        np.mean([p.astype(float) @ v for v in there.astype(float) if not np.isnan(v).any()]) for p in prompts
    ]
    owners: dict[int, set[int]] = {}
    for row in rows:
        owners.setdefault(picture[row["uid"]], set()).add(row["class_id"])
    for policy in Policy:
        verdict = judge(pools, embeddings, prompts, policy)
        for c in range(4):
            uids = embeddings.uids[pools[c]]
            for uid, kept in zip(uids.tolist(), verdict.keeps(c, pools[c]).tolist(), strict=True):
                rivals = owners[picture[uid]]
                fit = {k: float(prompts[k].astype(float) @ vectors[uid][0]) - usual[k] for k in rivals}
                if np.isnan(fit[c]):
                    expected = len(rivals) == 1 or policy is Policy.MARGIN
                elif policy is Policy.DROP:
                    expected = len(rivals) == 1
                else:
                    expected = fit[c] > max(fit.values()) - 5e-7
                assert kept == expected, (policy, c, uid)


def test_draw_asks_the_referee(make_workspace, make_row) -> None:
    axes = np.eye(3, dtype=np.float32)
    rows = [make_row(0, 1), make_row(1, 1), make_row(0, 2), make_row(1, 3), make_row(2, 4)]
    vectors = {1: (axes[1], axes[0]), 2: (axes[0], axes[0]), 3: (axes[1], axes[1]), 4: (axes[2], axes[2])}
    made = make_workspace(rows, vectors, prompts=axes)
    kept = {}
    for policy in ("", "margin", "drop"):
        counts = draw(made.workspace, SampleSettings(name=f"r{policy}", referee=policy))
        table = read_sample(paths_of(made.workspace, f"r{policy}")).to_pylist()
        kept[policy] = [(row["class_id"], row["uid"]) for row in table if row["kept"]]
        assert counts.get("other_class", 0) == {"": 0, "margin": 1, "drop": 2}[policy]
    assert kept[""] == [(0, 1), (0, 2), (1, 3), (1, 1), (2, 4)]
    assert kept["margin"] == [(0, 2), (1, 3), (1, 1), (2, 4)]
    assert kept["drop"] == [(0, 2), (1, 3), (2, 4)]
