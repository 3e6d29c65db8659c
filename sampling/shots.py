"""The user's labelled images: few shots, labelled test images, test images to keep out (leak guard).

Given as a ``path label flag`` list with a root folder, or as an ImageFolder (a folder of class folders).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..classes.model import ClassList
from ..core.errors import InputError
from ..core.files import digest, sha256_file
from ..core.pictures import NO_HEIF, PIXELS_VERSION, may_be_image, reads_heif
from ..core.wording import counted
from .export.class_folders import class_of_folder
from .files import read_list
from .vector_cache import cached

if TYPE_CHECKING:
    from ..core.records import Progress
    from ..search.vectors.encoder import Encoder

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff", ".ppm"}
)
HEIF_SUFFIXES = frozenset({".heic", ".heif"})
_UNREAD_SUFFIXES = frozenset(
    {".heic", ".heif", ".jxl", ".jp2", ".j2k", ".tga", ".psd", ".dng", ".cr2", ".nef"}
)
"""Pictures all the same, which Pillow alone doesn't read."""
IMAGES_AT_ONCE = 2048
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Labelled:
    """Image files and the class id of each, in the list's order (folders: by class id, then path)."""

    paths: tuple[Path, ...]
    labels: NDArray[np.int64]

    def fingerprint(self) -> str:
        """A hash of the labels, paths, sizes and times of change: whether they are what they were."""
        stats = [path.stat() for path in self.paths]
        entries = [
            [str(path), label, stat.st_size, stat.st_mtime_ns]
            for path, label, stat in zip(self.paths, self.labels.tolist(), stats, strict=True)
        ]
        return digest(entries)


def read_labelled(source: Path, root: Path, classes: ClassList | None) -> Labelled:
    """The labelled images of ``source``: a list, whose paths lie below ``root``, or an ImageFolder.

    ``classes`` None accepts any label and folder (a leak guard needs none). InputError names the file and
    line of a label outside the classes, of a missing image, and a folder that is no class.
    """
    if source.is_dir():
        return _read_folder(source, classes)
    if not source.exists():
        raise InputError(f"{source} isn't there; give a `path label flag` list or a folder of class folders")
    ids = None if classes is None else {entry.id for entry in classes}
    paths: list[Path] = []
    labels: list[int] = []
    for entry in read_list(source):
        if ids is not None and entry.label not in ids:
            raise InputError(
                f"{source}:{entry.line}: label {entry.label} isn't the id of any of the {len(ids)} classes"
            )
        path = root / entry.path
        if not path.is_file():
            raise InputError(
                f"{source}:{entry.line}: there is no image {path}; "
                "name the folder that the list's paths start from (--root)"
            )
        paths.append(path)
        labels.append(entry.label)
    if not paths:
        raise InputError(f"{source} lists no image; write `path label flag` lines, such as birds/1.jpg 0 1")
    return Labelled(tuple(paths), np.array(labels, dtype=np.int64))


def _read_folder(folder: Path, classes: ClassList | None) -> Labelled:
    pairs: list[tuple[int, Path]] = []
    others: list[Path] = []
    entries = _visible(folder)
    for sub in (path for path in entries if path.is_dir()):
        label = -1 if classes is None else class_of_folder(sub, classes)
        files = list(_files_below(sub))
        pairs += [(label, path) for path in files if is_image(path)]
        others += [path for path in files if not is_image(path)]
    files = [path for path in entries if path.is_file()]
    if classes is None:
        pairs += [(-1, path) for path in files if is_image(path)]
        others += [path for path in files if not is_image(path)]
    _report_others(folder, others, guard=classes is None)
    if not pairs:
        raise InputError(f"{folder} contains no images in class folders, such as {folder}/sparrow/1.jpg")
    pairs.sort(key=lambda pair: pair[0])
    return Labelled(tuple(path for _, path in pairs), np.array([label for label, _ in pairs], dtype=np.int64))


def _visible(folder: Path) -> list[Path]:
    """What ``folder`` contains, by name; names that begin with a dot are other programs' business."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _files_below(folder: Path) -> Iterator[Path]:
    for path in _visible(folder):
        if path.is_dir():
            yield from _files_below(path)
        else:
            yield path


def _report_others(folder: Path, others: Sequence[Path], *, guard: bool) -> None:
    """Warn of the files that aren't read as images; InputError where a leak guard would miss a picture."""
    pictures = [path for path in others if guard and _may_be_picture(path)]
    if pictures:
        raise InputError(
            f"{folder} contains {counted(len(pictures), 'file')} not read that may be pictures "
            f"({_kinds(pictures)}), such as {pictures[0]}: save them as JPEG or PNG, or move them away"
            f"{_heif_hint(pictures)}"
        )
    if others:
        files = counted(len(others), "file")
        logger.warning("%s: %s not read as images (%s)%s", folder, files, _kinds(others), _heif_hint(others))


def _heif_hint(paths: Sequence[Path]) -> str:
    return f"; {NO_HEIF}" if any(path.suffix.lower() in HEIF_SUFFIXES for path in paths) else ""


def _kinds(paths: Sequence[Path]) -> str:
    """The suffixes of ``paths`` with their counts, the most frequent first."""
    counts = Counter(path.suffix.lower() or "no suffix" for path in paths)
    return ", ".join(f"{suffix} {count}" for suffix, count in counts.most_common(5))


def _may_be_picture(path: Path) -> bool:
    if path.suffix.lower() in _UNREAD_SUFFIXES:
        return True
    try:
        with path.open("rb") as handle:
            return may_be_image(handle.read(16), whole=True)
    except OSError:
        return True


def is_image(path: Path) -> bool:
    """Whether ``path`` is a file with the suffix of an image that can be read here."""
    suffix = path.suffix.lower()
    return (suffix in IMAGE_SUFFIXES or (suffix in HEIF_SUFFIXES and reads_heif())) and path.is_file()


def embed_labelled(
    paths: Sequence[Path],
    encoder: Callable[[], Encoder],
    *,
    store: Path,
    weights: str,
    dimension: int,
    progress: Progress,
) -> NDArray[np.float32]:
    """Unit rows (len(paths), dimension) of image files, kept in ``store`` by the files' sha256.

    ``encoder`` is only called where one is missing. InputError names a file that isn't an image.
    """
    keys = [picture_key(path) for path in paths]

    def compute(positions: Sequence[int]) -> NDArray[np.float32]:
        return encoder().encode_images([paths[position] for position in positions], progress)

    return cached(store, keys, compute, weights=weights, dimension=dimension, chunk=IMAGES_AT_ONCE)


def picture_key(path: Path) -> str:
    """What the vector of an image file is kept by: its bytes, and how they become pixels."""
    try:
        return digest([sha256_file(path), PIXELS_VERSION])
    except OSError as error:
        raise InputError(f"image {path} can't be read: {error.strerror}") from error
