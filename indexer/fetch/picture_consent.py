"""A picture's own bytes → a verdict: what its XMP and its C2PA manifest say about machine learning.

XMP: ``plus:DataMining`` (PLUS, IPTC Photo Metadata 2023.1), whose every ``DMI-PROHIBITED…`` value refuses.
C2PA: the assertions ``c2pa.training-mining`` and ``cawg.training-mining`` in a JUMBF box, where any ``use``
that is notAllowed or constrained refuses; conditions can't be read by a machine. Nothing is parsed but what
containers cut into pieces (JPEG segments, GIF blocks, packed PNG texts); the rest lies in the file as it is.
"""

from __future__ import annotations

import binascii
import contextlib
import re
import zlib
from collections.abc import Callable, Iterator, Mapping

from .consent import ConsentVerdict, Signal

_PROHIBITED = b"DMI-PROHIBITED"
_PROHIBITED_ANYWHERE = tuple(
    _PROHIBITED.decode().encode(code) for code in ("ascii", "utf-16-le", "utf-32-le")
)
_VALUE = re.compile(rb"DMI-PROHIBITED[A-Z-]*")
_LABELS = (b"c2pa.training-mining", b"cawg.training-mining")
_REFUSED_USE = re.compile(rb"notAllowed|constrained", re.IGNORECASE)
_ENTRY = re.compile(rb"(?:c2pa|cawg)\.(?!training-mining)[a-z_]{1,40}")
_BEFORE_LABEL = 25
"""Length and type of a JUMBF description box, its UUID and flags."""
_LONGEST_LABEL = 256
_LONGEST_ASSERTION = 65_536
_LONGEST_TEXT = 1_000_000
_MOST_PIECES = 4096
_MOST_TEXTS = 16
_PNG = b"\x89PNG\r\n\x1a\n"
_TEXTS = frozenset({b"iTXt", b"zTXt", b"tEXt"})
_LONG_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_LONG_XMP_HEAD = len(_LONG_XMP) + 32 + 8
_GIF_C2PA = b"\x21\xff\x0bC2PA_GIF"


def judge_picture(data: bytes, *, honoured: frozenset[Signal] = frozenset(Signal)) -> ConsentVerdict:
    """Judge a picture file by what it says of itself; silence allows, and so does a permission."""
    for signal, refusal in _REFUSED_BY.items():
        if signal in honoured:
            words = refusal(data)
            if words is not None:
                return ConsentVerdict(False, signal, f"{signal}: {words}")
    return ConsentVerdict(True, None, "")


def mining_refusal(data: bytes) -> str | None:
    """The value of plus:DataMining that prohibits, anywhere in a picture file, or None."""
    for part in _xmp_parts(data):
        for prohibited in _PROHIBITED_ANYWHERE:
            if prohibited in part:
                match = _VALUE.search(part)
                return match[0].decode() if match else _PROHIBITED.decode()
        if b"DataMining" in part and _PROHIBITED.lower() in part.lower():
            return _PROHIBITED.decode()
    return None


def training_refusal(data: bytes) -> str | None:
    """The training assertion that refuses a use, with the uses it names, or None."""
    for part in _jumbf_parts(data):
        for label in _LABELS:
            for content in _assertions(part, label):
                use = _REFUSED_USE.search(content)
                if use:
                    entries = dict.fromkeys(entry.decode() for entry in _ENTRY.findall(content))
                    return f"{label.decode()} {use[0].decode()} ({', '.join(list(entries)[:4])})"
    return None


_REFUSED_BY: Mapping[Signal, Callable[[bytes], str | None]] = {
    Signal.DATA_MINING: mining_refusal,
    Signal.C2PA_TRAINING: training_refusal,
}


def _assertions(part: bytes, label: bytes) -> Iterator[bytes]:
    """What stands in the assertion boxes with this label; a label that is only referred to has no box."""
    at = part.find(label)
    while at >= 0:
        box, after = at - _BEFORE_LABEL, at + len(label)
        if box >= 0 and part[box + 4 : box + 8] == b"jumd":
            end = box + int.from_bytes(part[box : box + 4], "big")
            if after <= end <= after + _LONGEST_LABEL:
                size = int.from_bytes(part[end : end + 4], "big")  # 0 or 1: to the end, or in 64 bits
                start, after = after, end + min(size if size > 1 else _LONGEST_ASSERTION, _LONGEST_ASSERTION)
                yield part[start:after]
        at = part.find(label, after)


