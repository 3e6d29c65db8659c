"""SWAT's pickles, URL Parquet and database → the matches of a workspace.

.meta (what was to be downloaded, with URLs) goes before _mined_captions (every match; URLs from
laion400m.db, where it is there), and that before -urls-*.parquet alone (no captions).
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from ..classes.model import ClassEntry
from ..core.errors import InputError
from ..core.records import MATCH_SCHEMA
from ..core.row_ids import priorities, uid_list
from ..indexer.corpora.unpacked import bounded_file
from ..search.match import Credit
from .folder import SwatFolder
from .pickles import load_pickle, short, shown_row

logger = logging.getLogger(__name__)

NO_CAPTION = "N.A."  # SWAT's text for a NULL
_URL_STARTS = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class Mined:
    """A row of SWAT's: its place in the corpus, what is known of it, and its image's number (-1: none)."""

    file: str
    row: int
    caption: str | None
    url: str | None
    nsfw: str | None = None
    number: int = -1
    synonym: str = ""
    """What SWAT matched it by; "" where the file doesn't say."""


def read_rows(folder: SwatFolder) -> dict[int, list[Mined]]:
    """The rows of every class of ``folder``, in SWAT's order (a set's, which has none: by shard and row).

    A class without rows may be missing.

    InputError where a file isn't of SWAT's form.
    """
    if meta := folder.get("meta"):
        captions = _captions(folder.get("captions"))
        return {
            key: [_from_meta(meta, entry, captions.get(key, {})) for entry in entries]
            for key, entries in _by_class(meta).items()
        }
    if mined := folder.get("mined"):
        entries = _by_class(mined)
        rows = {key: _from_set(mined, some) for key, some in entries.items()}
        if database := folder.get("database"):
            return _with_urls(rows, database)
        if (urls := folder.get("urls")) and any(row.url is None for some in rows.values() for row in some):
            return _paired(mined, entries, rows, urls)
        return rows
    if urls := folder.get("urls"):
        return _from_urls(urls)
    raise InputError(
        f"{folder.root} has images and no list of their URLs (.meta, _mined_captions or -urls-); SWAT's "
        "image numbers mean nothing without it"
    )


def match_table(entry: ClassEntry, rows: Sequence[Mined]) -> pa.Table:
    """``rows`` as matches of ``entry`` (MATCH_SCHEMA), in their order.

    The synonym is the one that captrawl would credit; where none of its phrases stands in the caption (or
    there is no caption), SWAT's own, else the class's name.
    """
    captions = pa.array([row.caption for row in rows], pa.string())
    credit = Credit({s.text: s.frequency or 0 for s in entry.synonyms if s.match})(captions).to_pylist()
    numbers = np.array([row.row for row in rows], np.int64)
    uids = np.array(uid_list([row.url for row in rows], [row.caption for row in rows]), np.int64)
    files = [row.file for row in rows]
    priority = np.zeros(len(rows), np.int64)
    for file in sorted(set(files)):
        here = np.array([name == file for name in files])
        priority[here] = priorities(uids[here], file, numbers[here])
    columns: dict[str, Any] = {
        "class_id": [entry.id] * len(rows),
        "synonym": [text or row.synonym or entry.name for text, row in zip(credit, rows, strict=True)],
        "uid": uids,
        "url": [row.url for row in rows],
        "caption": captions,
        "nsfw": [row.nsfw for row in rows],
        "priority": priority,
        "file": files,
        "row": numbers,
    }
    nothing = [None] * len(rows)
    arrays = [pa.array(columns.get(field.name, nothing), field.type) for field in MATCH_SCHEMA]
    return pa.Table.from_arrays(arrays, schema=MATCH_SCHEMA)


# The pickles ----------------------------------------------------------------------------------------


_Entries = list[tuple[Any, ...]] | set[tuple[Any, ...]]


def _by_class(path: Path) -> dict[int, _Entries]:
    """A pickle of class (as text) → list or set of tuples."""
    value = load_pickle(path)
    if not isinstance(value, dict):
        raise InputError(f"{path} contains a {type(value).__name__}, not a dict of classes")
    rows: dict[int, _Entries] = {}
    for key, entries in cast("dict[Any, Any]", value).items():
        if not isinstance(entries, list | set) or not all(
            isinstance(entry, tuple | list) for entry in cast("list[Any]", entries)
        ):
            raise InputError(f"{path}: class {short(key)} doesn't contain a list or set of tuples")
        rows[_class_id(path, key)] = (
            entries if isinstance(entries, set) else [tuple(entry) for entry in cast("list[Any]", entries)]
        )
    return rows


def _class_id(path: Path, key: Any) -> int:
    text = key if isinstance(key, str) else str(key) if _is_whole(key) else ""
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise InputError(f"{path}: {short(key)} isn't a class number")
    return int(text)


def _captions(path: Path | None) -> dict[int, dict[int, str]]:
    """.map: {class: {n: caption}}; {} where there is none."""
    if path is None:
        return {}
    value = load_pickle(path)
    if not isinstance(value, dict) or not all(
        isinstance(v, dict) and all(isinstance(text, str) for text in cast("dict[Any, Any]", v).values())
        for v in cast("dict[Any, Any]", value).values()
    ):
        raise InputError(f"{path} isn't a dict of classes to dicts of image numbers and captions")
    return {
        _class_id(path, key): {_class_id(path, n): _text(text) for n, text in by_number.items()}
        for key, by_number in cast("dict[Any, dict[Any, Any]]", value).items()
    }


