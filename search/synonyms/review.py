"""A person's eye on synonyms: how often each matches, what its captions say, and whether they mean the class.

Agreement is the mean T2T (cosine of caption and class prompt) of a synonym's sampled captions. A homonym's
captions speak of something else (jersey, stole, crane), and their agreement is low.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...classes.model import ClassEntry, ClassList
from ...core.errors import InputError
from ...core.files import read_json, write_json
from ...core.records import Progress, silent
from ...core.row_captions import apart
from ...core.text import tokens
from ..captions import CaptionIndex
from ..match import Scope
from ..query import CaptionQuery
from .proposals import Proposal, propose
from .text_filter import TEMPLATE, TextEncoder

SAMPLED = 20
"""Captions a synonym that its agreement is the mean of."""
SHOWN = 5
"""Captions a synonym that a person is shown: the first of the sample, in its order, equal ones once."""
POOL = 200
"""Captions per class that proposals are made from, at most, equal ones once (one that a corpus repeats
would propose all its words): near is the nearest third, far the farthest."""
POOLED = 20_000
"""Captions of all classes that proposals are made from, about."""
FEW_ROWS = 20
"""Rows a synonym needs to be shown; fewer say little."""
NAME = "synonyms-review.json"
"""Where a workspace keeps its review."""
FORMAT = 1
FEWEST = 30
"""Captions that a class needs for proposals."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is reviewed: the classes ``only`` (ids; None: all), with prompts of ``templates``."""

    only: frozenset[int] | None = None
    templates: tuple[str, ...] = (TEMPLATE,)


@dataclass(frozen=True, slots=True)
class ShownCaption:
    """A sampled caption and its T2T."""

    caption: str
    score: float


@dataclass(frozen=True, slots=True)
class SynonymReview:
    """What a person needs to judge one synonym by; without captions it has no agreement."""

    class_id: int
    class_name: str
    synonym: str
    frequency: int
    agreement: float | None = None
    own_share: float | None = None
    """Share of the sampled captions to which no other class's prompt is nearer."""
    other_id: int | None = None
    """The other class that the sampled captions are nearest to, by their mean; None: another sense."""
    other_name: str = ""
    captions: tuple[ShownCaption, ...] = ()


@dataclass(frozen=True, slots=True)
class ClassProposals:
    """Words that may help to part a class's captions; ``class_id`` None: the whole list's."""

    class_id: int | None
    class_name: str
    prefixes: tuple[Proposal, ...]
    exclusions: tuple[Proposal, ...]


@dataclass(frozen=True, slots=True)
class Review:
    """Every synonym, the least agreement first (those without captions last), and the proposals."""

    synonyms: tuple[SynonymReview, ...]
    proposals: tuple[ClassProposals, ...]


