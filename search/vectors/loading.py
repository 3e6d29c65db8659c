"""Load an open_clip model, with every way in which that fails put in a line or two."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import hashlib
import importlib.util
import logging
import pickle
import socket
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from ...core.errors import MissingExtraError, ModelError, import_failure
from .encoder import Encoder
from .models import HUB, LOCAL, ModelId, fingerprint

logger = logging.getLogger(__name__)

HUB_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
"""What open_clip looks for in a hub's repository."""

FETCH = (
    "connect once so that it lands in the cache, copy another machine's cache (HF_HOME), or name a folder "
    "that contains it: local-dir:PATH"
)


def load_encoder(model: ModelId, *, device: str = "auto", batch: int = 64) -> Encoder:
    """Load ``model`` for encoding; ``device`` is auto (cuda, else mps, else cpu) or a torch device.

    Raises ModelError where the model isn't known, its activation differs from its weights' (QuickGELU), its
    weights can't be had, or the device isn't there; MissingExtraError without open_clip.
    """
    try:
        import open_clip
        import torch
        from open_clip.transform import PreprocessCfg, image_transform_v2
    except ImportError as error:
        raise import_failure(error, "encoding texts and images", "cpu") from error
    where = choose_device(device)
    check_name(model)
    check_activation(model)
    weights = fingerprint(model)
    logger.info("loading %s on %s", model, where)
    local = model.name.startswith(LOCAL)
    with contextlib.nullcontext() if local else _hub(), _translated(model):
        network: Any = open_clip.create_model(
            model.name, model.pretrained or None, precision="fp32", device="cpu", require_pretrained=True
        )
        tokenizer: Any = open_clip.get_tokenizer(model.name, context_length=network.context_length)
    network = network.eval().requires_grad_(False)
    weights = weights or hash_state(network)
    transform: Any = image_transform_v2(PreprocessCfg(**network.visual.preprocess_cfg), is_train=False)
    encoder = wrap(network.to(torch.device(where)), tokenizer, transform, model=model, batch=batch)
    return dataclasses.replace(encoder, weights=weights)


def wrap(
    network: Any, tokenizer: Any, transform: Callable[[Any], Any], *, model: ModelId, batch: int = 64
) -> Encoder:
    """An encoder around an open_clip network that is already made; its weights have no fingerprint yet."""
    import torch

    context = int(network.context_length)
    device = str(next(network.parameters()).device)
    with torch.inference_mode():
        probe = network.encode_text(tokenizer([""]).to(device))
    return Encoder(
        model=model,
        weights="",
        dimension=int(probe.shape[-1]),
        context=context,
        device=device,
        batch=batch,
        preprocess=transform,
        network=network,
        tokenizer=tokenizer,
    )


def check(model: ModelId) -> str:
    """The fingerprint of a local model's weights, else ""; ModelError as :func:`load_encoder` would raise it.

    Loads and fetches nothing: whether a hub has the weights is :func:`find_weights`'s question.
    """
    if importlib.util.find_spec("open_clip") is None:
        raise MissingExtraError("encoding texts and images", "cpu")
    check_name(model)
    check_activation(model)
    return fingerprint(model)


def find_weights(model: ModelId) -> str:
    """Where the model's weights are, in words: a local file, the cache, or the hub; ModelError if nowhere.

    Checks name, tag and activation too; loads and fetches nothing.
    """
    try:
        from huggingface_hub import constants
    except ImportError as error:
        raise import_failure(error, "encoding texts and images", "cpu") from error
    there = local_weights(model)
    if there:
        return there
    if constants.HF_HUB_OFFLINE:
        raise ModelError(f"{model}: not in the cache, and HF_HUB_OFFLINE is set; {FETCH}")
    logger.warning("looking for %s at %s; HF_HUB_OFFLINE=1 spares that", model, constants.ENDPOINT)
    if _reachable(constants.ENDPOINT):
        return f"{model}: not in the cache; {constants.ENDPOINT} can be reached"
    raise ModelError(f"{model}: not in the cache, and {constants.ENDPOINT} can't be reached; {FETCH}")


def local_weights(model: ModelId) -> str:
    """Where on this machine the model's weights are, in words; "" where they aren't. Asks no host.

    ModelError as :func:`load_encoder` would raise it of name, tag and activation.
    """
    try:
        import open_clip
        from huggingface_hub import try_to_load_from_cache
    except ImportError as error:
        raise import_failure(error, "encoding texts and images", "cpu") from error
    if check(model):
        return f"{model}: weights there"
    config: Any = open_clip.get_pretrained_cfg(model.name, model.pretrained)
    place = model.name.removeprefix(HUB) if model.name.startswith(HUB) else config.get("hf_hub", "")
    repository, _, file = place.rpartition("/") if place.count("/") > 1 else (place, "", "")
    for weights in (file,) if file else HUB_WEIGHTS:
        cached = try_to_load_from_cache(repository, weights) if repository else None
        if isinstance(cached, str):
            return f"{model}: in the cache ({cached})"
    return ""


