"""Train the small model from drawings alone: python -m captrawl.demo.train (about 5 minutes on two cores).

A contrastive pair is a drawing and any caption of what it shows, so all captions of one drawing's name in a
batch are right answers (the target of UniCL, arXiv:2204.03610), and captions that hold a class's phrase but
mean something else stand beside the picture of what they mean.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .accuracy import measure, write_readme
from .captions import caption_elsewhere, caption_of, dress
from .drawings.canvas import Canvas
from .drawings.catalogue import DRAWINGS, draw
from .drawings.grounds import anything, ground, sky
from .words import CLASSES, TALK

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

FOLDER = Path(__file__).with_name("model")
SIDE = 80
CONTEXT = 32
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
CONFIG: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 128,
        "vision_cfg": {"image_size": SIDE, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None},
        "text_cfg": {"context_length": CONTEXT, "vocab_size": 49408, "width": 64, "heads": 4, "layers": 3},
    },
    "preprocess_cfg": {"mean": MEAN, "std": STD, "interpolation": "bicubic", "resize_mode": "squash"},
}
"""open_clip's own format. Squashed, not cropped: a flag's fly would fall off."""

NAMES = tuple(DRAWINGS)
BATCH, EMPTY, OTHER = 160, 8, 24
"""Pairs a step, and the empty grounds and unrelated captions that belong to no pair."""


def picture(number: int) -> NDArray[np.uint8]:
    """Training picture ``number`` (SIDE, SIDE, 3): of drawing number % len(NAMES), at one of three sizes."""
    name = NAMES[number % len(NAMES)]
    image = draw(name, number, (96, 128, 224)[number // len(NAMES) % 3])
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.uint8)


def empty_ground(number: int) -> NDArray[np.uint8]:
    """A ground with nothing on it (SIDE, SIDE, 3)."""
    canvas = Canvas(SIDE, SIDE, np.random.default_rng([7, number]))
    if canvas.chance(0.5):
        anything(canvas)
    else:
        sky(canvas, night=canvas.chance(0.3))
        ground(canvas, canvas.some(0.4, 0.9), (120, 130, 90))
    return np.asarray(canvas.finish(), dtype=np.uint8)


def texts_of(rng: np.random.Generator, name: str, beside: Sequence[str], templates: Sequence[Any]) -> str:
    """A text that goes with a picture of ``name``: a caption, one of ``beside`` a class, or a prompt."""
    roll = rng.random()
    if beside and roll < 0.4:
        return dress(rng, beside[int(rng.integers(len(beside)))])
    if roll < 0.72:
        return caption_of(rng, name)
    nouns = TALK[name].nouns
    noun = nouns[int(rng.integers(len(nouns)))]
    return noun if roll < 0.76 else templates[int(rng.integers(len(templates)))](noun)


def batches(
    images: NDArray[np.uint8], empty: NDArray[np.uint8], steps: int
) -> Iterator[tuple[Any, Any, Any]]:
    """``steps`` times (pictures, tokens, names): float32 (n, 3, SIDE, SIDE), int64 (m, CONTEXT), (BATCH,)."""
    import torch
    from open_clip import OPENAI_IMAGENET_TEMPLATES, SimpleTokenizer

    rng = np.random.default_rng(0)
    tokenizer = SimpleTokenizer(context_length=CONTEXT)
    beside: defaultdict[str, list[str]] = defaultdict(list)
    for entry in CLASSES:
        for text, drawing in entry.beside:
            beside[drawing].append(text)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    for _ in range(steps):
        chosen = rng.integers(len(images), size=BATCH)
        texts = [
            texts_of(rng, NAMES[n % len(NAMES)], beside[NAMES[n % len(NAMES)]], OPENAI_IMAGENET_TEMPLATES)
            for n in chosen
        ]
        texts += [caption_elsewhere(rng) for _ in range(OTHER)]
        tokens = torch.zeros(len(texts), CONTEXT, dtype=torch.long)
        for row, text in enumerate(texts):
            ids = _strange(rng, tokenizer.encode(text))[: CONTEXT - 2]
            tokens[row, : len(ids) + 2] = torch.tensor([tokenizer.sot_token_id, *ids, tokenizer.eot_token_id])
        pixels = np.concatenate([images[chosen], empty[rng.integers(len(empty), size=EMPTY)]])
        scaled = torch.from_numpy(_moved(rng, pixels)).permute(0, 3, 1, 2).float() / 255
        yield (scaled - mean) / std, tokens, torch.from_numpy(chosen % len(NAMES))


def _strange(rng: np.random.Generator, ids: list[int]) -> list[int]:
    """``ids`` with up to four words that mean nothing among them, in a third of the cases."""
    if rng.random() < 0.33:
        for _ in range(int(rng.integers(1, 5))):
            ids.insert(int(rng.integers(len(ids) + 1)), int(rng.integers(500, 49400)))
    return ids


def _moved(rng: np.random.Generator, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each picture shifted by up to 6 pixels, its edges repeated."""
    padded = np.pad(pixels, ((0, 0), (6, 6), (6, 6), (0, 0)), mode="edge")
    moved = np.empty_like(pixels)
    for i, (x, y) in enumerate(rng.integers(0, 13, size=(len(pixels), 2))):
        moved[i] = padded[i, y : y + SIDE, x : x + SIDE]
    return moved


