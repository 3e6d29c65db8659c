"""What made a stage's artefacts beside its inputs, for captrawl.lock.json: versions and settings."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING, Any

from ..core.version import __version__

if TYPE_CHECKING:
    from .settings import Settings

LIBRARIES: dict[str, tuple[str, ...]] = {
    "match": ("tantivy", "elasticsearch", "pyarrow"),
    "download": ("aiohttp", "img2dataset", "opencv-python", "opencv-python-headless", "Pillow"),
    "embed": ("torch", "open_clip_torch", "timm", "Pillow", "numpy"),
    "vectors": ("faiss-cpu", "faiss-gpu", "numpy"),
    "sample": ("faiss-cpu", "faiss-gpu", "numpy"),
}
"""The distributions whose version can change what a stage makes; those that aren't installed are left out."""

SECTIONS: dict[str, tuple[str, ...]] = {
    "match": ("task", "captions", "match"),
    "download": ("download",),
    "embed": ("model",),
}
"""The tables of captrawl.toml that a stage reads; a sample's own table stands in its details."""


def made_by(stage: str, settings: Settings | None) -> dict[str, Any]:
    """``{"versions": {name: version}, "settings": {table: values}}`` of ``stage``, run here and now."""
    kind = stage.partition(":")[0]
    versions = {"captrawl": __version__, "python": platform.python_version()}
    for name in LIBRARIES.get(kind, ()):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    held = settings.model_dump(mode="json", exclude_none=True) if settings else {}
    return {"versions": versions, "settings": {name: held[name] for name in SECTIONS.get(kind, ()) if held}}
