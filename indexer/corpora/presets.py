"""Corpus presets: which of a corpus's columns contains what, and how a file's preset is recognised.

Names and types of columns drift between releases and between files, so a preset gives for each canonical
column the source columns to try, in order; the first one present is read. A name is looked up as written,
then without regard to case. Only `url` and `caption` must be there; any other absent column reads as NULL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...core.errors import CorpusError
from ...core.records import CorpusPath
from .templates import fields_of, key_of

REQUIRED = ("url", "caption")
"""The canonical columns that a corpus file must have, ``url`` only where the pictures aren't in it."""

OPTIONAL = ("width", "height", "similarity", "nsfw", "punsafe", "licence", "language")
"""The canonical columns that may be absent."""

SQLITE = "swat-db"
"""The preset of SWAT's database: recognised by its tables, never by its columns."""

SAMPLES = "webdataset"
"""The preset of tars, recognised by their format."""

PAIR = "url-caption"
"""The preset of any table with a URL and a caption column, its names known or given by the user."""


@dataclass(frozen=True, slots=True)
class CorpusPreset:
    """One corpus: what it is, its canonical columns' source columns, and the columns that tell it.

    A file is of this preset when it holds every column of one of the ``marks`` (lower case). Columns of a
    text file without a header are named "0", "1", ….
    """

    title: str
    columns: Mapping[str, tuple[str, ...]]
    marks: tuple[frozenset[str], ...] = field(default=())


def _marks(*names: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(name.split()) for name in names)


_LAION = {
    "url": ("URL", "url"),
    "caption": ("TEXT", "text", "caption"),
    "width": ("WIDTH", "original_width"),
    "height": ("HEIGHT", "original_height"),
    "similarity": ("similarity",),
    "nsfw": ("NSFW",),
    "punsafe": ("punsafe", "p_unsafe"),
    "licence": ("LICENSE", "LICENCE"),
    "language": ("LANGUAGE",),
}

CORPORA: dict[str, CorpusPreset] = {
    "img2dataset": CorpusPreset(
        "img2dataset's output (the Parquet files beside the shards)",
        # original_*: the picture on the web; width and height are those after img2dataset's own resizing.
        {
            **_LAION,
            "url": ("url", "URL"),
            "caption": ("caption", "TEXT", "text"),
            "width": ("original_width", "width"),
            "height": ("original_height", "height"),
        },
        _marks("url caption key status", "url text key status error_message"),
    ),
    "commonpool": CorpusPreset(
        "DataComp: CommonPool and DataComp-1B",
        {
            "url": ("url",),
            "caption": ("text",),
            "width": ("original_width",),
            "height": ("original_height",),
            "similarity": ("clip_b32_similarity_score", "clip_l14_similarity_score"),
        },
        _marks("url text original_width clip_b32_similarity_score", "uid url text original_width"),
    ),
    "coyo700m": CorpusPreset(
        "COYO-700M",
        # ViT-B/32 is the model of LAION-400M's `similarity` too; opennsfw2 is a probability, as punsafe is.
        {
            "url": ("url",),
            "caption": ("text",),
            "width": ("width",),
            "height": ("height",),
            "similarity": ("clip_similarity_vitb32", "clip_similarity_vitl14"),
            "punsafe": ("nsfw_score_opennsfw2", "nsfw_score_gantman"),
        },
        _marks("url text image_phash", "url text clip_similarity_vitb32"),
    ),
    "relaion": CorpusPreset(
        "Re-LAION (research and research-safe)",
        {**_LAION, "url": ("url", "URL"), "caption": ("caption", "TEXT")},
        _marks("url caption punsafe", "url caption pwatermark", "url caption similarity nsfw"),
    ),
    "laion5b-joined": CorpusPreset(
        "LAION-2B/5B joined with punsafe and pwatermark",
        _LAION,
        _marks("url text punsafe", "url text pwatermark", "url text hash similarity"),
    ),
    "laion5b": CorpusPreset(
        "LAION-2B/5B, multi and nolang (the originals), and their aesthetic subsets",
        _LAION,
        _marks("url text language", "url text similarity aesthetic", "url text aesthetic_score"),
    ),
    "laion400m": CorpusPreset(
        "LAION-400M (LAION-2B-en's originals have the same columns)",
        _LAION,
        _marks("sample_id url text", "url text nsfw similarity", "url text width height similarity"),
    ),
    SQLITE: CorpusPreset(
        "SWAT's laion400m.db: SQLite tables part0, part1, … with LAION-400M's columns", _LAION
    ),
    "cc12m": CorpusPreset(
        "CC12M: TSV without a header, URL then caption", {"url": ("0",), "caption": ("1",)}
    ),
    "cc3m": CorpusPreset("CC3M: TSV without a header, caption then URL", {"url": ("1",), "caption": ("0",)}),
    "wit": CorpusPreset(
        "WIT (Wikipedia): TSV with a header",
        {
            "url": ("image_url",),
            "caption": ("caption_reference_description", "caption_attribution_description"),
            "width": ("original_width",),
            "height": ("original_height",),
            "language": ("language",),
        },
        _marks("language page_url image_url caption_reference_description"),
    ),
    "recap-datacomp": CorpusPreset(
        "Recap-DataComp-1B: DataComp-1B with captions of a model beside the web's",
        # The model's is searched; --caption-column org_caption, or both, chooses.
        {
            "url": ("url",),
            "caption": ("re_caption",),
            "similarity": ("re_clip_score", "org_clip_score"),
        },
        _marks("url re_caption org_caption"),
    ),
    "treeoflife": CorpusPreset(
        "TreeOfLife: a table of images with their taxonomy, from which captions are made",
        {
            "url": ("source_url", "identifier", "url"),
            "caption": (
                "{common_name}, {scientific_name}, {family}, {order}, {class}",
                "{common}, {scientific_name}, {family}, {order}, {class}",
                "{common}, {genus} {species}, {family}, {order}, {class}",
                "{genus} {species}, {family}, {order}, {class}",
            ),
            "licence": ("license_name", "license"),
        },
        _marks(
            "source_url kingdom family genus species",
            "identifier kingdom family genus species",
            "url kingdom family genus species",
        ),
    ),
    SAMPLES: CorpusPreset(
        "WebDataset tars: a sample's txt, its json's keys; pictures without a URL are named by tar and key",
        {
            "url": ("url", "URL", "image_url"),
            "caption": ("txt", "caption", "text"),
            "width": ("original_width", "width"),
            "height": ("original_height", "height"),
            "similarity": ("similarity", "clip_similarity"),
            "nsfw": ("NSFW", "nsfw"),
            "punsafe": ("punsafe",),
            "licence": ("LICENSE", "license", "licence"),
            "language": ("LANGUAGE", "language"),
        },
    ),
    PAIR: CorpusPreset(
        "any Parquet or TSV (with a header) that has a URL and a caption column",
        {
            "url": ("url", "image_url", "img_url", "image_link", "uri"),
            "caption": ("caption", "text", "alt_text", "alt", "title", "description"),
            "width": ("original_width", "width", "image_width"),
            "height": ("original_height", "height", "image_height"),
            "similarity": ("similarity", "clip_similarity"),
            "nsfw": ("nsfw",),
            "punsafe": ("punsafe",),
            "licence": ("license", "licence", "license_type"),
            "language": ("language", "lang"),
        },
    ),
}


