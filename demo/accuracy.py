"""How well the small model knows drawings it has never seen, and the README that says so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .captions import caption_beside, caption_of
from .drawings.catalogue import draw
from .words import CLASSES

UNSEEN = 10_000_000
"""Seeds from here on are never trained on."""


@dataclass(frozen=True, slots=True)
class ModelAccuracy:
    """Shares of 1. ``by_class`` in the order of CLASSES; ``pictures`` a class were drawn."""

    pictures: int
    by_class: tuple[float, ...]
    recall1: float
    recall5: float
    homonyms: float
    megabytes: float

    @property
    def top1(self) -> float:
        """Zero-shot accuracy over all pictures."""
        return sum(self.by_class) / len(self.by_class)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def measure(folder: Path, pictures: int = 40) -> ModelAccuracy:
    """Load the model as any open_clip user does and try it on ``pictures`` unseen drawings a class.

    Zero-shot: the class prompts are the mean of its unambiguous synonyms in open_clip's ImageNet templates.
    R@k: one new caption a picture; right when a picture of the caption's class is among the first k.
    Homonyms: of two captions that hold a class's synonym, one meant and one not, how often T2T is higher for
    the one that is meant.
    """
    import open_clip
    import torch

    parts: Any = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    model, _, transform = parts
    tokenizer: Any = open_clip.get_tokenizer(f"local-dir:{folder}")
    model.eval()

    def texts(lines: list[str]) -> NDArray[np.float32]:
        return _unit(model.encode_text(tokenizer(lines)).float().numpy())

    rng = np.random.default_rng(UNSEEN)
    labels = np.repeat(np.arange(len(CLASSES)), pictures)
    with torch.inference_mode():
        prompts = np.concatenate(
            [_prompt(texts, [s for s in c.synonyms if s not in c.ambiguous]) for c in CLASSES]
        )
        stacks = [
            torch.stack([transform(draw(c.drawing, UNSEEN + k)) for k in range(pictures)]) for c in CLASSES
        ]
        images = np.concatenate([_unit(model.encode_image(stack).float().numpy()) for stack in stacks])
        captions = texts([caption_of(rng, CLASSES[i].drawing) for i in labels])
        meant, beside = _pairs(rng)
        pairs = np.repeat(prompts, len(meant) // len(CLASSES), axis=0)
        gap = (pairs * (texts(meant) - texts(beside))).sum(1)
    hits = (images @ prompts.T).argmax(1) == labels
    best = labels[np.argsort(-(captions @ images.T), axis=1)[:, :5]]
    return ModelAccuracy(
        pictures=pictures,
        by_class=tuple(float(hits[labels == i].mean()) for i in range(len(CLASSES))),
        recall1=float((best[:, 0] == labels).mean()),
        recall5=float((best == labels[:, None]).any(1).mean()),
        homonyms=float((gap > 0).mean()),
        megabytes=(folder / "open_clip_model.safetensors").stat().st_size / 1e6,
    )


def _prompt(texts: Any, names: list[str]) -> NDArray[np.float32]:
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    return _unit(
        texts([template(name) for name in names for template in OPENAI_IMAGENET_TEMPLATES]).mean(
            0, keepdims=True
        )
    )


def _pairs(rng: np.random.Generator, count: int = 20) -> tuple[list[str], list[str]]:
    """``count`` captions a class that mean it, and as many that only hold its phrase."""
    meant = [caption_of(rng, c.drawing, c.synonyms) for c in CLASSES for _ in range(count)]
    return meant, [caption_beside(rng, c)[0] for c in CLASSES for _ in range(count)]


def write_readme(figures: ModelAccuracy, folder: Path) -> None:
    """Write README.md beside ``folder``, with the figures in it."""
    rows = "\n".join(
        f"| {c.name} | {share:.2f} |" for c, share in zip(CLASSES, figures.by_class, strict=True)
    )
    text = README.format(
        pictures=figures.pictures,
        classes=len(CLASSES),
        top1=figures.top1,
        recall1=figures.recall1,
        recall5=figures.recall5,
        homonyms=figures.homonyms,
        megabytes=figures.megabytes,
        rows=rows,
    )
    folder.with_name("README.md").write_text(text, encoding="utf-8")


README = """\
# The drawn web and the small model

`captrawl demo` draws a small web, serves it on loopback and runs the whole pipeline over it. Its pictures
come from the modules of `drawings/` (`catalogue.py` lists them; a name and a seed give one picture), its
captions from `words.toml` and `captions.py`, its failures from `plan.py` and `server.py`. The truth about
every picture is known, so precision can be counted.

`model/` is the small open_clip model it runs with: a ResNet for 80-pixel pictures and a three-layer text
tower, in float16 ({megabytes:.1f} MB). It loads with plain open_clip as `local-dir:PATH`, and has seen
nothing but drawings and generated captions: it knows what this demo draws, and nothing else.
`python -m captrawl.demo.train` makes it again (about 5 minutes on two cores) and writes this file.

## Accuracy on unseen drawings

{pictures} new drawings of each of the {classes} classes, with seeds outside training. The captions are new,
from the generator that made the training captions.

| measure | value |
|---|---|
| zero-shot top-1 among {classes} classes | {top1:.3f} |
| caption to picture, R@1 (a picture of the caption's class comes first) | {recall1:.3f} |
| caption to picture, R@5 | {recall5:.3f} |
| T2T: a caption that means the class beats one that only contains its phrase | {homonyms:.3f} |

| class | zero-shot top-1 |
|---|---|
{rows}
"""