def choose_device(device: str) -> str:
    """The torch device that ``device`` names: auto = cuda, else mps, else cpu; ModelError without it."""
    import torch

    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if device == "auto":
        return "cuda" if has_cuda else "mps" if has_mps else "cpu"
    kind, _, number = device.partition(":")
    there = {"cpu": True, "cuda": has_cuda, "mps": has_mps}
    if kind not in there:
        raise ModelError(f"unknown device {device!r}; use auto, cpu, cuda, cuda:N or mps")
    if not there[kind] or (kind == "cuda" and number and int(number) >= torch.cuda.device_count()):
        raise ModelError(f"device {device!r} isn't there; set model.device to auto or cpu")
    return device


def check_name(model: ModelId) -> None:
    """Raise ModelError, naming the nearest known ones, for an architecture or tag that open_clip lacks."""
    if model.name.startswith((LOCAL, HUB)):
        return
    import open_clip

    names = open_clip.list_models()
    if model.name not in names:
        raise ModelError(f"open_clip has no model {model.name!r}{_nearest(model.name, names)}")
    if not model.pretrained:
        raise ModelError(
            f"model {model.name} needs weights: set model.pretrained to a tag or a checkpoint's path"
        )
    if "/" in model.pretrained:
        return
    tags = open_clip.list_pretrained_tags_by_model(model.name)
    if not open_clip.get_pretrained_cfg(model.name, model.pretrained):
        base = model.name.removesuffix("-quickgelu")
        others = open_clip.list_pretrained_models_by_tag(model.pretrained)
        sibling = next((name for name in (base, f"{base}-quickgelu") if name in others), "")
        near = f"; use model {sibling}" if sibling else _nearest(model.pretrained, tags)
        raise ModelError(f"{model.name} has no weights {model.pretrained!r}{near}")


def check_activation(model: ModelId) -> None:
    """Raise ModelError where architecture and weights differ in QuickGELU: every score would be off.

    open_clip only warns. Weights given as a file say nothing about it, and local-dir: and hf-hub: bring
    their own architecture.
    """
    if model.name.startswith((LOCAL, HUB)) or "/" in model.pretrained:
        return
    import open_clip

    has = bool((open_clip.get_model_config(model.name) or {}).get("quick_gelu", False))
    wants = bool(open_clip.get_pretrained_cfg(model.name, model.pretrained).get("quick_gelu", False))
    if has == wants:
        return
    base = model.name.removesuffix("-quickgelu")
    other = f"{base}-quickgelu" if wants else base
    words = {True: "QuickGELU", False: "GELU"}
    remedy = f"use model {other}" if other in open_clip.list_models() else "use other weights"
    raise ModelError(
        f"model {model.name} computes {words[has]}, its weights {model.pretrained} were trained with "
        f"{words[wants]}: every score would be off; {remedy}"
    )


def hash_state(network: Any) -> str:
    """The sha256 of a network's parameters and buffers on the host: names, shapes, types and values."""
    total = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        total.update(f"{name} {tuple(values.shape)} {values.dtype}\n".encode())
        total.update(memoryview(values.reshape(-1).numpy()).cast("B"))
    return total.hexdigest()


def _nearest(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else f"; known: {', '.join(names[:12])} …"


@contextlib.contextmanager
def _translated(model: ModelId) -> Generator[None, None, None]:
    """Turn what the libraries raise while they load ``model`` into one ModelError."""
    from safetensors import SafetensorError

    try:
        yield
    except (
        OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, ImportError, AssertionError,
        EOFError, pickle.UnpicklingError, SafetensorError,
    ) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:300]
        if model.name.startswith(LOCAL) or "/" in model.pretrained:
            remedy = "check that weights and config belong together"
        elif "transformers" in reason:
            remedy = "pip install transformers"
        else:
            remedy = FETCH
        raise ModelError(f"can't load {model}: {reason}; {remedy}") from error


@contextlib.contextmanager
def _hub() -> Generator[None, None, None]:
    """Load from the cache alone when the hub can't be reached, instead of asking it for 45 seconds.

    Also keeps open_clip's remarks to the root logger out of the output: what matters comes as an error.
    """
    from huggingface_hub import constants

    def ours(record: logging.LogRecord) -> bool:
        return Path(record.pathname).parent.name != "open_clip"

    offline = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = offline or not _reachable(constants.ENDPOINT)
    logging.getLogger().addFilter(ours)
    try:
        yield
    finally:
        logging.getLogger().removeFilter(ours)
        constants.HF_HUB_OFFLINE = offline


def _reachable(endpoint: str, seconds: float = 3.0) -> bool:
    """Whether a connection to the hub can be opened; taken for granted behind a proxy."""
    if urllib.request.getproxies():
        return True
    parts = urllib.parse.urlsplit(endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=seconds).close()
    except OSError:
        return False
    return True
