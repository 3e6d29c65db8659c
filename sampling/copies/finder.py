"""What a draw asks of its pictures' hashes: copies of test images, and of each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...core.files import sha256_file
from ...core.picture_hash import Hashes
from ...core.records import Progress, Vectors
from ...search.vectors.exact import rounded
from ...search.vectors.loading import choose_device
from ...workspace.settings import COPIES
from ..shots import Labelled
from .alike import copies_among
from .copy_model import NEAR, CopyModel
from .descriptors import Descriptors
from .guard import LeakGuard
from .stored import PictureHashes, hashes_folder, picture_hashes

if TYPE_CHECKING:
    from ...search.vectors.store import Embeddings
    from ...workspace.workspace import Workspace
    from ..references import References
    from ..task import SampleTask


@dataclass(frozen=True, slots=True)
class CopyFinder:
    """Looks up the hashes of embedded rows; ``guard`` None: no test images."""

    embeddings: Embeddings
    hashes: PictureHashes
    guard: LeakGuard | None
    dedup: bool
    verdicts: NDArray[np.int8]
    """(embedded rows,) 1: a copy of a test image, 0: none, -1: not looked at yet. Each is looked at once."""
    described: Vectors | None = None
    """(embedded rows, d) by the copy model, where the settings name one; ``tests`` the test images."""
    tests: Vectors | None = None

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        task: SampleTask,
        embeddings: Embeddings,
        references: References,
        progress: Progress,
    ) -> CopyFinder | None:
        """That of ``task``, the hashes of every embedded picture made; None where it asks nothing of them."""
        dedup = task.spec.dedup == COPIES
        if not task.leaks and not dedup:
            return None
        hashes = PictureHashes(hashes_folder(workspace))
        rows: Any = embeddings.metadata.select(["sha256", "image_path"]).to_pydict()
        files = (workspace.root / path for path in rows["image_path"])
        pictures = list(zip(rows["sha256"], files, strict=True))
        hashes.fill(pictures, progress)
        verdicts = np.full(embeddings.rows, -1, np.int8)
        finder = cls(embeddings, hashes, _guard(task.leaks, references), dedup, verdicts)
        model = workspace.settings().model
        if not model.copies:
            return finder
        copy_model = CopyModel(workspace.root / model.copies, choose_device(model.device))
        store = hashes_folder(workspace) / f"{copy_model.weights[:12]}.npz"
        paths = task.leaks.paths if isinstance(task.leaks, Labelled) else ()
        tests = [(sha256_file(path), path) for path in paths]
        described = copy_model.vectors([*pictures, *tests], store, progress)
        return replace(finder, described=described[: len(pictures)], tests=described[len(pictures) :])

    def leaking(self, rows: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """(rows,) which are copies of a test image; None where there are no test images."""
        if self.guard is None:
            return None
        new = np.unique(rows[self.verdicts[rows] < 0])
        if len(new):
            leaking = self.guard.leaking(self._of(new), self.embeddings.images.take(new))
            if self.described is not None and self.tests is not None and len(self.tests):
                leaking |= (rounded(self.described[new] @ self.tests.T) > NEAR).any(axis=1)
            self.verdicts[new] = leaking
        return self.verdicts[rows] == 1

    def among(self, rows: NDArray[np.int64]) -> Mapping[int, set[int]] | None:
        """Which of ``rows`` are copies of which; None where that isn't asked."""
        if not self.dedup:
            return None
        copies = copies_among(self._of(rows))
        if self.described is not None:
            vectors = self.described[rows]
            for row, other in np.argwhere(rounded(vectors @ vectors.T) > NEAR).tolist():
                if row != other:
                    copies.setdefault(row, set()).add(other)
        return copies

    def _of(self, rows: NDArray[np.int64]) -> Hashes:
        keys: list[Any] = self.embeddings.metadata.column("sha256").take(rows).to_pylist()
        return self.hashes.take(keys)


def _guard(images: Labelled | Descriptors | None, references: References) -> LeakGuard | None:
    if images is None:
        return None
    if isinstance(images, Descriptors):
        return LeakGuard(images.hashes, None)
    return LeakGuard(np.stack(list(picture_hashes(images.paths))), references.images(images.paths))
