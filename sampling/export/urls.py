"""A sample as URLs with licences and Croissant 1.0 metadata (docs.mlcommons.org/croissant); no images."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...core.arrow import pc
from ...core.files import write_json
from ...core.records import CROISSANT_CONTEXT, Progress
from ...core.version import __version__
from ...workspace.workspace import readable
from ..methods import Score

if TYPE_CHECKING:
    from .sample import Sample


ROWS = "images.parquet"
DESCRIPTIONS = {
    "url": ("sc:URL", "Where the image was found."),
    "class_id": ("sc:Integer", "The label."),
    "class": ("sc:Text", "The label's name."),
    "rank": ("sc:Integer", "The place within the class, from 1."),
    "licence": ("sc:Text", "The licence that the corpus gives for the image; missing where it gives none."),
    "caption": ("sc:Text", "The caption that the class was matched in."),
    "synonym": ("sc:Text", "The phrase of the class that the caption contains."),
    "uid": ("sc:Text", "LAION's join key, a signed 64-bit number as text."),
    "sha256": ("sc:Text", "Of the image file when it was drawn, upright and perhaps resized."),
    **{score.column: ("sc:Float", f"The score {score}.") for score in Score},
}
"""The columns of images.parquet: Croissant type and description."""


def write_urls(sample: Sample, folder: Path, progress: Progress) -> dict[str, int]:
    """images.parquet (the columns of DESCRIPTIONS) and croissant.json in ``folder``."""
    rows = sample.rows
    licence = licences(sample)
    names = pa.array([sample.names[class_id] for class_id in sample.class_ids], pa.string())
    columns: dict[str, Any] = {name: rows.column(name) for name in rows.column_names}
    columns |= {"class": names, "licence": licence, "uid": pc.cast(rows.column("uid"), pa.string())}
    table = pa.table({name: columns[name] for name in DESCRIPTIONS})
    pq.write_table(table, folder / ROWS)
    progress("export", rows.num_rows, rows.num_rows)
    digest = hashlib.sha256((folder / ROWS).read_bytes()).hexdigest()
    write_json(folder / "croissant.json", croissant(sample, digest))
    licensed = rows.num_rows - licence.null_count
    return {"urls": rows.num_rows, "with_licence": licensed, "without_licence": rows.num_rows - licensed}


def licences(sample: Sample) -> pa.StringArray:
    """The licence of each row, from its match; LAION's ``?`` and empty ones are missing."""
    uids = sample.rows.column("uid").combine_chunks()
    path = sample.workspace.matches_path
    with readable(path, "match"), pq.ParquetFile(path) as source:
        parts = [source.schema_arrow.empty_table().select(["uid", "licence"])]
        for batch in source.iter_batches(1 << 18, columns=["uid", "licence"]):
            unknown = pc.is_in(batch["licence"], value_set=pa.array([None, "", "?"]))
            usable = pc.and_not(pc.is_in(batch["uid"], value_set=uids), unknown)
            parts.append(pa.Table.from_batches([batch]).filter(usable))
    table: Any = pa.concat_tables(parts).combine_chunks()
    return table["licence"].combine_chunks().take(pc.index_in(uids, value_set=table["uid"]))


def croissant(sample: Sample, digest: str) -> dict[str, Any]:
    """The Croissant description (JSON-LD) of images.parquet, whose sha256 is ``digest``."""
    name = sample.paths.name
    return {
        "@context": CROISSANT_CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": (
            f"{sample.rows.num_rows} image URLs of {len(sample.classes)} classes, chosen from web captions "
            f"by captrawl {__version__}. The images belong to their owners; the column licence contains what "
            "the corpus says of each."
        ),
        "license": "Each image has its own, see the column licence.",
        "citeAs": f"captrawl {__version__}, sample {name}",
        "version": "1.0.0",
        "datePublished": created(sample),
        "isLiveDataset": True,
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": ROWS,
                "name": ROWS,
                "contentUrl": ROWS,
                "encodingFormat": "application/x-parquet",
                "sha256": digest,
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "images",
                "name": "images",
                "field": [field_of(column) for column in DESCRIPTIONS],
            }
        ],
    }


def created(sample: Sample) -> str:
    """The day the sample was drawn."""
    import datetime

    changed = sample.paths.table.stat().st_mtime
    return datetime.datetime.fromtimestamp(changed, datetime.UTC).date().isoformat()


def field_of(column: str) -> dict[str, Any]:
    """One column as a Croissant field."""
    kind, description = DESCRIPTIONS[column]
    return {
        "@type": "cr:Field",
        "@id": f"images/{column}",
        "name": column,
        "description": description,
        "dataType": kind,
        "source": {"fileObject": {"@id": ROWS}, "extract": {"column": column}},
    }
