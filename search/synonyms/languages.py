"""Names in other languages: which there are, and which models read them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...core.errors import InputError, nearest
from ..vectors.models import ModelId
from .questions import spelt

ENGLISH = "en"
LANGUAGES: dict[str, str] = dict(
    re.findall(
        r"(\w+)=(\w+)",
        "am=Amharic ar=Arabic az=Azerbaijani be=Belarusian bg=Bulgarian bn=Bengali bo=Tibetan ca=Catalan "
        "cs=Czech da=Danish de=German el=Greek en=English es=Spanish et=Estonian eu=Basque fa=Persian "
        "fi=Finnish fr=French gu=Gujarati he=Hebrew hi=Hindi hr=Croatian hu=Hungarian hy=Armenian "
        "id=Indonesian is=Icelandic it=Italian ja=Japanese ka=Georgian km=Khmer kn=Kannada ko=Korean "
        "ku=Kurdish lo=Lao lt=Lithuanian lv=Latvian ml=Malayalam mr=Marathi ms=Malay my=Burmese nl=Dutch "
        "no=Norwegian or=Odia pa=Punjabi pl=Polish pt=Portuguese ro=Romanian ru=Russian sk=Slovak "
        "sl=Slovenian sq=Albanian sr=Serbian sv=Swedish sw=Swahili ta=Tamil te=Telugu th=Thai tl=Tagalog "
        "tr=Turkish uk=Ukrainian ur=Urdu vi=Vietnamese yo=Yoruba zh=Chinese",
    )
)
"""ISO 639-1 codes, and what a language model is told."""

_MULTILINGUAL = re.compile(
    r"xlm-roberta|nllb|mt5|i18n|siglip-?2|worldwide|multilingual|m-clip|chinese-clip|japanese", re.IGNORECASE
)


def languages_of(text: str) -> tuple[str, ...]:
    """The codes in ``de,ja``, each once; English where there is none. InputError names one that isn't any."""
    codes = list(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    for code in codes:
        if code not in LANGUAGES:
            raise InputError(f"--languages {code}: no such language; {nearest(code, list(LANGUAGES))}")
    return tuple(codes) or (ENGLISH,)


def is_multilingual(model: ModelId) -> bool:
    """Whether the model's text tower was trained on captions of many languages, as far as its name says."""
    return _MULTILINGUAL.search(f"{model.name} {model.pretrained}") is not None


def foreign_names(records: Sequence[Mapping[str, Any]]) -> dict[int, set[str]]:
    """Class id → the names (as tokens) of journaled answers in other languages than English."""
    names: dict[int, set[str]] = {}
    for record in records:
        if record.get("language", ENGLISH) != ENGLISH:
            names.setdefault(record["class_id"], set()).update(map(spelt, record.get("names", ())))
    return names
