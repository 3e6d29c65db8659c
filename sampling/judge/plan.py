"""Which pictures the judge is asked about, and what that takes before a server is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...classes.model import ClassEntry
from ...core.files import digest
from ...core.records import Progress, silent
from ...search.synonyms.asking import ANSWERED
from ...search.synonyms.journal import Journal
from ...search.synonyms.llm import ModelServer
from ...search.synonyms.questions import Use
from ...workspace.settings import SampleSettings
from ...workspace.workspace import Workspace
from ..orders.doubt import DOUBTING, certainty, most_doubtful
from ..orders.names import Score
from ..pool import Pool, read_pools
from ..sample import Drawer
from ..task import task_of
from .answers import NAME, JudgeAnswers
from .question import LETTERS, SYSTEM, JudgeQuestion

SURE = 0.001
"""Posteriors below it are hopeless, those above 1 less it sure: nothing is asked about either."""
IMAGE_TOKENS = {"gpt-4o-mini": 2833}
"""What OpenAI counts for a picture of low detail, where it isn't OTHER_TOKENS."""
OTHER_TOKENS = 85
ANSWER_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Judging:
    """Chooses the pictures of each class, at most ``questions`` of a model's."""

    workspace: Workspace
    drawer: Drawer
    answers: JudgeAnswers
    server: ModelServer
    questions: int

    @classmethod
    def of(
        cls, workspace: Workspace, server: ModelServer, questions: int, progress: Progress = silent
    ) -> Judging:
        """With the shots, and what was confirmed by hand, as they are now."""
        task = task_of(workspace, SampleSettings(name="judge"))
        drawer = Drawer.of(workspace, task, progress).with_confirmed()
        drawer = drawer.with_task_scores(workspace, DOUBTING)
        return cls(workspace, drawer, JudgeAnswers(workspace, task.classes), server, questions)

    def batch(self) -> list[JudgeQuestion]:
        """The questions that aren't answered yet, by class, the most doubtful first."""
        pools = read_pools(self.workspace, self.drawer.task.classes, self.drawer.embeddings)
        return [question for index, pool in enumerate(pools) for question in self._of_class(index, pool)]

    def _of_class(self, index: int, pool: Pool) -> Iterator[JudgeQuestion]:
        rows: Any = pool.table.take(np.flatnonzero(pool.embedded >= 0))
        if not rows.num_rows or len(self.drawer.task.classes) < 2:
            return
        pictures: list[str] = rows.column("sha256").to_pylist()
        answered = {
            sha256
            for (class_id, sha256), one in self.answers.items()
            if class_id == pool.class_id and one.model == self.server.model
        }
        marked = self.drawer.task.marks.of(pool.class_id)
        uids: list[int] = rows.column("uid").to_pylist()
        pairs = zip(pictures, uids, strict=True)
        settled = np.array([sha256 in answered or uid in marked for sha256, uid in pairs])
        images = self.drawer.embeddings.images.take(pool.rows)
        scores = self.drawer.candidates(pool, index, self.drawer.steps(index, pool.rows)).scores
        far = certainty(scores)
        if np.isfinite(scores.of(Score.PROBE)).any():
            far = np.where(far < 0.5 - SURE, far, np.nan)
        count = max(self.questions - len(answered), 0)
        for place in most_doubtful(far, images, settled=settled, count=count).tolist():
            entry = self.drawer.task.classes[index]
            yield JudgeQuestion(
                entry.id,
                entry.name,
                pictures[place],
                self.workspace.root / str(rows.column("path")[place].as_py()),
                self._options(index, images[place], pictures[place]),
                self.server.model,
            )

    def _options(self, index: int, image: NDArray[np.float32], sha256: str) -> tuple[tuple[int, str], ...]:
        """The class at ``index`` and those of the nearest prompts, in an order that the picture gives."""
        classes = self.drawer.task.classes
        name = classes[index].name
        nearest = np.argsort(-np.nan_to_num(self.drawer.prompts @ image, nan=-2.0), kind="stable").tolist()
        rivals: dict[str, ClassEntry] = {}
        for at in nearest:
            if classes[at].name != name:
                rivals.setdefault(classes[at].name, classes[at])
        options = [classes[index], *list(rivals.values())[: len(LETTERS) - 1]]
        options.sort(key=lambda entry: digest([sha256, entry.id]))
        return tuple((entry.id, entry.name) for entry in options)


def expected(
    workspace: Workspace, batch: Sequence[JudgeQuestion], server: ModelServer, image_tokens: int = 0
) -> Use:
    """What ``batch`` will take: as answers of the model took so far, else by four characters a token.

    ``image_tokens`` 0: as OpenAI counts a picture of low detail.
    """
    model = server.model
    records = [
        record
        for record in Journal(workspace.root / NAME).records()
        if record["kind"] == ANSWERED and record["model"] == model and record["prompt_tokens"]
    ]
    if records and not image_tokens:
        sums = (sum(record[key] for record in records) for key in ("prompt_tokens", "completion_tokens"))
        return Use(len(batch), *(round(total / len(records) * len(batch)) for total in sums))
    usual = OTHER_TOKENS if server.base_url else IMAGE_TOKENS.get(model, OTHER_TOKENS)
    each = image_tokens or usual
    texts = sum((len(question.text) + len(SYSTEM)) // 4 + 8 for question in batch)
    return Use(len(batch), texts + each * len(batch), ANSWER_TOKENS * len(batch))
