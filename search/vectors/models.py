"""Which model: its identity, SWAT's names for four of them, the folder it gets, and its weights' fingerprint.

Nothing here imports torch: `captrawl status` asks these questions too.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import ModelError
from ...core.files import read_json

if TYPE_CHECKING:
    from ...workspace.workspace import Workspace

LOCAL = "local-dir:"
HUB = "hf-hub:"
CONFIG = "open_clip_config.json"
FLOAT32 = "float32"
"""A forward pass without shorter types."""
INFO = "model.json"
"""What a folder of embeddings/ says of its model."""

_CHECKPOINTS = (  # open_clip's own order of preference inside a local-dir
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
_PLAIN_TAG = re.compile(r"[A-Za-z0-9_-]{0,79}")


@dataclass(frozen=True, slots=True)
class ModelId:
    """An open_clip model: ``name`` as open_clip takes it, ``pretrained`` its tag or a checkpoint's path.

    ``local-dir:PATH`` and ``hf-hub:ORG/NAME`` bring their own weights: ``pretrained`` is "" there.
    """

    name: str
    pretrained: str = ""
    folder: str = field(default="", compare=False)
    """The slug under which vectors of the same weights are stored, where that is another one."""

    @property
    def is_local(self) -> bool:
        """Whether its weights are files that the user named."""
        return self.name.startswith(LOCAL) or "/" in self.pretrained

    @property
    def slug(self) -> str:
        """A folder name: distinct models, distinct slugs; safe on every file system, at most 100 characters.

        A built-in model reads ``ViT-B-32-quickgelu.laion400m_e32``; anything else gets a hash of its full
        name, since a path can't be shortened without one. The slug names the model, not its weights: what
        those were stands in the folder's model.json (:func:`fingerprint`).
        """
        if self.folder:
            return self.folder
        if _PLAIN_NAME.fullmatch(self.name) and _PLAIN_TAG.fullmatch(self.pretrained):
            return f"{self.name}.{self.pretrained}" if self.pretrained else self.name
        readable = Path(self.name.removeprefix(LOCAL)).name if self.name.startswith(LOCAL) else self.name
        tag = Path(self.pretrained).name if self.pretrained else ""
        safe = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{readable.removeprefix(HUB)}-{tag}").strip("-")[:80]
        unique = hashlib.sha256(f"{self.name}\0{self.pretrained}".encode()).hexdigest()[:8]
        return f"{safe}.{unique}" if safe else unique

    def __str__(self) -> str:
        return f"{self.name} / {self.pretrained}" if self.pretrained else self.name


MODELS: dict[str, ModelId] = {
    "vitb32_openclip_laion400m": ModelId("ViT-B-32-quickgelu", "laion400m_e32"),
    "vitb32_openclip_laion2b": ModelId("ViT-B-32", "laion2b_s34b_b79k"),
    "vitb32_clip": ModelId("ViT-B-32-quickgelu", "openai"),
    # SWAT writes ViT-B-16 here. The open_clip of its day forced QuickGELU on every "openai" tag, today's
    # doesn't, so the architecture that gives SWAT's vectors is this one.
    "vitb16_clip": ModelId("ViT-B-16-quickgelu", "openai"),
}
"""SWAT's names (its ``model_cfg``) → the model each stands for."""


def resolve(name: str, pretrained: str = "", *, root: Path | None = None) -> ModelId:
    """The model that ``name`` (an alias of MODELS, a built-in, local-dir: or hf-hub:) and a tag stand for.

    An alias and the two schemes bring their own weights, so ``pretrained`` isn't read with them. A relative
    path lies below ``root`` (default: the current folder). Raises ModelError for an empty name.
    """
    if name in MODELS:
        return MODELS[name]
    base = root or Path.cwd()
    if name.startswith(LOCAL):
        path = name.removeprefix(LOCAL)
        if not path:
            raise ModelError("model name 'local-dir:' lacks the folder; write local-dir:PATH")
        return ModelId(LOCAL + str((base / Path(path).expanduser()).resolve()))
    if name.startswith(HUB):
        return ModelId(name)
    if not name:
        raise ModelError("the model has no name; set model.name in captrawl.toml, or give --model NAME")
    if pretrained.endswith((".pt", ".pth", ".bin", ".safetensors", ".npz")) or "/" in pretrained:
        pretrained = str((base / Path(pretrained).expanduser()).resolve())
    return ModelId(name.replace("/", "-"), pretrained)


