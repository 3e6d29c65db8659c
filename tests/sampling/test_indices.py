"""Draws on the stored vectors, on an exact index and on an inexact one give the same bytes."""

from __future__ import annotations

import numpy as np
import pytest
from captrawl.indexer.embed.faiss_index import build_vectors
from captrawl.sampling.files import read_sample
from captrawl.sampling.methods import METHODS
from captrawl.sampling.sample import draw
from captrawl.sampling.task import paths_of
from captrawl.workspace.settings import SampleSettings

THRESHOLDS = {"Random-I2I": 0.1}


@pytest.mark.parametrize("factory", ["Flat", "IVF8,SQfp16", "HNSW8"])
def test_indices_change_nothing(make_workspace, make_row, factory) -> None:
    generator = np.random.default_rng(5)

    def unit(*shape: int) -> np.ndarray:
        values = generator.standard_normal(shape)
        return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)

    uids = list(range(400))
    vectors = {uid: (unit(16), unit(16)) for uid in uids}
    vectors[50] = vectors[51]  # ties
    vectors[60] = (vectors[61][0], vectors[60][1])
    rows = [make_row(c, uid) for c in range(4) for uid in sorted(generator.choice(uids, 90, replace=False))]
    rows.append({**rows[0], "row": 5000})  # a repeated row
    prompts = unit(4, 16)
    shots = {c: unit(count, 16) for c, count in enumerate((1, 5, 40))}
    made = make_workspace(rows, vectors, prompts=prompts, shots=shots)
    specs = [
        SampleSettings(name=name, method=name, threshold=THRESHOLDS.get(name), n=30, dedup=0.8)
        for name in METHODS
    ]
    before = {}
    for spec in specs:
        draw(made.workspace, spec)
        before[spec.name] = [path.read_bytes() for path in paths_of(made.workspace, spec.name).all()]
    build_vectors(made.workspace, factory=factory)
    for spec in specs:
        draw(made.workspace, spec)
        after = [path.read_bytes() for path in paths_of(made.workspace, spec.name).all()]
        assert after == before[spec.name], spec.name
    table = read_sample(paths_of(made.workspace, "T2T-rank")).to_pylist()
    for row in table:
        image, caption = (v.astype(float) for v in vectors[row["uid"]])
        prompt, mine = prompts[row["class_id"]].astype(float), shots.get(row["class_id"])
        expected = [prompt @ caption, prompt @ image]
        if mine is not None:
            to_image, to_caption = mine.astype(float) @ image, mine.astype(float) @ caption
            expected += [to_image.mean(), to_image.max(), to_caption.mean(), to_caption.max()]
        got = [row[k] for k in ("T2T", "T2I", "I2I_mean", "I2I_max", "I2T_mean", "I2T_max")]
        assert got[: len(expected)] == pytest.approx(expected, abs=2e-6)
        assert got[len(expected) :] == [None] * (6 - len(expected))