def _from_meta(path: Path, entry: tuple[Any, ...], captions: Mapping[int, str]) -> Mined:
    """([synonym,] shard, rowid, caption, …, url, nsfw[, n]); ``captions`` stand in where there is none."""
    number = entry[-1] if entry and _is_whole(entry[-1]) else -1
    body = entry[:-1] if number >= 0 else entry
    if len(body) < 4 or not isinstance(body[-2], str | None) or not isinstance(body[-1], str | None):
        raise InputError(
            f"{path}: {shown_row(entry)} isn't ([synonym,] shard, rowid, caption, …, url, nsfw[, n])"
        )
    row = _from_mined(path, body[:-2])
    caption = row.caption if row.caption is not None else captions.get(number)
    caption = None if caption == NO_CAPTION else caption
    url, nsfw = (text and _text(text) for text in body[-2:])
    return replace(row, caption=caption, url=url, nsfw=nsfw, number=number)


def _from_mined(path: Path, entry: tuple[Any, ...]) -> Mined:
    """([synonym,] shard, rowid[, caption, …]); a later text that is an address is its URL."""
    leads = len(entry) > 2 and not isinstance(
        entry[2], str | None
    )  # a synonym goes before, where the third is the rowid
    head: tuple[Any, ...] = entry[:3] if leads else ("", *entry, None, None)[:3]
    synonym, shard, row = head
    if not isinstance(synonym, str) or not (isinstance(shard, str) or _is_whole(shard)) or not _is_whole(row):
        raise InputError(f"{path}: {shown_row(entry)} isn't ([synonym,] shard, rowid, caption, …)")
    after = entry[3:] if leads else entry[2:]
    caption = after[0] if after and isinstance(after[0], str) and after[0] != NO_CAPTION else None
    url = next((e for e in after[1:] if isinstance(e, str) and e.startswith(_URL_STARTS)), None)
    return Mined(_file(shard), row, caption and _text(caption), url and _text(url), synonym=_text(synonym))


def _from_set(path: Path, entries: _Entries) -> list[Mined]:
    rows = [_from_mined(path, entry) for entry in entries]
    return sorted(rows, key=lambda row: (row.file, row.row)) if isinstance(entries, set) else rows


def _is_whole(value: Any) -> bool:
    """Whether ``value`` is a whole number that a row number or a shard can be."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _text(value: str) -> str:
    """``value`` as UTF-8 has it: half a surrogate pair, as pickles may have, becomes a question mark."""
    return value.encode("utf-8", "replace").decode()


def _file(shard: str | int) -> str:
    """The identity of a shard of SWAT's; one of captrawl's own (from its export) stays as it is."""
    text = str(shard)
    return (
        text if "/" in text else f"swat/part{text.removeprefix('part')}" if _is_part(text) else f"swat/{text}"
    )


def _is_part(text: str) -> bool:
    return text.removeprefix("part").isdecimal()


def _paired(
    mined: Path, entries: Mapping[int, _Entries], rows: dict[int, list[Mined]], urls: Path
) -> dict[int, list[Mined]]:
    """``rows`` with the addresses of the URL Parquet, which SWAT writes in the order of the rows.

    Of a set, or a part of the rows, nobody knows which address is whose: then ``rows`` as they are.
    """
    from_urls = _from_urls(urls)
    if any(len(rows[key]) != len(from_urls.get(key, ())) or isinstance(entries[key], set) for key in rows):
        logger.warning(
            "%s doesn't say which address belongs to which caption of %s; import that file itself for its "
            "addresses without captions, or put laion400m.db beside it for both",
            urls,
            mined.name,
        )
        return rows
    return {
        key: [
            replace(row, url=row.url or at.url) for row, at in zip(some, from_urls.get(key, ()), strict=True)
        ]
        for key, some in rows.items()
    }


# The URL Parquet and the database ---------------------------------------------------------------------


def _from_urls(path: Path) -> dict[int, list[Mined]]:
    try:
        with bounded_file(path) as file:
            batches = file.batches(["class", "url"], 10_000)
            pairs = [(row["class"], row["url"]) for batch in batches for row in batch.to_pylist()]
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise InputError(f"{path} isn't SWAT's Parquet of class and url ({error})") from error
    rows: dict[int, list[Mined]] = {}
    for place, (key, url) in enumerate(pairs):
        rows.setdefault(_class_id(path, key), []).append(Mined(f"swat/{path.name}", place, None, url))
    return rows


def _with_urls(rows: dict[int, list[Mined]], database: Path) -> dict[int, list[Mined]]:
    """``rows`` with URL and NSFW tag from SWAT's database, found by (part, rowid)."""
    try:
        with closing(
            sqlite3.connect(f"file:{quote(str(database.absolute()))}?mode=ro", uri=True)
        ) as connection:
            return {key: list(_looked_up(connection, some)) for key, some in rows.items()}
    except sqlite3.Error as error:
        raise InputError(f"{database} can't be read as SWAT's SQLite database ({error})") from error


def _looked_up(connection: sqlite3.Connection, rows: Sequence[Mined]) -> Iterator[Mined]:
    for row in rows:
        table = row.file.removeprefix("swat/")
        if row.url is not None or not (table.startswith("part") and table[4:].isdecimal()):
            yield row
            continue
        query = f"SELECT URL, NSFW FROM {table} WHERE rowid = ?"  # noqa: S608 - partNN, checked above
        record = connection.execute(query, (row.row,)).fetchone()
        yield replace(row, url=record[0], nsfw=record[1]) if record else row
