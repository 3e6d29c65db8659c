"""Class lists as text: one name a line, CSV and TSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping

from ..core.errors import ClassListError
from .json_lists import contiguous, parsed
from .model import ClassEntry, ClassList, Synonym, named, whole

COLUMNS = ("id", "name", "most_common_name", "synonym", "frequency", "match", "prompt", "reason", "extra")
"""captrawl's own table: a synonym a line, everything of the list in it."""


def read_names(text: str, source: str) -> list[ClassEntry]:
    """One name a line; the line gives the id, from 0."""
    lines = [line.strip() for line in re.split(r"\r\n|\r|\n", text.rstrip())]
    for position, line in enumerate(lines):
        if not line:
            raise ClassListError(
                f"{source}: line {position + 1} is empty, and a line's number gives its class the id; "
                "remove the line, or name the class"
            )
    return [named(position, line) for position, line in enumerate(lines)]


def names_text(classes: ClassList) -> str:
    """One name a line; ClassListError where a name or the ids don't fit that."""
    for entry in contiguous(classes, "a text of names"):
        if re.search(r"[\r\n]", entry.name) or entry.name != entry.name.strip():
            raise ClassListError(f"class {entry.id}: the name {entry.name!r} can't stand on a line as it is")
    return "".join(f"{entry.name}\n" for entry in classes)


def read_table(text: str, source: str, delimiter: str) -> list[ClassEntry]:
    """A CSV or TSV: captrawl's own (a synonym a line), or name and synonyms, with or without a header.

    In the second kind synonyms (a column ``synonyms`` or ``synonym``) are split at ``;`` and ``|``, and cells
    beyond the columns are synonyms too; an ``id`` column gives ids, else the order does; other columns are
    kept as the class's other keys.
    """
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter, strict=True) if any(row)]
    except csv.Error as error:
        raise ClassListError(f"{source} isn't a table: {error}") from error
    header = [cell.strip().lower() for cell in rows[0]]
    if {"id", "name", "synonym"} <= set(header):
        return _read_own_table(rows, header, source)
    if len(header) == 1 and re.match(r"(?:id|name)\s*[,;|\t]", header[0]):
        raise ClassListError(
            f"{source}: the header {rows[0][0]!r} isn't split by {delimiter!r}; split the cells by that"
        )
    columns = _columns(header)
    body = rows[1:] if columns else rows
    return [
        _of_row(position, row, columns or ["name", "synonyms"], source) for position, row in enumerate(body)
    ]


def _columns(header: list[str]) -> list[str]:
    """The columns that a first line names, one of them ``name``; none where it is no header.

    Without ``name`` but with ``synonyms`` the first other column is the name.
    """
    columns = ["synonyms" if cell == "synonym" else cell for cell in header]
    if "name" in columns:
        return columns
    others = [place for place, cell in enumerate(columns) if cell not in {"id", "synonyms"}]
    if "synonyms" not in header or not others:
        return []
    columns[others[0]] = "name"
    return columns


def _of_row(position: int, row: list[str], columns: list[str], source: str) -> ClassEntry:
    cells = dict(zip(columns, row, strict=False))
    class_id = whole(cells["id"], f"{source}: the id of {row}") if cells.get("id") else position
    synonyms = [cells.get("synonyms", ""), *row[len(columns) :]]
    parts = (part.strip() for cell in synonyms for part in re.split(r"[;|]", cell))
    extra = {key: cell for key, cell in cells.items() if cell and key not in {"", "id", "name", "synonyms"}}
    return named(class_id, cells.get("name", "").strip(), filter(None, parts), extra)


def _read_own_table(rows: list[list[str]], header: list[str], source: str) -> list[ClassEntry]:
    grouped: dict[int, list[dict[str, str]]] = {}
    for row in rows[1:]:
        cells = dict(zip(header, row, strict=False))
        grouped.setdefault(whole(cells.get("id", ""), f"{source}: the id of {row}"), []).append(cells)
    entries: list[ClassEntry] = []
    for class_id, lines in grouped.items():
        where = f"{source}: class {class_id}"
        names = list(dict.fromkeys(cells.get("name", "") for cells in lines))
        if len(names) > 1:
            raise ClassListError(f"{where} is named {names[0]!r} and {names[1]!r}")
        extra = parsed(lines[0].get("extra") or "{}", f"{where}: extra")
        if not isinstance(extra, dict):
            raise ClassListError(f"{where}: extra must be a JSON object")
        synonyms = tuple(_synonym(cells, where) for cells in lines if cells.get("synonym"))
        entries.append(ClassEntry(class_id, names[0], synonyms, lines[0].get("most_common_name", ""), extra))
    return entries


def _synonym(cells: Mapping[str, str], where: str) -> Synonym:
    flags = {"": True, "true": True, "1": True, "false": False, "0": False}
    switches: dict[str, bool] = {}
    for key in ("match", "prompt"):
        value = cells.get(key, "").strip().lower()
        if value not in flags:
            raise ClassListError(f"{where}: {key} of {cells['synonym']!r} is {value!r}; give true or false")
        switches[key] = flags[value]
    count = cells.get("frequency", "")
    frequency = whole(count, f"{where}: the frequency of {cells['synonym']!r}") if count else None
    return Synonym(
        cells["synonym"], frequency, switches["match"], switches["prompt"], cells.get("reason", "")
    )


def table(classes: ClassList, delimiter: str) -> str:
    """The classes as captrawl's own table."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in classes:
        extra = json.dumps(dict(entry.extra), ensure_ascii=False) if entry.extra else ""
        for synonym in entry.synonyms:
            flags = [str(flag).lower() for flag in (synonym.match, synonym.prompt)]
            frequency = "" if synonym.frequency is None else synonym.frequency
            line = [synonym.text, frequency, *flags, synonym.reason]
            writer.writerow([entry.id, entry.name, entry.most_common_name, *line, extra])
            extra = ""
    return buffer.getvalue()


def csv_text(classes: ClassList) -> str:
    """The classes as captrawl's own table, split by commas."""
    return table(classes, ",")


def tsv_text(classes: ClassList) -> str:
    """The classes as captrawl's own table, split by tabs."""
    return table(classes, "\t")