EVERYWHERE = {
    "nsfw": ("nsfw", "is_nsfw", "unsafe", "is_unsafe", "nsfw_label", "nsfw_tag"),
    "punsafe": ("punsafe", "p_unsafe", "nsfw_score", "unsafe_score"),
}
"""Names of safety columns that are looked for behind every preset's own."""


def detect(present: Sequence[str]) -> str:
    """The preset that a table with the columns ``present`` is of: the first whose marks it has."""
    lower = {plain_name(name) for name in present}
    for name, preset in CORPORA.items():
        if any(mark <= lower for mark in preset.marks):
            return name
    return PAIR


def check_choice(preset: str, columns: Mapping[str, str]) -> None:
    """Raise CorpusError for a preset or a canonical column that doesn't exist."""
    if preset and preset not in CORPORA:
        raise CorpusError(f"no corpus preset {preset!r}; there are {', '.join(CORPORA)}")
    for column in columns:
        if column not in (*REQUIRED, *OPTIONAL):
            raise CorpusError(
                f"no canonical column {column!r}; there are {', '.join((*REQUIRED, *OPTIONAL))}"
            )


def sources(
    path: CorpusPath,
    preset: str,
    present: Sequence[str],
    columns: Mapping[str, str],
    *,
    has_pictures: bool = False,
) -> dict[str, str]:
    """Canonical column → the source column of ``path`` that is read for it; what isn't there is left out.

    ``columns`` (named by the user) go before the preset's. A file that has the pictures needs no URLs.
    CorpusError names the file, the column that is missing and those present.
    """
    source_of: dict[str, str] = {}
    for canonical in (*REQUIRED, *OPTIONAL):
        by_user = columns.get(canonical)
        own = (*CORPORA[preset].columns.get(canonical, ()), *EVERYWHERE.get(canonical, ()))
        names = (by_user,) if by_user is not None else own
        if canonical == "caption" and (fields := _first_template(names, present)):
            source_of |= fields
            continue
        source = _first_present(names, present)
        if source is not None and present.count(source) > 1:
            raise CorpusError(
                f"{path} has {present.count(source)} columns named {source!r}: rename all but one, or name "
                "another column"
            )
        if source is not None:
            source_of[canonical] = source
        elif by_user is not None:
            raise CorpusError(
                f"{path} has no column {by_user!r} (for {canonical}); it has {_listed(present)}"
            )
        elif canonical in REQUIRED and not (canonical == "url" and has_pictures):
            raise CorpusError(
                f"{path} has no {canonical} column (preset {preset} looks for {', '.join(names)}); it has "
                f"{_listed(present)}: name another --preset, or the columns"
            )
    return source_of


def _first_template(names: Sequence[str], present: Sequence[str]) -> dict[str, str]:
    """Of the first of ``names`` that is a template of columns that are there: key → source column."""
    for name in names:
        columns = [_first_present((field,), present) for field in fields_of(name)]
        if columns and all(columns):
            return {key_of(name, place): column for place, column in enumerate(columns) if column}
    return {}


def _first_present(names: Sequence[str], present: Sequence[str]) -> str | None:
    lower = {plain_name(name): name for name in reversed(present)}
    for name in names:
        if name in present:
            return name
    return next((lower[plain_name(name)] for name in names if plain_name(name) in lower), None)


def plain_name(name: str) -> str:
    """A column's name as it is looked up: without case, a byte order mark, and blanks around it."""
    return name.strip("\ufeff \t\r\n\u00a0").lower()


def _listed(names: Sequence[str]) -> str:
    """The names as an error shows them: what can't be seen in one is escaped."""
    return ", ".join(name if name.isprintable() and name == name.strip() else repr(name) for name in names)
