"""Images with a table of paths and captions, as open_clip's training reads it."""

from __future__ import annotations

import csv
from pathlib import Path

from ...core.records import Progress
from .image_files import place
from .sample import Sample

TABLE = "train.csv"
COLUMNS = ("filepath", "title", "class_id", "class")
"""The first two are what open_clip_train takes by default (``--csv-img-key``, ``--csv-caption-key``)."""


def write_csv(sample: Sample, folder: Path, progress: Progress) -> dict[str, int]:
    """train.csv: an image a line, tabs between the columns, absolute paths; the images below images/.

    A row without a caption has its class's name: an empty field would be read as the word "nan".
    """
    done = 0
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as handle:
        table = csv.writer(handle, delimiter="\t", lineterminator="\n")
        table.writerow(COLUMNS)
        for row, file in sample.images():
            name = f"images/{sample.folders[row['class_id']]}/{row['rank']:05d}{file.suffix}"
            place(file, folder / name)
            label = sample.names[row["class_id"]]
            title = one_line(row["caption"] or "") or label
            table.writerow((sample.target / name, title, row["class_id"], label))
            done += 1
            progress("export", done, sample.rows.num_rows)
    return {"images": done}


def one_line(text: str) -> str:
    """``text`` without line breaks, tabs and NUL, which readers of tables stop at."""
    return " ".join(text.replace("\0", " ").split())
