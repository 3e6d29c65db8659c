"""Draw a sample: every class's pool scored, chosen from, and written; and how a sample stands."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..core.errors import InputError
from ..core.records import Progress, silent
from ..core.wording import counted
from ..search.vectors.store import Embeddings
from ..workspace.settings import COPIES, SampleSettings
from ..workspace.stages import Stage
from ..workspace.workspace import StageStatus, State, Workspace
from .auto.contest import Contest
from .auto.trials import DETAIL, Chosen
from .auto.unshot import without_shots
from .copies.finder import CopyFinder
from .files import SAMPLE_SCHEMA, writing
from .filters import A_LOT, Candidates, Choice, DropReason, Steps, choose
from .judge.answers import NOT_JUDGED, JudgeAnswers
from .marks import Mark
from .methods import AUTO, Method, Order, Score
from .orders.blends import Blend
from .orders.task_scores import TaskReferences, TaskScorer
from .pool import Pool, candidates_of, read_pools
from .referee import Policy, Referee, judge
from .references import References, Senses, Shots, senses_of, shots_of
from .scores import ORDER, PoolScorer, Scores
from .task import SampleTask, file_digest, inputs_of, paths_of, sample_facts, task_of

logger = logging.getLogger(__name__)


def draw(workspace: Workspace, spec: SampleSettings, *, progress: Progress = silent) -> dict[str, int]:
    """Make the files of the sample ``spec`` in samples/ and return its counts.

    Counts: classes, classes without a pool, pool rows, embedded rows, kept rows, and every reason of a drop.
    """
    facts = sample_facts(spec.name)
    with workspace.locked(facts.name):
        task = task_of(workspace, spec)
        inputs = inputs_of(workspace, task)
        drawer = Drawer.of(workspace, task, progress)
        embeddings = drawer.embeddings
        if task.method.name == AUTO:
            drawer = drawer.with_best_method(workspace, progress)
        drawer = drawer.with_confirmed().with_task_scores(workspace, drawer.task.method.scores)
        tally: Counter[str] = Counter(classes=len(task.classes), without_pool=0, pool=0, embedded=0, kept=0)
        method, many = drawer.task.method, list[str]()
        paths = paths_of(workspace, spec.name)
        with writing(paths, root=workspace.root, method=method) as writer:
            for index, pool in enumerate(read_pools(workspace, task.classes, embeddings)):
                kept, dropped = drawer.draw(pool, index)
                writer.add(pool.class_id, kept, dropped)
                _tally(tally, pool, kept, dropped)
                repeated = dropped.column("reason").to_pylist().count(DropReason.NEAR_DUPLICATE)
                many += [task.classes[index].name] if repeated > A_LOT * len(pool.rows) else []
                progress(f"sample {spec.name}", index + 1, len(task.classes))
        if many and isinstance(spec.dedup, float):
            logger.warning(
                "dedup %g takes over a fifth of the images of %s for near duplicates (%s): the model may "
                "find distinct pictures alike; --dedup copies asks their picture hashes",
                spec.dedup, counted(len(many), "class"), ", ".join(many[:5]) + (" …" if many[5:] else ""),
            )  # fmt: skip
        counts = dict(tally)
        details = {"method": str(method), "sample": spec.model_dump()}
        if task.method.name == AUTO:
            details[DETAIL] = file_digest(paths.auto)
        else:
            paths.auto.unlink(missing_ok=True)  # of another choice that had this name
        facts.record(workspace, inputs, counts, details)
    return counts


@dataclass(frozen=True, slots=True)
class Drawer:
    """Scores a pool against prompts and shots and chooses from it; row i of ``prompts`` is class i's."""

    task: SampleTask
    embeddings: Embeddings
    scorer: PoolScorer
    prompts: NDArray[np.float32]
    shots: Shots
    senses: Senses
    copies: CopyFinder | None
    referee: Referee | None = None
    whole: TaskScorer | None = None
    """Of the scores that look at the whole task, where the method needs any."""
    numbers: Mapping[int, int] = field(default_factory=dict[int, int])
    """The n of classes, by id, that have one of their own."""

    @classmethod
    def of(cls, workspace: Workspace, task: SampleTask, progress: Progress = silent) -> Drawer:
        """The drawer of ``task``, with its referee."""
        embeddings = Embeddings.open(workspace.embeddings_folder(task.model.slug))
        references = References(workspace, task.model, embeddings.info, progress=progress)
        drawer = cls(
            task,
            embeddings,
            PoolScorer(embeddings, workspace.vectors_folder(task.model.slug)),
            prompts=references.prompts(task.names, task.templates),
            shots=shots_of(task.shots, references, embeddings.dimension),
            senses=senses_of(task.classes, references, task.templates, embeddings.dimension),
            copies=CopyFinder.of(workspace, task, embeddings, references, progress),
        )
        return drawer.with_referee(workspace)

    def with_referee(self, workspace: Workspace) -> Drawer:
        """Let the referee judge all pools, where the task asks for one."""
        if not self.task.spec.referee:
            return self
        pools = (pool.rows for pool in read_pools(workspace, self.task.classes, self.embeddings))
        policy = Policy(self.task.spec.referee)
        return replace(self, referee=judge(pools, self.embeddings, self.prompts, policy))

    def with_best_method(self, workspace: Workspace, progress: Progress) -> Drawer:
        """Choose method and n by cross-validation on the shots; the table goes to NAME_auto.json.

        Without shots, or without any image, nothing is compared.
        """
        spec = self.task.spec
        if len(self.shots.labels) and self.embeddings.rows:
            chosen = self._contest(workspace, progress)
        else:
            chosen = without_shots(spec.n, confirmed=self.task.marks.any_confirmed)
        chosen.save(paths_of(workspace, spec.name).auto)
        task = replace(self.task, method=chosen.method, spec=spec.model_copy(update={"n": chosen.n}))
        return replace(self, task=task, numbers=chosen.numbers)

    def _contest(self, workspace: Workspace, progress: Progress) -> Chosen:
        spec = self.task.spec
        ids = [entry.id for entry in self.task.classes]
        contest = Contest.of(self.shots, ids, n=spec.n, seed=spec.seed)
        drawers: dict[int, Drawer] = {}
        for fold, methods in contest.asked_in().items():
            drawer = self.outside(contest.folds == fold)
            scores = frozenset[Score]().union(*(method.scores for method in methods))
            drawers[fold] = drawer.with_task_scores(workspace, scores)
            progress("score pools", len(drawers), len(contest.fold_numbers))
        return contest.run(
            lambda: read_pools(workspace, self.task.classes, self.embeddings),
            lambda pool, index, fold, methods: drawers[fold].images_kept(pool, index, methods),
            progress,
        )

    def outside(self, fold: NDArray[np.bool_]) -> Drawer:
        """One without the shots of a fold; what the user confirmed by hand counts in every fold."""
        return replace(self, shots=self.shots.where(~fold)).with_confirmed()

    def with_confirmed(self) -> Drawer:
        """Count the images that the user confirmed by hand among their classes' shots."""
        ids = [entry.id for entry in self.task.classes]
        uids = [(i, uid) for i in ids for uid in self.task.marks.uids(i, Mark.CONFIRMED)]
        labels, marked = np.array(uids, dtype=np.int64).reshape(-1, 2).T
        rows = self.embeddings.rows_of(marked)
        vectors = self.embeddings.images.take(rows[rows >= 0])
        return replace(self, shots=self.shots.joined(Shots(vectors, labels[rows >= 0])))

    def with_task_scores(self, workspace: Workspace, scores: frozenset[Score]) -> Drawer:
        """Score pools by those of ``scores`` that look at the whole task, with the shots as they are now."""
        ids = [entry.id for entry in self.task.classes]
        references = TaskReferences.of(self.prompts, self.shots, ids, self.senses)
        whole = TaskScorer.of(self.embeddings, references, scores)
        if whole and Score.JUDGE in scores:
            whole = replace(whole, judged=self._judge(workspace))
        if whole:
            pools = (pool.rows for pool in read_pools(workspace, self.task.classes, self.embeddings))
            whole = whole.with_cleaning(pools, self.products)
        return replace(self, whole=whole)

    def _judge(self, workspace: Workspace) -> Callable[[int, NDArray[np.int64]], NDArray[np.float64]]:
        answers = JudgeAnswers(workspace, self.task.classes)
        hashes = self.embeddings.metadata.column("sha256")

        def judged(index: int, rows: NDArray[np.int64]) -> NDArray[np.float64]:
            of_class = answers.of(self.task.classes[index].id)
            pictures: list[Any] = hashes.take(rows).to_pylist()
            return np.array([of_class.get(sha256, NOT_JUDGED) for sha256 in pictures], dtype=np.float64)

        return judged

    def products(self, index: int, rows: NDArray[np.int64]) -> Scores:
        """The six products of ``rows`` with the prompt and the shots of the class at ``index``."""
        shots = self.shots.of(self.task.classes[index].id)
        return self.scorer.score(rows, prompt=self.prompts[index], shots=shots)

    def images_kept(self, pool: Pool, index: int, methods: Sequence[Method]) -> list[NDArray[np.float32]]:
        """The image vectors of what each of ``methods`` keeps of the pool, by rank."""
        rows, steps = pool.rows, self.steps(index, pool.rows)
        candidates = self.candidates(pool, index, steps)
        kept = [rows[choose(candidates, method, steps).kept] for method in methods]
        return [self.embeddings.images.take(some) for some in kept]

    def images_for(self, steps: Steps, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The image vectors of ``rows``, (rows, 0) where no step looks at them."""
        if not steps.need_images:
            return np.zeros((len(rows), 0), dtype=np.float32)
        return self.embeddings.images.take(rows)

    def candidates(self, pool: Pool, index: int, steps: Steps) -> Candidates:
        """The embedded rows of ``pool``, scored against the class at ``index``, with what ``steps`` need."""
        rows = pool.rows
        scores = self.products(index, rows)
        if self.whole:
            scores = self.whole.added(scores, index, rows)
        return candidates_of(pool, scores, self.images_for(steps, rows))

    def draw(self, pool: Pool, index: int) -> tuple[pa.Table, pa.Table]:
        """The kept rows in rank order and the dropped ones in the pool's order (SAMPLE_SCHEMA)."""
        steps = self.steps(index, pool.rows)
        candidates = self.candidates(pool, index, steps)
        choice = choose(candidates, self.task.method, steps)
        return split(pool, candidates.scores, choice, self.task.method.order)

    def steps(self, index: int, rows: NDArray[np.int64]) -> Steps:
        """The steps besides the method, for the class at ``index`` with these embedding rows."""
        spec = self.task.spec
        keep = self.referee.keeps(index, rows) if self.referee else None
        rejected, confirmed = (
            np.isin(self.embeddings.uids[rows], self.task.marks.uids(self.task.classes[index].id, mark))
            for mark in (Mark.REJECTED, Mark.CONFIRMED)
        )
        n = self.numbers.get(self.task.classes[index].id, spec.n)
        dedup = None if spec.dedup == COPIES else spec.dedup
        steps = Steps(n, spec.seed, spec.tail, dedup, keep=keep)
        if self.copies:
            leaking, copies = self.copies.leaking(rows), self.copies.among(rows)
            steps = replace(steps, leaking=leaking, copies=copies)
        steps = replace(steps, rejected=rejected, confirmed=confirmed, repeats=self.task.repeats)
        steps = replace(steps, diverse=spec.diverse)
        prompts = self.senses.beside(self.prompts, index)
        return replace(steps, prompts=prompts, own=index) if spec.zeroshot else steps


def split(
    pool: Pool, scores: Scores, choice: Choice, order: Order | None = None
) -> tuple[pa.Table, pa.Table]:
    """The pool's rows with scores, rank and reason: the kept by rank, the others in the pool's order."""
    at = np.flatnonzero(pool.embedded >= 0)
    size = pool.table.num_rows
    values = np.full((size, len(ORDER)), np.nan)
    values[at] = scores.values
    blend = np.full(size, np.nan)
    if isinstance(order, Blend):
        blend[at] = scores.of(order)
    rank = np.zeros(size, dtype=np.int32)
    rank[at[choice.kept]] = np.arange(1, len(choice.kept) + 1)
    reasons = np.array(pool.table.column("missing").to_pylist(), dtype=object)
    reasons[at] = choice.reasons
    columns: dict[str, Any] = {
        "class_id": pa.array(np.full(size, pool.class_id)),
        **{name: pool.table.column(name) for name in ("uid", "url", "caption", "synonym", "path", "sha256")},
        **{s.column: pa.array(values[:, ORDER.index(s)], from_pandas=True) for s in Score},
        "blend": pa.array(blend, from_pandas=True),
        "kept": pa.array(rank > 0),
        "rank": pa.array(rank, mask=rank == 0),
        "reason": pa.array(reasons, pa.string()),
    }
    table = pa.table([columns[name] for name in SAMPLE_SCHEMA.names], schema=SAMPLE_SCHEMA)
    return table.take(at[choice.kept]), table.filter(pa.array(rank == 0))


def _tally(tally: Counter[str], pool: Pool, kept: pa.Table, dropped: pa.Table) -> None:
    tally["without_pool"] += pool.table.num_rows == 0
    tally["pool"] += pool.table.num_rows
    tally["embedded"] += int((pool.embedded >= 0).sum())
    tally["kept"] += kept.num_rows
    for reason in dropped.column("reason").to_pylist():
        tally[str(reason).partition(":")[0]] += 1


def sample_status(workspace: Workspace, spec: SampleSettings) -> StageStatus:
    """How the sample stands: stale where it was made from other values, which the reason names."""
    facts = sample_facts(spec.name)
    record = workspace.recorded(facts.name)
    paths = paths_of(workspace, spec.name)
    if record is None or not paths.table.exists():
        return facts.missing()
    lost = [path.name for path in paths.all() if not path.exists()]
    if lost:
        return StageStatus(facts.name, State.PARTIAL, record.counts, f"{', '.join(lost)} not there")
    try:
        inputs = inputs_of(workspace, task_of(workspace, spec))
    except InputError as error:  # a list or a class that is gone is the next draw's error, not status's
        return StageStatus(facts.name, State.STALE, record.counts, str(error))
    return facts.compare(record, inputs)


def sample_stage(spec: SampleSettings) -> Stage:
    """The stage of one [[sample]]."""
    return Stage(
        sample_facts(spec.name),
        lambda workspace: sample_status(workspace, spec),
        lambda workspace, progress: draw(workspace, spec, progress=progress),
    )
