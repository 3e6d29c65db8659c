"""A workspace from Python: every stage a method, every artefact a table."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..classes.files import load_classes
from ..classes.model import ClassList
from ..core.errors import CaptrawlError, WorkspaceError
from ..core.terminal import progress_bars
from ..core.wording import counts_text
from ..indexer.download import stage as downloading
from ..indexer.match_stage import index_location
from ..indexer.opening import open_index
from ..sampling.report.stage import page_path, report
from ..search.captions import CaptionIndex, absolute_location
from ..search.vectors.models import model_of, resolve
from ..workspace import pipeline
from ..workspace.settings import Settings, parse_settings
from ..workspace.workspace import StageStatus, Workspace, readable
from .markup import pairs_html
from .samples import DrawnSamples, SampleChoice, SampleTable, draw_choice, store_auto
from .stored import allowing_private, caution_of, storing
from .tables import ArrowTable

if TYPE_CHECKING:
    from ..search.vectors.similar import Similarity

logger = logging.getLogger(__name__)


class TaskWorkspace(Workspace):
    """The folder of one task, with its stages and tables; ``captrawl.Workspace("birds")`` opens it.

    The stages draw their progress in a terminal and in a notebook. What an argument changes is stored in
    captrawl.toml, as the options of the commands are. WorkspaceError where the folder is no workspace.
    """

    def __init__(self, root: str | Path, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        super().__init__(Path(root), {name: dict(values) for name, values in (overrides or {}).items()})
        self._similarity: tuple[object, Similarity] | None = None
        if not self.settings_path.is_file():
            raise WorkspaceError(
                f"{root} isn't a captrawl workspace (no captrawl.toml); make one with captrawl init DIR, or "
                "Workspace.new(DIR, classes=…, index=…)"
            )

    @classmethod
    def create(cls, root: str | Path, settings: Settings, classes: ClassList) -> Self:
        """Make the folder with captrawl.toml and classes.json; WorkspaceError where one is already."""
        Workspace.create(Path(root), settings, classes)
        return cls(root)

    @classmethod
    def new(
        cls,
        root: str | Path,
        *,
        classes: str | Path | ClassList,
        index: str | Path,
        settings: Mapping[str, Any] | None = None,
    ) -> Self:
        """Make a workspace of a class list (a file of any format) over a caption index.

        ``settings`` are tables of captrawl.toml: ``{"model": {"name": "local-dir:clip"}}``.
        """
        tables = dict(settings or {})
        tables["task"] = {"name": Path(root).resolve().name, **tables.get("task", {})}
        tables["captions"] = {**tables.get("captions", {}), "index": absolute_location(str(index))}
        entries = load_classes(classes) if isinstance(classes, (str, Path)) else classes
        return cls.create(root, parse_settings(tables, f"{root}/captrawl.toml"), entries)

    # Stages ------------------------------------------------------------------------------------

    def match(
        self,
        sample: int | Literal["all"] | None = None,
        *,
        rank: Literal["", "T2T", "T2I", "I2I"] | None = None,
        top: int | None = None,
    ) -> Mapping[str, int]:
        """Find the rows whose captions contain a class's synonyms; the counts.

        ``sample`` is how many rows per class, uniformly, or "all"; ``rank`` orders them by that score, before
        any image is fetched, and ``top`` keeps the first of each class.
        """
        values = {"sample": sample, "rank": rank, "top": top}
        changes = {"match": {name: value for name, value in values.items() if value is not None}}
        with storing(self, changes) as stored, progress_bars() as progress:
            return pipeline.match(stored.workspace, progress=progress)

    def download(
        self, *, resize: int | None = None, until: int | None = None, allow_private: bool = False
    ) -> Mapping[str, int]:
        """Fetch the matched images and pack them; the counts. Ctrl-C loses nothing: call it again.

        ``until``: so many usable images per class are enough; 0: every match is asked for.
        """
        self._caution()
        base = allowing_private(self) if allow_private else self
        values = {"resize": resize, "until": until}
        changes = {"download": {name: value for name, value in values.items() if value is not None}}
        with storing(base, changes) as stored, progress_bars() as progress:
            return downloading.download(stored.workspace, progress=progress)

    def embed(self, model: str = "", pretrained: str = "") -> Mapping[str, Mapping[str, int]]:
        """Embed images and captions and build the FAISS indices; the counts of both."""
        chosen = resolve(model, pretrained) if model else None
        changes = {"model": {"name": chosen.name, "pretrained": chosen.pretrained} if chosen else {}}
        with storing(self, changes) as stored, progress_bars() as progress:
            return pipeline.embed_all(stored.workspace, progress)

    def sample(self, name: str = "", *, replace: bool = False, **choice: Unpack[SampleChoice]) -> SampleTable:
        """Choose each class's images: ``ws.sample(method="T2I-rank", n=100)``; the kept rows.

        A name alone draws that [[sample]] of captrawl.toml; see :func:`captrawl.library.samples.draw_choice`.
        """
        with progress_bars() as progress:
            drawing = draw_choice(self, name, choice, replace=replace, progress=progress)
        return self.samples[drawing.spec.name]

    def report(self) -> Path:
        """Write the report; the path of its page."""
        with progress_bars() as progress:
            report(self, progress=progress)
        return page_path(self)

    def run(self, *, allow_private: bool = False) -> list[StageStatus]:
        """Do every stage that isn't done, in order; how each stands."""
        base = allowing_private(self) if allow_private else self
        pipeline.check(base)
        self._caution()
        store_auto(base)
        with progress_bars() as progress:
            return pipeline.run(base, progress=progress)

    def status(self) -> list[StageStatus]:
        """How every stage stands."""
        return pipeline.status(self)

    # Tables ------------------------------------------------------------------------------------

    @property
    def classes(self) -> ClassList:
        """The class list."""
        return load_classes(self.classes_path())

    @property
    def matches(self) -> ArrowTable:
        """The (class, row) pairs whose captions matched."""
        return ArrowTable(_table(self.matches_path, "match"), self.root)

    @property
    def images(self) -> ArrowTable:
        """What became of each URL: state, reason, path, size."""
        return ArrowTable(_table(self.images_path, "download"), self.root)

    @property
    def samples(self) -> DrawnSamples:
        """The samples that are drawn, by name: ``ws.samples["T2T500"]``."""
        return DrawnSamples(self)

    def embeddings(self, model: str = "") -> ArrowTable:
        """The vectors of a model (default: the workspace's): a row per image, columns image and text.

        ``model`` is a name as [model] has it, or a folder of embeddings/. Everything is read into memory.
        """
        from ..search.vectors.store import Embeddings

        stored = Embeddings.open(self.embeddings_folder(self._slug(model)))
        rows = np.sort(stored.rows_of(np.unique(stored.uids)))  # an image that came anew: its later row
        table = stored.metadata.take(rows)
        for name, matrix in (("image", stored.images), ("text", stored.captions)):
            values = pa.array(matrix.take(rows).ravel())
            vectors = pa.FixedSizeListArray.from_arrays(values, stored.dimension)
            table = table.append_column(name, vectors)
        return ArrowTable(table, self.root)

    def similar(
        self,
        text: str = "",
        *,
        image: str | Path | None = None,
        where: Literal["images", "captions"] = "images",
        class_name: str = "",
        k: int = 20,
    ) -> ArrowTable:
        """The ``k`` pictures nearest to a text or an image, the nearest first.

        ``where``: compare with the images or with their captions; ``class_name``: only in this class's pool.
        """
        from ..search.vectors import similar

        place = similar.SearchIn(where, similar.find_class(self, class_name) if class_name else None, k)
        path = Path(image) if image is not None else None
        nearest = similar.nearest(self._open_similarity(), place, text=text, image=path)
        return ArrowTable(nearest, self.root)

    def open_captions(self) -> CaptionIndex:
        """The caption index that the workspace names; close it, or use it in a ``with``."""
        return open_index(index_location(self))

    # How it looks ------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"Workspace({str(self.root)!r})"

    def _repr_html_(self) -> str:
        """The stages as they were left, and the samples."""
        try:
            pairs = [
                (stage.stage, f"{stage.state} {counts_text(stage.counts)}".strip()) for stage in self.status()
            ]
        except CaptrawlError as error:
            pairs = [("error", str(error))]
        return pairs_html(str(self.root), pairs)

    def _open_similarity(self) -> Similarity:
        """The vectors and the model, opened anew only where the settings or the vectors changed."""
        from ..search.vectors.similar import Similarity

        made_from = (self.settings().model, self.recorded("embed"), self.recorded("vectors"))
        if self._similarity is None or self._similarity[0] != made_from:
            self._similarity = (made_from, Similarity.open(self))
        return self._similarity[1]

    def _slug(self, model: str) -> str:
        if not model:
            return model_of(self).slug
        folder = self.embeddings_folder("x").parent
        names = [path.parent.name for path in sorted(folder.glob("[!.]*/model.json"))]
        if model in names:
            return model
        slug = resolve(model, root=self.root).slug
        fitting = [name for name in names if name == slug or name.startswith(f"{slug}.")]
        if len(fitting) != 1:
            raise WorkspaceError(
                f"{'several' if fitting else 'no'} embeddings are of {model!r}; there are "
                f"{', '.join(names) or 'none: run captrawl embed'}"
            )
        return fitting[0]

    def _caution(self) -> None:
        if text := caution_of(self):
            logger.warning(text)


def _table(path: Path, stage: str) -> pa.Table:
    with readable(path, stage):
        return pq.read_table(path, memory_map=True)
