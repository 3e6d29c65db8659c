"""What is known of published vectors, as `captrawl index vectors` keeps it beside a caption index.

INDEX/vectors/<model>/
  registration.json         model, source, dimension, and every metadata file with its arrays
  uids.npy, places.npy      sorted uids, and file << 40 | row of each; where the index has other files
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import InputError, WorkspaceError
from ...core.files import atomic, read_json, write_json
from ...search.vectors.models import ModelId
from .arrays import VectorArray

FORMAT = 1
NAME = "registration.json"
ROW_BITS = 40


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """The arrays of a metadata file; ``file`` and ``fingerprint`` are those in the index, "" without."""

    file: str
    fingerprint: str
    arrays: Mapping[str, VectorArray]


@dataclass(frozen=True, slots=True)
class Published:
    """Published vectors of one model; ``by_uid``: rows are found by uid, else by (file, row)."""

    model: ModelId
    weights: str
    source: str
    dimension: int
    normalised: bool
    by_uid: bool
    files: tuple[PublishedFile, ...]
    folder: Path

    def has(self, kind: str) -> bool:
        """Whether there are vectors of ``kind`` (layout.IMAGES, CAPTIONS)."""
        return any(kind in file.arrays for file in self.files)

    def save(self, uids: NDArray[np.int64], places: NDArray[np.int64]) -> None:
        """Write it into its folder; registration.json comes last."""
        for name, array in (("uids", uids), ("places", places)):
            if self.by_uid:
                with atomic(self.folder / f"{name}.npy") as temporary, temporary.open("wb") as handle:
                    np.save(handle, array)
        write_json(
            self.folder / NAME,
            {
                "format": FORMAT,
                "model": {"name": self.model.name, "pretrained": self.model.pretrained},
                "weights": self.weights,
                "source": self.source,
                "dimension": self.dimension,
                "normalised": self.normalised,
                "by_uid": self.by_uid,
                "files": [_file_json(file) for file in self.files],
            },
        )

    @classmethod
    def load(cls, folder: Path) -> Published:
        """What ``folder`` has; WorkspaceError where it isn't readable."""
        try:
            values: Any = read_json(folder / NAME)
            if values.pop("format") != FORMAT:
                raise ValueError("another format")
            model = ModelId(**values.pop("model"))
            files = tuple(_file(one) for one in values.pop("files"))
            return cls(model=model, files=files, folder=folder, **values)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WorkspaceError(
                f"{folder / NAME} can't be read ({error!s:.80}); run captrawl index vectors again"
            ) from error


def registered_in(folder: Path) -> list[Published]:
    """Every registration below ``folder``, by name."""
    return [Published.load(path.parent) for path in sorted(folder.glob(f"[!.]*/{NAME}"))]


def registration_of(folder: Path, model: ModelId, weights: str) -> Published:
    """The registration below ``folder`` of ``model``, or of a model of the same ``weights``.

    InputError where there is none, with those that are there.
    """
    others = registered_in(folder)
    for one in others:
        if one.model == model or (weights and one.weights == weights):
            return one
    names = ", ".join(str(one.model) for one in others)
    raise InputError(
        f"the published vectors in {folder} are of {names}, the prompts are of {model}: their products mean "
        "nothing; register vectors of that model, or set [model] to one of these"
    )


def _file_json(file: PublishedFile) -> dict[str, Any]:
    arrays = {kind: asdict(array) for kind, array in file.arrays.items()}
    return {"file": file.file, "fingerprint": file.fingerprint, "arrays": arrays}


def _file(values: Any) -> PublishedFile:
    arrays = {kind: VectorArray(**array) for kind, array in values["arrays"].items()}
    return PublishedFile(values["file"], values["fingerprint"], arrays)