def model_of(workspace: Workspace) -> ModelId:
    """The model that a workspace's settings name.

    A local model that was moved, linked or copied is the same where its weights are: vectors that were made
    under its old path stay its own.
    """
    settings = workspace.settings().model
    model = resolve(settings.name, settings.pretrained, root=workspace.root)
    if not model.is_local or (workspace.embeddings_folder(model.slug) / INFO).is_file():
        return model
    others = others_of(workspace)
    weights = _weights(model) if others else ""
    moved = next((one for one in others if weights and one.weights == weights), None)
    return replace(model, folder=moved.folder) if moved else model


@dataclass(frozen=True, slots=True)
class StoredModel:
    """Whose vectors a folder of embeddings/ contains: the model as it was named then, and its weights."""

    folder: str
    model: ModelId
    weights: str


def others_of(workspace: Workspace) -> list[StoredModel]:
    """The local models that the workspace has vectors of, by folder."""
    others: list[StoredModel] = []
    for path in sorted(workspace.embeddings_folder("x").parent.glob(f"[!.]*/{INFO}")):
        try:
            values: Any = read_json(path)
            model = ModelId(values["name"], values["pretrained"])
            stored = StoredModel(path.parent.name, model, values["weights"])
        except (OSError, ValueError, KeyError, TypeError):  # whoever opens it tells
            continue
        if model.is_local:
            others.append(stored)
    return others


def _weights(model: ModelId) -> str:
    """The fingerprint of a local model, "" where it isn't there."""
    try:
        return fingerprint(model)
    except ModelError:
        return ""


def fingerprint(model: ModelId) -> str:
    """The sha256 of a local model's weights, architecture and tokenizer files; "" for models from a hub.

    A hub's weights are fingerprinted when they are loaded (search.vectors.loading). Raises ModelError where
    the folder, its config or its weights aren't there.
    """
    if model.name.startswith(LOCAL):
        folder = Path(model.name.removeprefix(LOCAL))
        if not (folder / CONFIG).is_file():
            raise ModelError(
                f"{folder} isn't an open_clip model: it has no {CONFIG}; name its folder after local-dir:"
            )
        return _hash_files([folder / CONFIG, _checkpoint(folder), *_tokenizer_files(folder)])
    if "/" in model.pretrained:
        path = Path(model.pretrained)
        if not path.is_file():
            raise ModelError(
                f"weights {path} for {model.name} aren't there; give a checkpoint's path or a tag"
            )
        return _hash_files([path])
    return ""


def _checkpoint(folder: Path) -> Path:
    """The weights that open_clip would load from ``folder``."""
    for name in _CHECKPOINTS:
        if (folder / name).is_file():
            return folder / name
    checkpoints = sorted(
        (path for path in folder.iterdir() if path.suffix in {".safetensors", ".bin", ".pth"}),
        key=lambda path: (path.suffix != ".safetensors", str(path)),
    )
    if not checkpoints:
        raise ModelError(
            f"{folder} contains no weights (.safetensors, .bin or .pth); copy them beside {CONFIG}"
        )
    return checkpoints[0]


def _tokenizer_files(folder: Path) -> list[Path]:
    stems = ("tokenizer", "vocab", "merges", "special_tokens", "added_tokens", "sentencepiece", "spiece")
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name.startswith(stems))


@lru_cache(64)
def _file_digest(path: Path, inode: int, size: int, changed: int) -> bytes:  # noqa: ARG001
    """The sha256 of a file, read once while it is the same: weights are asked for all the time."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").digest()


def _hash_files(paths: list[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        try:
            status = path.stat()
            total.update(_file_digest(path, status.st_ino, status.st_size, status.st_mtime_ns))
        except OSError as error:
            raise ModelError(f"can't read {path}: {error.strerror}") from error
    return total.hexdigest()
