"""What a draw asks of its pictures' hashes: copies of test images, and of each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...core.picture_hash import Hashes
from ...core.records import Progress
from ...workspace.settings import COPIES
from .alike import copies_among
from .descriptors import Descriptors
from .guard import LeakGuard
from .stored import PictureHashes, hashes_folder, picture_hashes

if TYPE_CHECKING:
    from ...search.vectors.store import Embeddings
    from ...workspace.workspace import Workspace
    from ..references import References
    from ..shots import Labelled
    from ..task import SampleTask


@dataclass(frozen=True, slots=True)
class CopyFinder:
    """Looks up the hashes of embedded rows; ``guard`` None: no test images."""

    embeddings: Embeddings
    hashes: PictureHashes
    guard: LeakGuard | None
    dedup: bool

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
        rows = embeddings.metadata.select(["sha256", "image_path"]).to_pydict()
        files = [workspace.root / path for path in rows["image_path"]]
        hashes.fill(list(zip(rows["sha256"], files, strict=True)), progress)
        return cls(embeddings, hashes, _guard(task.leaks, references), dedup)

    def leaking(self, rows: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """(rows,) which are copies of a test image; None where there are no test images."""
        if self.guard is None:
            return None
        return self.guard.leaking(self._of(rows), self.embeddings.images.take(rows))

    def among(self, rows: NDArray[np.int64]) -> Mapping[int, set[int]] | None:
        """Which of ``rows`` are copies of which; None where that isn't asked."""
        return copies_among(self._of(rows)) if self.dedup else None

    def _of(self, rows: NDArray[np.int64]) -> Hashes:
        keys: list[Any] = self.embeddings.metadata.column("sha256").take(rows).to_pylist()
        return self.hashes.take(keys)


def _guard(images: Labelled | Descriptors | None, references: References) -> LeakGuard | None:
    if images is None:
        return None
    if isinstance(images, Descriptors):
        return LeakGuard(images.hashes, None)
    return LeakGuard(np.stack(list(picture_hashes(images.paths))), references.images(images.paths))