def _xmp_parts(data: bytes) -> Iterator[bytes]:
    """The file as it is, then the XMP that its container cut up or packed, put together."""
    yield data
    if data.startswith(b"\xff\xd8"):
        yield from _xmp_segments(data)
    elif data.startswith(_PNG):
        yield from _png_texts(data)


def _jumbf_parts(data: bytes) -> Iterator[bytes]:
    """Where JUMBF boxes lie in one piece."""
    if data.startswith(b"\xff\xd8"):
        yield from _jumbf_segments(data)
    elif data.startswith(b"GIF8"):
        start = data.find(_GIF_C2PA)
        yield _gif_blocks(data, start + len(_GIF_C2PA) + 3) if start >= 0 else b""
    else:
        yield data


def _segments(data: bytes, marker: int, start: bytes) -> Iterator[bytes]:
    """The contents of a JPEG's segments of one kind that begin so, before its pixels."""
    at = 2
    for _ in range(_MOST_PIECES):
        if data[at : at + 1] != b"\xff" or data[at + 1 : at + 2] in {b"\xda", b"\xd9", b""}:
            return
        end = at + 2 + max(int.from_bytes(data[at + 2 : at + 4], "big"), 2)
        if data[at + 1] == marker and data.startswith(start, at + 4):
            yield data[at + 4 : end]
        at = end


def _xmp_segments(data: bytes) -> Iterator[bytes]:
    """A JPEG's long XMP: the pieces carry a hash, the whole length and their offset in front."""
    if _LONG_XMP in data:
        pieces = [(s[_LONG_XMP_HEAD - 40 : _LONG_XMP_HEAD], s) for s in _segments(data, 0xE1, _LONG_XMP)]
        pieces.sort(key=lambda piece: (piece[0][:32], piece[0][36:]))
        yield b"".join(segment[_LONG_XMP_HEAD:] for _, segment in pieces)


def _jumbf_segments(data: bytes) -> Iterator[bytes]:
    """A JPEG's JUMBF boxes: each piece says which box it is of, its number, and the box's head anew."""
    boxes: dict[bytes, list[tuple[bytes, bytes]]] = {}
    if b"jumb" in data:
        for segment in _segments(data, 0xEB, b"JP"):
            boxes.setdefault(segment[2:4], []).append((segment[4:8], segment[8:]))
    for pieces in boxes.values():
        pieces.sort(key=lambda piece: piece[0])
        head = 16 if pieces[0][1][:4] == b"\0\0\0\1" else 8
        yield pieces[0][1] + b"".join(piece[head:] for _, piece in pieces[1:])


def _png_texts(data: bytes) -> Iterator[bytes]:
    """A PNG's packed texts, unpacked to a limit, and those in hexadecimal digits, as ImageMagick has them."""
    at, texts = len(_PNG), 0
    for _ in range(_MOST_PIECES):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        kind, chunk = data[at + 4 : at + 8], data[at + 8 : min(end - 4, at + 8 + _LONGEST_TEXT)]
        if kind in _TEXTS and b"xmp" in chunk[:80].lower():
            texts += 1
            for text in (chunk, *_inflated(chunk)):
                yield _from_hex(text) if chunk.startswith(b"Raw profile") else text
        if end > len(data) or texts == _MOST_TEXTS:
            return
        at = end


def _inflated(chunk: bytes) -> Iterator[bytes]:
    """The zlib streams that begin after one of the first few NULs of a text chunk."""
    for start in list(re.finditer(b"\0(?=\x78)", chunk[:200]))[:6]:
        with contextlib.suppress(zlib.error):
            yield zlib.decompressobj().decompress(chunk[start.end() :], _LONGEST_TEXT)


def _from_hex(text: bytes) -> bytes:
    """What the digits after "xmp" and a length say; b"" where that isn't so."""
    digits = b"".join(text.rpartition(b"xmp")[2].split()[1:])
    return binascii.unhexlify(digits) if re.fullmatch(rb"(?:[0-9a-fA-F]{2})*", digits) else b""


def _gif_blocks(data: bytes, at: int) -> bytes:
    """The sub-blocks of a GIF extension that begin at ``at``, put together."""
    blocks: list[bytes] = []
    while at < len(data) and data[at]:
        blocks.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return b"".join(blocks)