def class_prompts(
    classes: ClassList, encoder: TextEncoder, templates: Sequence[str] = (TEMPLATE,)
) -> NDArray[np.float32]:
    """(classes, d) prompt vectors: the normalised mean over prompt names × templates (docs/sampling.md)."""
    texts = [[t.replace("{}", name) for name in entry.prompt_names() for t in templates] for entry in classes]
    flat = list(dict.fromkeys(text for some in texts for text in some))
    row = {text: position for position, text in enumerate(flat)}
    vectors = encoder.encode_texts(flat)
    means = np.stack([vectors[[row[text] for text in some]].mean(axis=0) for some in texts])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def review(
    index: CaptionIndex,
    classes: ClassList,
    encoder: TextEncoder,
    *,
    scope: Scope,
    plan: Plan | None = None,
    progress: Progress = silent,
) -> Review:
    """Review the matching synonyms of ``classes`` under ``scope``, as ``plan`` says.

    Samples are those of seed 0: the same again until the index changes.
    """
    plan = plan or Plan()
    prompts = class_prompts(classes, encoder, plan.templates)
    places = [place for place, entry in enumerate(classes) if plan.only is None or entry.id in plan.only]
    phrases = [(place, phrase) for place in places for phrase in classes[place].match_phrases()]
    scopes = [scope.of(entry) for entry in classes]
    frequencies = index.count([scopes[place].query((phrase,)) for place, phrase in phrases])
    samples: list[list[str]] = []
    for done, ((place, phrase), frequency) in enumerate(zip(phrases, frequencies, strict=True), start=1):
        samples.append(_captions(index, scopes[place].query((phrase,)), SAMPLED) if frequency else [])
        progress("sample captions", done, len(phrases))
    size = max(FEWEST, min(POOL, POOLED // max(1, len(places))))
    pools = {
        place: list(dict.fromkeys(_captions(index, scopes[place].query(names), size)))
        for place in places
        if (names := classes[place].match_phrases())
    }
    texts = list(dict.fromkeys(caption for some in (*samples, *pools.values()) for caption in some))
    row = {caption: position for position, caption in enumerate(texts)}
    vectors = encoder.encode_texts(texts, progress)
    scores = vectors @ prompts.T
    senses = {place: _sense_prompts(classes[place], encoder, plan, prompts.shape[1]) for place in places}
    reviews: list[SynonymReview] = []
    for (place, phrase), frequency, captions in zip(phrases, frequencies, samples, strict=True):
        bare = SynonymReview(classes[place].id, classes[place].name, phrase, frequency)
        rows = [row[caption] for caption in captions]
        against = np.concatenate(
            [np.delete(scores[rows], place, axis=1), vectors[rows] @ senses[place].T], axis=1
        )
        rivals = [(one.id, one.name) for one in classes if one is not classes[place]]
        rivals += [(None, sense) for sense in classes[place].other_senses]
        reviews.append(_reviewed(bare, captions, scores[rows, place], against, rivals) if captions else bare)
    reviews.sort(key=lambda r: (r.agreement is None, r.agreement or 0.0, r.class_id, r.synonym))
    own = {place: scores[[row[caption] for caption in pool], place] for place, pool in pools.items()}
    return Review(tuple(reviews), tuple(_proposals(classes, pools, own)))


def _sense_prompts(
    entry: ClassEntry, encoder: TextEncoder, plan: Plan, dimension: int
) -> NDArray[np.float32]:
    """(senses, dimension) prompt vectors of a class's other senses."""
    senses = tuple(replace(entry, name=sense, synonyms=()) for sense in entry.other_senses)
    return class_prompts(senses, encoder, plan.templates) if senses else np.zeros((0, dimension), np.float32)


def _captions(index: CaptionIndex, query: CaptionQuery, size: int) -> list[str]:
    captions = index.sample(query, size, 0).column("caption").to_pylist()
    return [" / ".join(text for _, text in apart(caption or "")) for caption in captions]


def _reviewed(
    bare: SynonymReview,
    captions: Sequence[str],
    own: NDArray[np.float32],
    others: NDArray[np.float32],
    rivals: Sequence[tuple[int | None, str]],
) -> SynonymReview:
    """``bare`` with the T2T of its captions to the class, and to its ``rivals`` (captions, rivals)."""
    examples = list(dict(zip(captions, own, strict=True)).items())[:SHOWN]
    result = replace(
        bare,
        agreement=round(float(own.mean()), 6),
        own_share=round(float((own >= others.max(axis=1, initial=-np.inf)).mean()), 6),
        captions=tuple(ShownCaption(caption, round(float(score), 6)) for caption, score in examples),
    )
    if not others.shape[1]:
        return result
    other_id, other_name = rivals[int(np.argmax(others.mean(axis=0)))]
    return replace(result, other_id=other_id, other_name=other_name)


def _proposals(
    classes: ClassList, pools: Mapping[int, list[str]], own: Mapping[int, NDArray[np.float32]]
) -> list[ClassProposals]:
    """The proposals of the whole list, then of every class that has any; keys are places in ``classes``."""
    result: list[ClassProposals] = []
    near_all: list[str] = []
    far_all: list[str] = []
    ignored: set[str] = set()
    for place, pool in pools.items():
        if len(pool) < FEWEST:
            continue
        entry, third = classes[place], len(pool) // 3
        order = np.argsort(-own[place], kind="stable")
        near, far = [pool[i] for i in order[:third]], [pool[i] for i in order[-third:]]
        ignore = {token for synonym in entry.synonyms for token in tokens(synonym.text)}
        prefixes, exclusions = propose(near, far, ignore=ignore)
        if prefixes or exclusions:
            result.append(ClassProposals(entry.id, entry.name, tuple(prefixes), tuple(exclusions)))
        near_all += near
        far_all += far
        ignored |= ignore
    if len(pools) > 1:
        prefixes, exclusions = propose(near_all, far_all, ignore=ignored)
        if prefixes or exclusions:
            result.insert(0, ClassProposals(None, "", tuple(prefixes), tuple(exclusions)))
    return result


def save_review(result: Review, path: Path) -> None:
    """Write the review as JSON, for the report and for other tools."""
    write_json(path, to_json(result))


def to_json(result: Review) -> dict[str, Any]:
    """The review as plain values."""
    return {"format": FORMAT, **asdict(result)}


def load_review(path: Path) -> Review | None:
    """The review saved at ``path``, None where there is none; InputError where it is no review."""
    try:
        data: dict[str, Any] = read_json(path)
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']!r}, not {FORMAT}")
        return Review(tuple(map(_synonym, data["synonyms"])), tuple(map(_proposal, data["proposals"])))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} isn't a review of synonyms ({error}); make it anew with captrawl synonyms --review, or "
            "remove it"
        ) from error


def _synonym(one: dict[str, Any]) -> SynonymReview:
    values: dict[str, Any] = {
        **one,
        "captions": tuple(ShownCaption(**caption) for caption in one["captions"]),
    }
    return SynonymReview(**values)


def _proposal(one: dict[str, Any]) -> ClassProposals:
    words = {key: tuple(Proposal(**word) for word in one[key]) for key in ("prefixes", "exclusions")}
    return ClassProposals(one["class_id"], one["class_name"], **words)
