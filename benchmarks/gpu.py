"""The heavy steps on a GPU against the bare operations, in one short run without network and data.

    python benchmarks/gpu.py [--device cuda] [--architecture ViT-B-32 ViT-L-14] [--side 700]
                             [--images 20000] [--captions 400000] [--pools 200]

Images: JPEG files of ``side`` pixels (drawn here) to unit vectors, against the bare forward pass on pixels
that are on the device, in the same type. Captions: texts of 5 to 25 words to unit vectors, against the bare
full-length encode_text on tokens that are there. Pools: exact scores of ``pools`` pools of 2,000 rows,
against faiss.knn on the CPU. Weights are random. Prints JSON; ``--device cpu`` with small numbers tries the
script.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import open_clip
import torch
from captrawl.search.vectors.decode_processes import decode_processes
from captrawl.search.vectors.encoder import Encoder, compute_of
from captrawl.search.vectors.exact import exact_scores
from captrawl.search.vectors.gpu import FORWARD, SEARCH, fault_of
from captrawl.search.vectors.loading import wrap
from captrawl.search.vectors.models import FLOAT32, ModelId
from captrawl.search.vectors.tokenizing import token_processes
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

DISTINCT = 64
"""Pictures that are drawn; the files repeat them."""
POOL = 2000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--architecture", nargs="+", default=["ViT-B-32"])
    parser.add_argument("--side", type=int, default=700)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--captions", type=int, default=400_000)
    parser.add_argument("--pools", type=int, default=200)
    parser.add_argument("--batch", type=int, default=256)
    options = parser.parse_args()
    on_gpu = options.device.startswith("cuda")
    with tempfile.TemporaryDirectory() as folder:
        files = drawn(Path(folder), options.side, options.images)
        models = {
            name: measured(encoder_of(name, options.device, options.batch), files, options.captions)
            for name in options.architecture
        }
    result = {
        "benchmark": "gpu",
        "machine": {
            "device": torch.cuda.get_device_name() if on_gpu else platform.machine(),
            "cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0],
            "torch": torch.__version__, "faiss": faiss.__version__,
        },
        "faults": {"search": fault_of(SEARCH), "forward": fault_of(FORWARD)} if on_gpu else {},
        "models": models,
        "pools": pools(options.pools),
    }  # fmt: skip
    print(json.dumps(result, indent=2))


def encoder_of(architecture: str, device: str, batch: int) -> Encoder:
    """A model with random weights, as `captrawl embed` would use it there."""
    torch.manual_seed(0)
    network: Any = open_clip.create_model(architecture, load_weights=False).eval().to(device)
    transform = image_transform_v2(PreprocessCfg(**network.visual.preprocess_cfg), is_train=False)
    tokenizer = open_clip.get_tokenizer(architecture)
    encoder = wrap(network, tokenizer, transform, model=ModelId(architecture), batch=batch)
    return dataclasses.replace(encoder, weights="random", compute=compute_of("auto", encoder.device))


def drawn(folder: Path, side: int, count: int) -> list[Path]:
    """``count`` files, each its own; every one of DISTINCT pictures with coarse and fine noise in it."""
    generator = np.random.default_rng(0)
    contents: list[bytes] = []
    for _ in range(min(DISTINCT, count)):
        coarse = Image.fromarray(generator.integers(0, 255, (12, 12, 3), np.uint8)).resize((side, side))
        fine = generator.normal(0, 12, (side, side, 1))
        pixels = np.clip(np.asarray(coarse) + fine, 0, 255).astype(np.uint8)
        path = folder / "one.jpg"
        Image.fromarray(pixels).save(path, quality=90)
        contents.append(path.read_bytes())
    files = [folder / f"{number:06d}.jpg" for number in range(count)]
    for number, path in enumerate(files):
        path.write_bytes(contents[number % len(contents)])
    return files


def measured(encoder: Encoder, files: list[Path], captions: int) -> dict[str, Any]:
    """Images and captions a second, each beside the bare forward in the same type."""
    generator = np.random.default_rng(1)
    words = [f"word{number}" for number in range(5000)]
    texts = [
        " ".join(generator.choice(words, size)) for size in generator.integers(5, 26, min(captions, 20_000))
    ]
    texts = [f"{texts[number % len(texts)]} {number}" for number in range(captions)]
    encoder.encode_images(files[: encoder.batch])
    encoder.encode_texts(texts[: encoder.batch])
    side = encoder.network.visual.image_size
    pixels = torch.rand(encoder.batch, 3, *(side if isinstance(side, tuple) else (side, side)))
    tokens = encoder.tokenizer(texts[: encoder.batch])
    exact = dataclasses.replace(encoder, compute=FLOAT32).encode_images(files[: encoder.batch])
    near = encoder.encode_images(files[: encoder.batch])
    return {
        "compute": encoder.compute,
        "images": {
            "decode_processes": decode_processes(encoder.device, files),
            **compared(
                lambda: encoder.encode_images(files), len(files), bare(encoder, "encode_image", pixels)
            ),
            "largest_1_minus_cosine_to_float32": float(1 - (exact * near).sum(axis=1).min()),
        },
        "captions": {
            "token_processes": token_processes(encoder.device, captions),
            **compared(lambda: encoder.encode_texts(texts), captions, bare(encoder, "encode_text", tokens)),
        },
    }


def bare(encoder: Encoder, name: str, batch: Any, passes: int = 20) -> float:
    """Rows a second of the bare forward pass over a batch that is on the device."""
    moved, forward = batch.to(encoder.device), getattr(encoder.network, name)
    kind = encoder.device.partition(":")[0]
    shorter = encoder.compute != FLOAT32
    with (
        torch.inference_mode(),
        torch.autocast(kind, getattr(torch, encoder.compute) if shorter else None, enabled=shorter),
    ):
        forward(moved).float().sum().item()
        start = time.perf_counter()
        for _ in range(passes):
            rows = forward(moved)
        rows.float().sum().item()  # waits for the device
    return passes * len(batch) / (time.perf_counter() - start)


def compared(run: Callable[[], Any], count: int, bare_rate: float) -> dict[str, Any]:
    """Our rate beside the bare one."""
    start = time.perf_counter()
    run()
    rate = count / (time.perf_counter() - start)
    return {
        "count": count,
        "per_second": round(rate, 1),
        "bare_per_second": round(bare_rate, 1),
        "ratio": round(rate / bare_rate, 3),
    }


def pools(count: int) -> dict[str, Any]:
    """Seconds for the scores of all pools, where FAISS runs best here and on the CPU."""
    generator = np.random.default_rng(2)
    vectors = generator.standard_normal((count * POOL, 512), np.float32)
    queries = generator.standard_normal((16, 512), np.float32)
    parts = [vectors[at : at + POOL] for at in range(0, len(vectors), POOL)]
    exact_scores(queries, parts[0])
    start = time.perf_counter()
    for part in parts:
        exact_scores(queries, part)
    middle = time.perf_counter()
    for part in parts:
        faiss.knn(queries, part, POOL, metric=faiss.METRIC_INNER_PRODUCT)
    ours, cpu = middle - start, time.perf_counter() - middle
    return {
        "pools": count,
        "seconds": round(ours, 3),
        "cpu_seconds": round(cpu, 3),
        "ratio": round(cpu / ours, 3),
    }


if __name__ == "__main__":
    main()
