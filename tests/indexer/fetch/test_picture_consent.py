"""What a picture says of itself in XMP and C2PA, in every container, whatever else the file says."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from captrawl.indexer.fetch.consent import Signal
from captrawl.indexer.fetch.picture_consent import judge_picture
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

GOLDEN = Path(__file__).parents[2] / "golden"
VOCABULARY = "http://ns.useplus.org/ldf/vocab/"
PROHIBITED = (
    "DMI-PROHIBITED",
    "DMI-PROHIBITED-AIMLTRAINING",
    "DMI-PROHIBITED-GENAIMLTRAINING",
    "DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING",
    "DMI-PROHIBITED-SEECONSTRAINT",
    "DMI-PROHIBITED-SEEEMBEDDEDRIGHTSEXPR",
    "DMI-PROHIBITED-SEELINKEDRIGHTSEXPR",
)
SILENT = ("DMI-ALLOWED", "DMI-UNSPECIFIED")
IMAGE = Image.new("RGB", (24, 20), "teal")


def xmp(value: str, *, attribute: bool = True) -> bytes:
    field = (
        f' plus:DataMining="{value}"/>' if attribute else f"><plus:DataMining>{value}</plus:DataMining></x>"
    )
    head = '<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/"'
    return (head + field).encode()


def saved(format: str, **options: object) -> bytes:  # noqa: A002
    buffer = io.BytesIO()
    IMAGE.save(buffer, format, **options)
    return buffer.getvalue()


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def jpeg(*segments: bytes) -> bytes:
    plain = saved("JPEG")
    return plain[:2] + b"".join(segments) + plain[2:]


def long_xmp(value: str, *, at: int) -> tuple[bytes, bytes]:
    """XMP in two segments, cut ``at`` bytes into the value, the second first."""
    text = b"<padding/>" * 10 + xmp(value)
    cut = text.index(value.encode()) + at
    head = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">I", len(text))
    parts = ((0, text[:cut]), (cut, text[cut:]))
    first, second = (segment(0xE1, head + struct.pack(">I", start) + part) for start, part in parts)
    return second, first


def png(kind: bytes, chunk: bytes) -> bytes:
    plain = saved("PNG")
    one = struct.pack(">I", len(chunk)) + kind + chunk + struct.pack(">I", zlib.crc32(kind + chunk))
    return plain[:33] + one + plain[33:]


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def assertion(label: str, use: str, kind: bytes = b"json") -> bytes:
    name = label.encode() + b"\0"
    text = b'{"entries":{"%s.ai_training":{"use":"%s"}}}' % (label[:4].encode(), use.encode())
    return box(b"jumb", box(b"jumd", b"\0" * 16 + b"\x03" + name) + box(kind, text))


def app11(data: bytes, *, pieces: int = 1) -> list[bytes]:
    head, content = data[:8], data[8:]
    step = -(-len(content) // pieces)
    return [
        segment(0xEB, b"JP\0\1" + struct.pack(">I", n + 1) + head + content[n * step : (n + 1) * step])
        for n in range(pieces)
    ]


@pytest.mark.parametrize("attribute", [True, False])
@pytest.mark.parametrize("prefix", ["", VOCABULARY])
@pytest.mark.parametrize("value", [*PROHIBITED, *SILENT])
def test_every_value_of_the_vocabulary(value: str, prefix: str, attribute: bool) -> None:
    verdict = judge_picture(saved("JPEG", xmp=xmp(prefix + value, attribute=attribute)))
    assert verdict.allowed is (value in SILENT)
    if not verdict.allowed:
        assert (verdict.signal, verdict.evidence) == (Signal.DATA_MINING, f"data-mining: {value}")


NO = VOCABULARY + "DMI-PROHIBITED-AIMLTRAINING"
HEXED = b"\nxmp\n  %d\n%s\n"
XMP_FILES = {
    "webp": lambda: saved("WEBP", xmp=xmp(NO)),
    "png": lambda: png(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(NO)),
    "png, packed": lambda: png(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp(NO))),
    "png, ImageMagick": lambda: png(
        b"zTXt", b"Raw profile type xmp\0\0" + zlib.compress(HEXED % (len(xmp(NO)), xmp(NO).hex().encode()))
    ),
    "png, ImageMagick, plain": lambda: png(
        b"tEXt", b"Raw profile type xmp\0" + HEXED % (len(xmp(NO)), xmp(NO).hex().encode())
    ),
    "tiff": lambda: saved("TIFF", tiffinfo={700: xmp(NO)}),
    "utf-16": lambda: saved("WEBP", xmp=xmp(NO).decode().encode("utf-16-be")),
    "utf-32": lambda: saved("WEBP", xmp=xmp(NO).decode().encode("utf-32-be")),
    "lower case": lambda: saved("JPEG", xmp=xmp(NO.lower())),
    "cut after 3": lambda: jpeg(*long_xmp(NO, at=3)),
    "cut within the value": lambda: jpeg(*long_xmp(NO, at=len(VOCABULARY) + 7)),
}


@pytest.mark.parametrize("name", XMP_FILES)
def test_xmp_in_every_container(name: str) -> None:
    data = XMP_FILES[name]()
    verdict = judge_picture(data)
    assert (verdict.allowed, verdict.signal) == (False, Signal.DATA_MINING)
    assert judge_picture(data, honoured=frozenset(Signal) - {Signal.DATA_MINING}).allowed


@pytest.mark.parametrize("pieces", [1, 2, 7, 30])
@pytest.mark.parametrize("kind", [b"json", b"cbor"])
@pytest.mark.parametrize("label", ["c2pa.training-mining", "cawg.training-mining", "c2pa.training-mining__2"])
@pytest.mark.parametrize(
    ("use", "refused"), [("notAllowed", True), ("constrained", True), ("allowed", False)]
)
def test_training_assertions(label: str, kind: bytes, pieces: int, use: str, refused: bool) -> None:
    other = assertion("c2pa.actions", "notAllowed")
    manifest = box(b"jumb", other + assertion(label, use, kind) + other)
    verdict = judge_picture(jpeg(*app11(manifest, pieces=pieces)))
    assert verdict.allowed is not refused
    if refused:
        assert verdict.signal is Signal.C2PA_TRAINING
        assert f"training-mining {use} ({label[:4]}.ai_training" in verdict.evidence


def test_a_label_that_is_only_referred_to() -> None:
    claim = box(b"jumb", box(b"cbor", b"self#jumbf=c2pa.assertions/c2pa.training-mining notAllowed"))
    assert judge_picture(jpeg(*app11(claim))).allowed


def test_a_file_that_the_c2pa_library_signed() -> None:
    data = (GOLDEN / "do-not-train.jpg").read_bytes()
    verdict = judge_picture(data)
    assert verdict.signal is Signal.C2PA_TRAINING
    assert verdict.evidence.startswith("c2pa-training: cawg.training-mining notAllowed (cawg.ai_training")
    assert judge_picture(data, honoured=frozenset({Signal.DATA_MINING})).allowed


STATEMENTS = [
    segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(value)) for value in (*PROHIBITED, *SILENT)
]
STATEMENTS += [
    piece
    for use in ("allowed", "notAllowed", "constrained")
    for piece in app11(box(b"jumb", assertion("cawg.training-mining", use)))
]


@given(
    st.lists(
        st.sampled_from(STATEMENTS) | st.builds(segment, st.just(0xE1), st.binary(max_size=80)), max_size=6
    ),
    st.sampled_from(STATEMENTS),
    st.integers(0, 6),
)
def test_a_refusal_more_never_turns_a_row_allowed(others: list[bytes], more: bytes, at: int) -> None:
    before, alone = judge_picture(jpeg(*others)), judge_picture(jpeg(more))
    after = judge_picture(jpeg(*others[:at], more, *others[at:]))
    assert after.allowed is (before.allowed and alone.allowed)


@given(st.binary(max_size=400), st.sampled_from([b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF89a", b""]))
def test_whatever_the_bytes(noise: bytes, start: bytes) -> None:
    words = (
        b"c2pa.training-mining",
        b"jumb",
        b"jumd",
        b"http://ns.adobe.com/xmp/extension/\0",
        b"iTXt\0xmp\0x",
    )
    data = start + noise[:100] + b"\xff\xeb".join(word + noise[100:] for word in words)
    assert judge_picture(data) == judge_picture(data)


def test_what_wants_to_take_long() -> None:
    """Each would take minutes if a file could make us read it again and again, or unpack gigabytes."""
    bomb = zlib.compress(b"\0" * 50_000_000)
    chunk = b"xmp\0\1\0\0\0" + bomb
    chunks = (struct.pack(">I", len(chunk)) + b"iTXt" + chunk + b"\0\0\0\0") * 40
    assert judge_picture(b"\x89PNG\r\n\x1a\n" + chunks).allowed
    labels = b"\0\0\0\x30jumd" + b"\0" * 17 + b"c2pa.training-mining\0\xff\xff\xff\xff"
    assert judge_picture(b"\xff\xd8" + labels * 20_000).allowed
    assert judge_picture(b"\xff\xd8" + b"\xff\xeb\0\2jumb" * 300_000).allowed
    assert judge_picture(b"\xff\xd8" + b"DataMining" * 300_000).allowed
