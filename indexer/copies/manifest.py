"""What a copy of an index consists of: captrawl-index.json.

The files lie beside it as ``files/<sha256>``. What is there under such a name is whole, since every place
writes a file whole or not at all: a push that was killed sends what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ...core.errors import InputError
from ...core.files import sha256_file
from ...core.records import Progress
from ...search.inventory import corpus_totals
from ...search.tantivy.folder import WITHOUT_ROWS, check_folder, format_of, read_groups
from ..opening import open_index

MANIFEST = "captrawl-index.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """A file of the index: its path there, and its content."""

    path: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """Where the copy has it."""
        return f"files/{self.sha256}"


@dataclass(frozen=True, slots=True)
class CopiedCorpus:
    """A corpus of the index, and its rows."""

    corpus: str
    files: int
    rows: int


@dataclass(frozen=True, slots=True)
class IndexManifest:
    """A copy of an index; ``licence``: of the captions, by who copied it."""

    rows: int
    analyzer: int
    index_format: int
    licence: str
    corpora: tuple[CopiedCorpus, ...]
    files: tuple[CopiedFile, ...]

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(file.size for file in self.files)

    @property
    def title(self) -> str:
        """The corpora's names."""
        return ", ".join(one.corpus for one in self.corpora)

    @classmethod
    def of(cls, root: Path, licence: str, progress: Progress) -> IndexManifest:
        """That of the index at ``root``; CaptionIndexError where it is none, or has its rows elsewhere."""
        analyzer = check_folder(root, create=False)
        if (form := format_of(root)) == WITHOUT_ROWS:
            raise InputError(
                f"{root} was made with --store none: its rows are in the corpus's files, a copy would have "
                "none; build it with --store rows to share it"
            )
        with open_index(root) as captions:
            inventory = captions.inventory()
        corpora = tuple(CopiedCorpus(one.corpus, one.files, one.rows) for one in corpus_totals(inventory))
        if not corpora:
            raise InputError(f"{root} is empty: there is nothing to copy")
        paths = list(_paths(root))
        files: list[CopiedFile] = []
        for number, path in enumerate(paths):
            name = path.relative_to(root).as_posix()
            files.append(CopiedFile(name, path.stat().st_size, sha256_file(path)))
            progress("hash files", number + 1, len(paths))
        return cls(sum(one.rows for one in corpora), analyzer, form, licence, corpora, tuple(files))

    def text(self) -> str:
        """As it is written."""
        return json.dumps({"kind": "captrawl index", "format": FORMAT, **asdict(self)}, indent=1)

    @classmethod
    def read(cls, text: bytes, where: str) -> IndexManifest:
        """What :meth:`text` wrote; InputError where ``where`` has none, or one that leads elsewhere."""
        try:
            values: Any = json.loads(text)
            if values.pop("kind") != "captrawl index" or values.pop("format") != FORMAT:
                raise ValueError("another format")
            corpora = tuple(CopiedCorpus(**one) for one in values.pop("corpora"))
            files = tuple(CopiedFile(**one) for one in values.pop("files"))
            manifest = cls(corpora=corpora, files=files, **values)
            if not (type(manifest.rows) is int and type(manifest.licence) is str and corpora):
                raise ValueError("no number of rows, licence or corpora")
            if not all(_is_safe(file) for file in files):
                raise ValueError("a path that leads out of the index")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{where} is no copy of an index that this captrawl reads ({error!s:.80})"
            ) from error
        return manifest


def _paths(root: Path) -> Iterator[Path]:
    """The files that are the index, by path: not what is on its way in, nor registrations of vectors."""
    yield root / "captions.json"
    for group in read_groups(root):
        removed = group.folder.with_name(f"{group.folder.name}.removed.json")
        if removed.is_file():
            yield removed
        yield group.folder / "manifest.json"
        for part in group.parts:
            yield from sorted(path for path in (group.folder / part).rglob("*") if path.is_file())


def _is_safe(file: CopiedFile) -> bool:
    parts = PurePosixPath(file.path).parts
    inside = bool(parts) and not PurePosixPath(file.path).is_absolute() and ".." not in parts
    hexadecimal = len(file.sha256) == 64 and set(file.sha256) <= set("0123456789abcdef")
    return inside and "\0" not in file.path and hexadecimal and type(file.size) is int and file.size >= 0