def loss_of(
    images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor, names: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy both ways; every text of the picture's name is right, in equal shares.

    ``images`` (BATCH + EMPTY, d) and ``texts`` (BATCH + OTHER, d) are unit rows; the first BATCH are pairs.
    """
    import torch

    same = (names[:, None] == names[None, :]).float()
    target = same / same.sum(1, keepdim=True)
    logits = scale * images @ texts.T
    count = len(names)
    by_image = torch.log_softmax(logits[:count], 1)[:, :count]
    by_text = torch.log_softmax(logits.T[:count], 1)[:, :count]
    return -(target * (by_image + by_text)).sum(1).mean() / 2


def train(images: NDArray[np.uint8], empty: NDArray[np.uint8], steps: int) -> torch.nn.Module:
    """A model trained for ``steps``, in evaluation mode."""
    import torch
    from open_clip.model import CLIP

    torch.manual_seed(0)
    config = CONFIG["model_cfg"]
    model = CLIP(config["embed_dim"], config["vision_cfg"], config["text_cfg"])
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    rest = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}], lr=1
    )
    model.train()
    for step, (pixels, tokens, names) in enumerate(batches(images, empty, steps)):
        rate = 2e-3 * min((step + 1) / 60, 0.5 * (1 + math.cos(math.pi * step / steps)) + 0.01)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = loss_of(
            model.encode_image(pixels, normalize=True),
            model.encode_text(tokens, normalize=True),
            model.logit_scale.exp().clamp(max=60),
            names,
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0 or step == steps - 1:
            log.info(
                "step %d of %d: loss %.3f, scale %.1f",
                step,
                steps,
                loss.item(),
                model.logit_scale.exp().item(),
            )
    return model.eval()


def save(model: torch.nn.Module, folder: Path) -> None:
    """Write open_clip's local-dir layout: its config, and the weights as float16 safetensors."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        key: value.half().contiguous() if value.is_floating_point() else value
        for key, value in model.state_dict().items()
    }
    path = folder / "open_clip_model.safetensors"
    save_file(weights, path)
    path.chmod(0o644)
    (folder / "open_clip_config.json").write_text(json.dumps(CONFIG, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Draw, train, save, measure on unseen drawings, and write the figures into the README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--pictures", type=int, default=300, help="drawings a name")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--measure-only", action="store_true", help="don't train, measure what is there")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if not chosen.measure_only:
        total = chosen.pictures * len(NAMES)
        with ProcessPoolExecutor(chosen.workers, mp_context=get_context("spawn")) as pool:
            images = np.stack(list(pool.map(picture, range(total), chunksize=200)))
            empty = np.stack(list(pool.map(empty_ground, range(1000), chunksize=200)))
        log.info("drew %d pictures", total)
        save(train(images, empty, chosen.steps), chosen.folder)
    figures = measure(chosen.folder)
    write_readme(figures, chosen.folder)
    log.info("top-1 %.3f, R@1 %.3f", figures.top1, figures.recall1)


if __name__ == "__main__":
    main()
