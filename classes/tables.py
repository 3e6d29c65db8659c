"""Class lists as text: one name a line, CSV and TSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from ..core.errors import ClassListError
from .checks import with_all_names
from .json_lists import contiguous, parsed
from .layouts import read_dict, read_layout
from .model import OWN_SCOPE, ClassEntry, ClassList, Synonym, is_wnid, named, whole

COLUMNS = ("id", "name", "most_common_name", "synonym", "frequency", "match", "prompt", "reason", "extra")
"""captrawl's own table: a synonym a line, everything of the list in it."""


def read_names(text: str, source: str) -> list[ClassEntry]:
    """One name a line, the line giving the id from 0; or one of the layouts of well-known lists."""
    lines = [line.strip() for line in re.split(r"\r\n|\r|\n", text.rstrip())]
    if lines[0].startswith("{"):
        return read_dict(text, source)
    for position, line in enumerate(lines):
        if not line:
            raise ClassListError(
                f"{source}: line {position + 1} is empty, and a line's number gives its class the id; "
                "remove the line, or name the class"
            )
    if (entries := read_layout(lines, source)) is not None:
        return entries
    if all("\t" in line for line in lines):
        return read_table(text, source, "\t")
    return [named(position, line) for position, line in enumerate(lines)]


def names_text(classes: ClassList) -> str:
    """One name a line; ClassListError where a name or the ids don't fit that."""
    for entry in contiguous(classes, "a text of names"):
        if re.search(r"[\r\n]", entry.name) or entry.name != entry.name.strip():
            raise ClassListError(f"class {entry.id}: the name {entry.name!r} can't stand on a line as it is")
    return "".join(f"{entry.name}\n" for entry in classes)


NAME_WORDS = (
    *("name", "class_name", "classname", "label_name", "category_name", "common_name", "species"),
    *("class", "label", "category"),
)
ID_WORDS = (
    *("id", "class_id", "classid", "label_id", "category_id", "class_index", "index", "idx"),
    *("class", "label", "category"),
)
SYNONYM_WORDS = ("synonyms", "synonym", "alternates", "aliases")
WNID_WORDS = ("wnid", "synset", "synset_id", "wordnet_id")
HEADER_WORDS = frozenset((*NAME_WORDS, *ID_WORDS, *SYNONYM_WORDS, *WNID_WORDS, *OWN_SCOPE))
"""What the first line of a table calls its columns, the surest word first; ``class`` and ``label`` are ids
where their column holds whole numbers, else names."""
DOUBTFUL = frozenset({"class", "label", "category", "index", "species", "id", *OWN_SCOPE})
"""Words that may be a class's name too: alone they make no header beside words that aren't known."""

DELIMITERS = ",\t;|"


def read_table(text: str, source: str, delimiter: str) -> list[ClassEntry]:
    """A CSV or TSV: captrawl's own (a synonym a line), or name and synonyms, with or without a header.

    ``delimiter`` is the one to expect; another one of DELIMITERS is taken where it splits more lines. In the
    second kind synonyms are split at ``;`` and ``|``, at ``,`` where their cell has neither; cells beyond the
    columns are synonyms too. A column of ids gives the ids, else the order does; other columns are kept as
    the class's other keys. ClassListError where the first line may be a header and names no column of names.
    """
    rows = _split(text, source, delimiter)
    header = [cell.strip().lower() for cell in rows[0]]
    if {"id", "name", "synonym"} <= set(header):
        return _read_own_table(rows, header, source)
    columns = _header(rows, source)
    body = rows[1:] if columns else rows
    if not body:
        raise ClassListError(f"{source} has a header ({', '.join(rows[0]):.60}) and no classes")
    columns = columns or _bare_columns(rows)
    return [_of_row(position, row, columns, source) for position, row in enumerate(body)]


def _split(text: str, source: str, expected: str) -> list[list[str]]:
    """The rows of ``text`` by the delimiter that splits the most of them: ``expected`` of equals."""
    best: list[list[str]] = []
    problem, most = "", -1
    for delimiter in (expected, *DELIMITERS.replace(expected, "")):
        try:
            lines = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
            rows = [row for row in lines if any(cell.strip() for cell in row)]
        except csv.Error as error:
            problem = problem or str(error)
            continue
        if (count := sum(len(row) > 1 for row in rows)) > most:
            best, most = rows, count
    if not best:
        raise ClassListError(f"{source} isn't a table: {problem or 'it has empty cells only'}")
    return best


