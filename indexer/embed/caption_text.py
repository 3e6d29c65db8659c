"""What of a caption is embedded: the caption as it is, or as SWAT's scripts keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

_SWAT = str.maketrans({'"': None, "'": None, "-": " ", "_": " "})


def swat_caption(caption: str) -> str:
    """``caption`` as SWAT's database has it: no straight quotes, ``-`` and ``_`` blanks, N.A. for none."""
    return caption.translate(_SWAT) if caption else "N.A."


CAPTION_TEXTS: Mapping[str, Callable[[str], str]] = {"raw": str, "swat": swat_caption}
"""[model] caption_text → what it makes of a caption, "" where that is NULL."""
