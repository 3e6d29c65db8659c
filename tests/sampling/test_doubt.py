"""Which rows are offered for a mark or a question."""

from __future__ import annotations

import numpy as np
from captrawl.sampling.orders.doubt import certainty, most_doubtful
from captrawl.sampling.orders.names import Score
from captrawl.sampling.scores import ORDER, Scores


def scores_of(**columns: list[float]) -> Scores:
    size = len(next(iter(columns.values())))
    values = np.full((size, len(ORDER)), np.nan)
    for name, column in columns.items():
        values[:, ORDER.index(Score[name])] = column
    return Scores(values)


def test_the_probe_doubts_about_a_half_and_without_one_the_margin_about_zero() -> None:
    probe = scores_of(PROBE=[0.99, 0.55, 0.02, np.nan], T2I_MARGIN=[0.0, 0.5, 0.1, 0.0])
    assert np.argsort(certainty(probe)).tolist()[:3] == [1, 2, 0]
    assert np.isnan(certainty(probe)[3])
    assert certainty(scores_of(T2I_MARGIN=[0.3, -0.1, 0.02])).tolist() == [0.3, 0.1, 0.02]


def test_no_two_alike_are_offered_and_none_like_an_answered_one() -> None:
    images = np.eye(6, dtype=np.float32)[[0, 0, 1, 2, 2, 3, 4, 5]]
    certainties = np.array([0.1, 0.0, 0.3, 0.2, 0.25, 0.4, np.nan, 0.05])
    settled = np.array([False] * 7 + [True])
    assert most_doubtful(certainties, images, settled=settled, count=9).tolist() == [1, 3, 2, 5]
    assert most_doubtful(certainties, images, settled=settled, count=2).tolist() == [1, 3]
    settled[4] = True  # the picture of row 3 is answered
    assert most_doubtful(certainties, images, settled=settled, count=9).tolist() == [1, 2, 5]
    assert most_doubtful(certainties[:0], images[:0], settled=settled[:0], count=9).tolist() == []
