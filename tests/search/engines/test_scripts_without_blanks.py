"""Phrases in scripts that write no blanks: found in running text, the same by every engine and the oracle.

CAPTRAWL_ENGINE_CASES sets how many generated phrases are counted (default 400; the long run 10,000).
"""

from __future__ import annotations

import json
import os
import random
import unicodedata
from pathlib import Path

from captrawl.search.query import CaptionQuery, Filters, Safety

CASES = int(os.environ.get("CAPTRAWL_ENGINE_CASES", "400"))
CAPTIONS_PER_CORPUS, PHRASES_PER_CORPUS = 400, 2000
ANY = Filters(safety=Safety.OFF)
LINES = (Path(__file__).parent / "phrases.txt").read_text(encoding="utf-8").splitlines()
RUNNING_TEXT = dict(line.split("\t") for line in LINES if not line.startswith("#"))
PHRASES = [phrase for phrases in RUNNING_TEXT.values() for phrase in phrases.split()]

LETTERS = {
    "Han": "金毛犬京东東京都草地上猫狗山水火木々〇鶴龍",
    "Kana": "かわいいしばいぬがぱぷタワーケーキドーナツっゃ",
    "half width": ("ﾀ", "ﾜ", "ｰ", "ｶﾞ", "ﾊﾟ"),
    "taken apart": ("か\u3099", "は\u309a", "タ", "ド"),
    "Bopomofo": "ㄅㄆㄇㄈ",
    "Thai": ("ป่", "า", "ส", "ว", "ย", "ช้", "ง", "เ", "น้ำ", "กิ"),
    "Lao": ("ກ", "ຂ", "ຄົ", "ນ", "ປ່", "າ"),
    "Khmer": ("ក", "ខ្", "ម", "ែ", "រ", "ស្រី"),
    "Burmese": ("မြ", "န်", "မာ", "ကြ", "ော", "င်"),
    "Tibetan": ("བོ", "ད", "ཡི", "ག", "རྒྱ"),
    "with spaces": ("iPhone", "737", "cat", "собака", "हिन्दी", "X", "２０１９"),
}
JOINTS = [
    "",
    "",
    "",
    "",
    "",
    "",
    " ",
    "、",
    "。",
    "・",
    "(",
    ")",
    "-",
    "\u3000",
    "\u200b",
    "&amp;",
    "ー",
    "་",
]


def run_of_letters(chance: random.Random, length: int) -> list[str]:
    """Letters and what stands between: mostly of one script, as captions are, sometimes of another."""
    script = chance.choice(list(LETTERS))
    parts: list[str] = []
    for _ in range(length):
        of = script if chance.random() < 0.85 else chance.choice(list(LETTERS))
        parts += [chance.choice(list(LETTERS[of])), chance.choice(JOINTS)]
    return parts


def generated(chance: random.Random) -> tuple[list[str], list[str]]:
    """Captions, and phrases of which most were cut out of one, with or without what stood between."""
    parts = [run_of_letters(chance, chance.randint(1, 14)) for _ in range(CAPTIONS_PER_CORPUS)]
    phrases: list[str] = []
    while len(phrases) < PHRASES_PER_CORPUS:
        source = chance.choice(parts) if chance.random() < 0.8 else run_of_letters(chance, 3)
        start, length = chance.randrange(len(source)), chance.randint(1, 8)
        joint = chance.choice([None, "", "", " "])
        cut = source[start : start + length]
        phrases.append("".join(cut) if joint is None else joint.join(cut[::2]))
    return ["".join(some) for some in parts], phrases


def test_generated_phrases_are_counted_as_by_the_oracle(engine, oracle, make_rows):
    chance = random.Random(17)
    left = CASES
    while left > 0:
        captions, phrases = generated(chance)
        phrases = [phrase for phrase in phrases if oracle.tokens(phrase)][:left]
        left -= len(phrases)
        with engine.filled(make_rows(captions)) as index:
            counts = index.count([CaptionQuery((phrase,), filters=ANY) for phrase in phrases])
        expected = oracle.count_groups(captions, [((phrase,), "") for phrase in phrases])
        assert dict(zip(phrases, counts, strict=True)) == dict(zip(phrases, expected, strict=True))
        assert 0.5 < sum(map(bool, expected)) / len(expected) < 1


def letters(text: str) -> str:
    """The letters and digits of ``text`` alone: what a phrase is looked for in, without any tokens."""
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text)).lower()
    return "".join(
        ch for ch in plain if ch.isalnum() or unicodedata.category(ch).startswith("M") or ch == "ー"
    )


def test_chinese_and_japanese_phrases_in_running_text(engine, make_rows):
    assert len(PHRASES) == 200
    assert all(phrase in caption for caption, phrases in RUNNING_TEXT.items() for phrase in phrases.split())
    expected = [sum(letters(phrase) in letters(caption) for caption in RUNNING_TEXT) for phrase in PHRASES]
    with engine.filled(make_rows(list(RUNNING_TEXT))) as index:
        assert index.count([CaptionQuery((phrase,), filters=ANY) for phrase in PHRASES]) == expected
        for phrase in PHRASES[::10]:
            rows = index.first(CaptionQuery((phrase,), filters=ANY), 99, None)["caption"].to_pylist()
            assert rows == [caption for caption in RUNNING_TEXT if letters(phrase) in letters(caption)]


def test_a_list_of_them_is_converted_and_counted(tmp_path, captrawl):
    names = list(dict.fromkeys(PHRASES))
    (tmp_path / "names.txt").write_text("\n".join(names), encoding="utf-8")
    rows = "".join(f"http://a/{at}.jpg\t{caption}\n" for at, caption in enumerate(RUNNING_TEXT))
    (tmp_path / "corpus.tsv").write_text(rows, encoding="utf-8")
    captrawl("index", "captions", tmp_path / "corpus.tsv", "--to", tmp_path / "idx")
    captrawl("classes", "convert", tmp_path / "names.txt", "--to", "json", "-o", tmp_path / "classes.json")
    line = ("--classes", tmp_path / "classes.json", "--index", tmp_path / "idx", "--json")
    counted = json.loads(captrawl("count", *line).stdout)["classes"]
    expected = [sum(letters(name) in letters(caption) for caption in RUNNING_TEXT) for name in names]
    assert [(one["name"], one["total"]) for one in counted] == list(zip(names, expected, strict=True))
