"""Scientific names as lists of species have them: with authors, years, ranks and hybrids → what captions say.

``Parus major (Linnaeus, 1758)`` stands in no caption; ``Parus major`` does. A name is only taken apart where
something in it says that it is scientific: an author's initial or abbreviation, a year, a rank, a hybrid, or
Latin endings before an author.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_GENUS = r"(?P<genus>[A-Z][a-zë-]{2,})"
_EPITHET = (
    r"(?!(?:spp?|and|or|of|with|the|in|on|for|from|to|subsp|ssp|var|cf|aff|agg)\b)[a-zëïöü][a-zëïöü-]{2,}"
)
_RANK = r"(?:(?:subsp|ssp|var|subvar|f|fo|forma|cv|morph)\.?|[×xX])"
_UNSURE = r"(?:cf|aff|nr|gr)\.?"
_SCIENTIFIC = re.compile(
    rf"(?P<cross>[×xX]\s+|×)?{_GENUS}"
    rf"(?:\s+(?P<unsure>{_UNSURE}))?"
    rf"(?:\s+(?P<hybrid>[×xX]\s+|×)?(?P<epithet>{_EPITHET})"
    rf"(?P<rest>.*)|\s+(?P<genus_only>spp?\.?)(?:\s.*)?)"
)
_INFRA = re.compile(rf"(?P<author>.*?)\s+(?P<rank>{_RANK})\s+(?P<infra>{_EPITHET})(?P<behind>.*)")
_TRINOMIAL = re.compile(rf"\s+(?P<infra>{_EPITHET})(?P<behind>.*)")
_SMALL = (
    r"(?:de|del|der|van|von|den|la|le|da|dos|du|zu|ter|et|ex|in|emend|auct|nom|non|sensu|and|fil|al"
    r"|cons|inval|illeg|lato|stricto)\.?"
)
_WORD = r"[A-ZÀ-ÖØ-Þ][\w'’.-]*"
_AUTHORS = re.compile(
    rf"[\s,]*(?:\(?\[?(?:{_WORD}|{_SMALL}|&|:|\d{{4}}|agg\.|s\.\s?l\.|s\.\s?str\.)[\],;:)]*[\s,]*)+"
)
_EVIDENCE = re.compile(
    r"\b1[5-9]\d\d\b|\b20\d\d\b|\w\.|&|\b(?:et|ex|sensu|Linnaeus|Linné|Fabricius)\b"
    r"|\([A-ZÀ-ÖØ-Þ][\w’-]+\) [A-ZÀ-ÖØ-Þ]"
)
_LATIN = re.compile(
    r"[A-Z][a-z-]{2,}(?:a|us|um|is|ys|e|on|os|es|ax|ix|er|or) "
    r"[a-z-]{3,}(?:us|a|um|is|i|ae|ens|ans|ipes|ceps|oides|or|ax|ix)"
)
"""A genus and an epithet as Latin ends them: words with capitals behind these are authors."""


@dataclass(frozen=True, slots=True)
class ScientificName:
    """A scientific name taken apart. ``names`` are what captions say, the fullest first; ``optional`` may
    stand for other species too, each with the reason.
    """

    names: tuple[str, ...]
    optional: tuple[tuple[str, str], ...]


def scientific(name: str) -> ScientificName | None:
    """``name`` taken apart; None where nothing in it but two words says that it is a scientific name."""
    text = " ".join(name.split())
    match = _SCIENTIFIC.fullmatch(text)
    if match is None:
        return None
    genus = match["genus"]
    if match["genus_only"]:
        return ScientificName((genus,), ())
    infra, rank, authors = _behind(match["rest"] or "")
    if not _are_authors(authors):
        return None
    marked = bool(match["cross"] or match["hybrid"] or match["unsure"] or rank)
    latin = bool(authors.strip()) and _LATIN.fullmatch(f"{genus} {match['epithet']}") is not None
    if not marked and not latin and not _EVIDENCE.search(authors):
        return None
    return _named(genus, match["epithet"], infra, rank, hybrid=bool(match["hybrid"] or match["cross"]))


def _behind(rest: str) -> tuple[str, str, str]:
    """(third epithet, its rank, the authors) of what stands behind the second epithet."""
    if ranked := _INFRA.fullmatch(rest):
        return ranked["infra"], ranked["rank"], f"{ranked['author']} {ranked['behind']}"
    if (third := _TRINOMIAL.fullmatch(rest)) and not re.fullmatch(_SMALL, third["infra"]):
        return third["infra"], "", third["behind"]
    return "", "", rest


def _are_authors(text: str) -> bool:
    return not text.strip() or _AUTHORS.fullmatch(text) is not None


def _named(genus: str, epithet: str, infra: str, rank: str, *, hybrid: bool) -> ScientificName:
    binomial = f"{genus} {epithet}"
    names = [f"{genus} x {epithet}"] if hybrid else []
    optional: list[tuple[str, str]] = []
    if infra:
        rank, parent = ("x", True) if rank in {"×", "X", "x"} else (rank, False)
        names = [*([f"{binomial} {rank} {infra}"] if rank else []), f"{binomial} {infra}"]
        optional.append((binomial, "one parent of the hybrid" if parent else "broader: the species"))
    else:
        names.append(binomial)
    short = f"{genus[0]}. {epithet}{f' {infra}' if infra else ''}"
    optional.append((short, "other genera may be abbreviated so too"))
    return ScientificName(tuple(names), tuple(optional))
