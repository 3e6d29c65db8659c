"""Embedding against the bare model, on the same cores, in the same run.

    python benchmarks/embed.py [--data ../shared] [--images 256] [--captions 2000] [--repeats 3]

Images: from files to unit vectors, against the bare forward pass on tensors that are ready. Captions: from
texts to unit vectors, against the bare full-length encode_text on tokens that are ready. ViT-B-32 with
random weights. Each is timed in turn ``repeats`` times; a ratio is that of the best times,
``cpu_ratio`` that of the processor times, which other work on the machine hardly changes. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pyarrow.parquet as pq
import torch
from captrawl.search.vectors.decode import threads
from captrawl.search.vectors.encoder import Encoder
from captrawl.search.vectors.loading import wrap
from captrawl.search.vectors.models import ModelId
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

ARCHITECTURE = "ViT-B-32"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[1] / "../shared")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--captions", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    torch.manual_seed(0)
    network: Any = open_clip.create_model(ARCHITECTURE, load_weights=False).eval()
    transform = image_transform_v2(PreprocessCfg(**network.visual.preprocess_cfg), is_train=False)
    tokenizer = open_clip.get_tokenizer(ARCHITECTURE)
    encoder = wrap(network, tokenizer, transform, model=ModelId(ARCHITECTURE), batch=options.batch)
    result = {
        "benchmark": "embed",
        "machine": {
            "cpu": platform.processor() or platform.machine(), "cores": len(os.sched_getaffinity(0)),
            "torch_threads": torch.get_num_threads(), "decode_threads": threads(), "load": os.getloadavg()[0],
        },
        "model": f"{ARCHITECTURE}, random weights, float32, batch {options.batch}",
        "images": measure_images(encoder, options.data, options.images, options.repeats),
        "captions": measure_captions(encoder, options.data, options.captions, options.repeats),
    }  # fmt: skip
    print(json.dumps(result, indent=2))


def measure_images(encoder: Encoder, data: Path, count: int, repeats: int) -> dict[str, Any]:
    """Images a second of files → vectors, against the bare forward."""
    files = sorted((data / "data/photos/captioned").rglob("*.jpg"))
    paths = [files[at % len(files)] for at in range(count)]
    ready = []
    for start in range(0, count, encoder.batch):
        tensors = []
        for path in paths[start : start + encoder.batch]:
            with Image.open(path) as image:
                tensors.append(encoder.preprocess(image))
        ready.append(torch.stack(tensors))

    def bare() -> np.ndarray:
        with torch.inference_mode():
            return torch.cat([encoder.network.encode_image(some, normalize=True) for some in ready]).numpy()

    return compare(lambda: encoder.encode_images(paths), bare, count, repeats)


def measure_captions(encoder: Encoder, data: Path, count: int, repeats: int) -> dict[str, Any]:
    """Captions a second of texts → vectors, against the bare full-length encode_text."""
    column = pq.read_table(data / "data/captions/part-00000.parquet", columns=["TEXT"])["TEXT"].drop_null()
    step = len(column) // count
    texts = column.take(np.arange(count) * step).to_pylist()
    tokens = encoder.tokenizer(texts)
    ends = tokens.argmax(dim=-1).numpy() + 1

    def bare() -> np.ndarray:
        with torch.inference_mode():
            parts = [
                encoder.network.encode_text(tokens[at : at + encoder.batch], normalize=True)
                for at in range(0, count, encoder.batch)
            ]
        return torch.cat(parts).numpy()

    return {
        **compare(lambda: encoder.encode_texts(texts), bare, count, repeats),
        "mean_tokens": round(float(ends.mean()), 1),
    }


def compare(
    ours: Callable[[], np.ndarray], bare: Callable[[], np.ndarray], count: int, repeats: int
) -> dict[str, Any]:
    """Rates of both (best of ``repeats``, in turn), their ratio, and the largest difference."""
    times: dict[str, list[float]] = {"ours": [], "bare": []}
    spent: dict[str, list[float]] = {"ours": [], "bare": []}
    made: dict[str, np.ndarray] = {}
    for _ in range(repeats):
        for name, run in (("bare", bare), ("ours", ours)):
            start, busy = time.perf_counter(), time.process_time()
            made[name] = run()
            times[name].append(time.perf_counter() - start)
            spent[name].append(time.process_time() - busy)
    best = {name: min(values) for name, values in times.items()}
    return {
        "count": count,
        "per_second": round(count / best["ours"], 1),
        "bare_per_second": round(count / best["bare"], 1),
        "ratio": round(best["bare"] / best["ours"], 3),
        "cpu_ratio": round(min(spent["bare"]) / min(spent["ours"]), 3),
        "largest_difference": float(np.abs(made["ours"] - made["bare"]).max()),
    }


if __name__ == "__main__":
    main()
