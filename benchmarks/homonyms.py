"""What the review's proposals do to ten homonyms: hand-read captions with and without each proposed word.

homonyms.tsv holds, for each word, rows of the shared captions (part, row) and whether the word means the
class there (1) or something else (0), as read by hand; the captions themselves stay where they are. A prefix
is right if more of the captions that it keeps mean the class than before, an exclusion if fewer of those that
it removes do. Rules are judged by the mean of that over all proposals. "loses": of the class.

    python benchmarks/homonyms.py DATA_FOLDER [--model local-dir:PATH]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from captrawl.classes.model import ClassEntry, Synonym
from captrawl.core.text import tokens
from captrawl.indexer.captions import index_captions
from captrawl.indexer.corpora.files import find_files
from captrawl.search.captions import open_captions
from captrawl.search.match import Scope
from captrawl.search.synonyms.review import Review, review
from captrawl.search.vectors.loading import load_encoder
from captrawl.search.vectors.models import ModelId

SENSES = {
    "crane": "crane bird",
    "jaguar": "jaguar, the animal",
    "mouse": "computer mouse",
    "boxer": "boxer dog",
    "bat": "bat, the animal",
    "seal": "seal, the animal",
    "bass": "bass fish",
    "turkey": "turkey bird",
    "kite": "flying kite",
    "jersey": "sports jersey",
}
LABELS = Path(__file__).parent / "homonyms.tsv"


def labels() -> Iterator[tuple[str, int, int, bool]]:
    for line in LABELS.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            word, part, row, right = line.split("\t")
            yield word, int(part), int(row), right == "1"


def holding_rows(data: Path, target: Path) -> list[list[str | None]]:
    """Write the captions that have one of the words as a corpus; the captions of every part."""
    parts = [
        pq.read_table(path, columns=["URL", "TEXT"]) for path in sorted((data / "captions").glob("*.parquet"))
    ]
    texts = [part["TEXT"].to_pylist() for part in parts]
    rows = [
        (url, text)
        for part, captions in zip(parts, texts, strict=True)
        for url, text in zip(part["URL"].to_pylist(), captions, strict=True)
        if text and any(word in text.lower() for word in SENSES) and SENSES.keys() & set(tokens(text))
    ]
    columns = {"url": [url for url, _ in rows], "caption": [text for _, text in rows]}
    pq.write_table(pa.table(columns), target / "homonyms.parquet")
    return texts


def reviewed(folder: Path, model: ModelId) -> Review:
    index_captions(folder / "index", find_files([folder / "homonyms.parquet"]), workers=1)
    classes = tuple(
        ClassEntry(at, name, (Synonym(word, prompt=False), Synonym(name, match=False)))
        for at, (word, name) in enumerate(SENSES.items())
    )
    with open_captions(folder / "index") as index:
        return review(index, classes, load_encoder(model), scope=Scope())


def judged(result: Review, texts: list[list[str | None]]) -> list[dict[str, object]]:
    """Every proposal with what it does to the labelled captions of its word."""
    lines: list[dict[str, object]] = []
    by_word: dict[str, list[tuple[set[str], bool]]] = {word: [] for word in SENSES}
    for word, part, row, right in labels():
        by_word[word].append((set(tokens(texts[part][row] or "")), right))
    for one in result.proposals:
        if one.class_id is None:
            continue
        word = list(SENSES)[one.class_id]
        captions = by_word[word]
        rights = sum(right for _, right in captions)
        before = rights / len(captions)
        for kind, proposals in (("prefix", one.prefixes), ("exclude", one.exclusions)):
            for proposal in proposals:
                having = [right for words, right in captions if proposal.word in words]
                share = sum(having) / len(having) if having else None
                gain = None if share is None else share - before if kind == "prefix" else before - share
                lines.append(
                    {
                        "word": word, "kind": kind, "proposal": proposal.word, "z": round(proposal.z, 2),
                        "before": round(before, 3), "having": len(having), "right": sum(having),
                        "loses": rights - sum(having) if kind == "prefix" else sum(having), "of": rights,
                        "gain": None if gain is None else round(gain, 3),
                    }
                )  # fmt: skip
    return lines


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="")
    options = parser.parse_args()
    model = ModelId(options.model or f"local-dir:{options.data.parent / 'models' / 'captrawl-small'}")
    with tempfile.TemporaryDirectory() as folder:
        texts = holding_rows(options.data, Path(folder))
        lines = judged(reviewed(Path(folder), model), texts)
    summary = {}
    for kind in ("prefix", "exclude"):
        known = [line for line in lines if line["kind"] == kind and line["gain"] is not None]
        gains = [float(str(line["gain"])) for line in known]
        summary[kind] = {
            "proposals": sum(line["kind"] == kind for line in lines),
            "in labelled captions": len(known),
            "right": sum(gain > 0 for gain in gains),
            "mean gain": round(sum(gains) / len(gains), 3) if gains else None,
        }
    print(json.dumps({"proposals": lines, "summary": summary}, indent=1))


if __name__ == "__main__":
    main()