def _header(rows: list[list[str]], source: str) -> list[str]:
    """The columns that the first row names, among them ``name``; none where it is a class."""
    words = ["_".join(re.split(r"[\s_-]+", cell.strip().lower())) for cell in rows[0]]
    header_words, places = {*words} - {""}, range(len(words))
    numbers = [_all(rows[1:], place, str.isdecimal) for place in places]
    ids = [words.index(word) for word in ID_WORDS if word in words and numbers[words.index(word)]]
    headed = header_words <= HEADER_WORDS or bool(ids) or not header_words.isdisjoint(HEADER_WORDS - DOUBTFUL)
    titled = any(numbers[place] and not words[place].isdecimal() for place in places)
    if not headed and not titled and header_words.isdisjoint(HEADER_WORDS):
        return []
    columns = list(words)
    wnids = [place for place in places if words[place] in WNID_WORDS or _all(rows[1:], place, is_wnid)]
    synonyms = [place for place, word in enumerate(words) if word in SYNONYM_WORDS]
    names = [words.index(word) for word in NAME_WORDS if word in words]
    names = [place for place in names if place not in {*ids[:1], *wnids}]
    scope = [place for place in places if words[place] in OWN_SCOPE]
    texts = [place for place in places if not numbers[place] and place not in {*wnids, *synonyms, *scope}]
    if not names and (len(texts) == 1 or synonyms):
        names = texts
    if not names or not headed:
        raise ClassListError(
            f"{source}: the first line ({', '.join(rows[0]):.80}) may be a header, and which column "
            "contains the names isn't clear; let the first line call it 'name' (others: 'id', 'synonyms')"
        )
    for word, columns_of in (("id", ids), ("wnid", wnids), ("name", names)):
        if columns_of:
            columns[columns_of[0]] = word
    for place in (*synonyms, *(place for place in texts if not words[place])):
        columns[place] = "synonyms"
    return columns


def _bare_columns(rows: list[list[str]]) -> list[str]:
    """The columns of a table without a header: whole numbers beside names are ids, WordNet ids are none."""
    wide = min(map(len, rows))
    places = range(wide)
    wnids = [place for place in places if _all(rows, place, is_wnid)]
    numbers = [place for place in places if _all(rows, place, str.isdecimal)]
    columns = [""] * wide
    for word, columns_of in (("wnid", wnids), ("id", numbers)):
        if columns_of and wide > 1:
            columns[columns_of[0]] = word
    free = [place for place in places if not columns[place]]
    for word, place in zip(("name", "synonyms"), free, strict=False):
        columns[place] = word
    return columns[: free[1] + 1] if len(free) > 1 else columns


def _all(rows: list[list[str]], place: int, test: Callable[[str], bool]) -> bool:
    """Whether ``test`` is true of the cell at ``place`` of every row, one at least."""
    return bool(rows) and all(place < len(row) and test(row[place].strip()) for row in rows)


def _of_row(position: int, row: list[str], columns: list[str], source: str) -> ClassEntry:
    cells = dict(zip(columns, row, strict=False))
    class_id = whole(cells["id"], f"{source}: the id of {row}") if cells.get("id") else position
    synonyms = [cell for column, cell in zip(columns, row, strict=False) if column == "synonyms"]
    extra: dict[str, Any] = {
        key: [part for piece in re.split("[;|]", cell) if (part := piece.strip())]
        if key in OWN_SCOPE
        else cell
        for key, cell in cells.items()
        if cell and key not in {"", "id", "name", "synonyms"}
    }
    if "prefix" in extra:
        extra["prefix"] = cells["prefix"].strip()
    texts = (part for cell in (*synonyms, *row[len(columns) :]) for part in _parts(cell))
    entry = named(class_id, cells.get("name", "").strip(), texts, extra)
    return entry if "synonyms" in columns or len(row) > len(columns) else with_all_names(entry)


def _parts(cell: str) -> list[str]:
    """The synonyms in one cell."""
    pattern = r"[;|]" if re.search(r"[;|]", cell) else ","
    return [part for piece in re.split(pattern, cell) if (part := piece.strip())]


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
