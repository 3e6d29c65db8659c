"""Loading models, exact trimming, decoding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from captrawl.core.errors import InputError, ModelError
from captrawl.search.vectors import decode
from captrawl.search.vectors.encoder import Encoder
from captrawl.search.vectors.loading import (
    check_activation,
    check_name,
    choose_device,
    find_weights,
    hash_state,
    load_encoder,
    wrap,
)
from captrawl.search.vectors.models import MODELS, ModelId, fingerprint, resolve
from captrawl.search.vectors.text_tower import text_tower
from PIL import Image

TEXTS = [
    "", None, "a dog", "A dog, running in the park &amp; barking", "💥", "naïve café", "x" * 300,
    "<end_of_text> after the end", "word " * 200, "a dog",
]  # fmt: skip


def full_length(encoder: Encoder, texts: list[str | None]) -> np.ndarray:
    """open_clip's own encode_text, all positions."""
    import torch

    with torch.inference_mode():
        parts = [
            encoder.network.encode_text(
                encoder.tokenizer([text or "" for text in texts[at : at + 64]]), normalize=True
            )
            for at in range(0, len(texts), 64)
        ]
    return torch.cat(parts).numpy()


class TestTrimming:
    @pytest.mark.parametrize(
        ("changes", "trims"),
        [
            ({}, True),
            ({"quick_gelu": True}, True),
            ({"custom_text": True}, True),
            ({"custom_text": True, "text_cfg": {"proj_bias": True}}, True),
            ({"text_cfg": {"pool_type": "eos", "eos_id": 49407}}, True),
            ({"text_cfg": {"proj_type": "none", "width": 16}}, True),
            ({"text_cfg": {"qk_norm": True}}, True),
            ({"custom_text": True, "text_cfg": {"no_causal_mask": True}}, False),
            ({"custom_text": True, "text_cfg": {"no_causal_mask": True, "pool_type": "last"}}, False),
            ({"custom_text": True, "text_cfg": {"embed_cls": True}}, False),
            ({"text_cfg": {"pool_type": "last"}}, False),
        ],
    )
    def test_every_kind_of_tower_gives_what_open_clip_gives(self, make_model, changes, trims):
        encoder = load_encoder(resolve(f"local-dir:{make_model(**changes)}"), batch=3)
        assert (text_tower(encoder.network) is not None) is trims
        ours = encoder.encode_texts(TEXTS)
        np.testing.assert_allclose(ours, full_length(encoder, TEXTS), atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-6)
        assert np.abs(ours[2] - ours[3]).max() > 0.01

    def test_input_order_and_progress(self, tiny_model):
        encoder = load_encoder(resolve(f"local-dir:{tiny_model}"), batch=2)
        texts = [f"{'long ' * (n % 13)}text {n}" for n in range(50)]
        told: list[tuple[int, int]] = []
        together = encoder.encode_texts(texts, lambda _, done, total: told.append((done, total)))
        alone = np.concatenate([encoder.encode_texts([text]) for text in texts])
        np.testing.assert_allclose(together, alone, atol=1e-5)
        assert told[-1] == (50, 50)
        assert encoder.encode_texts([]).shape == (0, 16)

    def test_batches_are_bounded(self, tiny_model, monkeypatch):
        encoder = load_encoder(resolve(f"local-dir:{tiny_model}"), batch=4)
        monkeypatch.setattr("captrawl.search.vectors.tokenizing.TEXT_BLOCK", 64)
        texts = ["word " * (n % 25) for n in range(200)]
        batches = [
            (len(indices), max(len(texts[at].split()) for at in indices))
            for indices, _ in encoder.text_batches(texts)
        ]
        assert sum(size for size, _ in batches) == 200
        for size, words in batches:
            assert size <= 32
            assert size <= 4 or size * min(words + 2, 20) <= 4 * 20
        assert max(size for size, _ in batches) > 4


@pytest.mark.data
def test_trimming_on_real_captions_is_exact(data_folder):
    captions = pq.read_table(data_folder / "data/captions/part-00000.parquet", columns=["TEXT"])["TEXT"]
    texts = captions.slice(0, 200).to_pylist()
    encoder = load_encoder(resolve(f"local-dir:{data_folder}/models/captrawl-small"))
    assert (encoder.dimension, encoder.context) == (512, 32)
    assert np.abs(encoder.encode_texts(texts) - full_length(encoder, texts)).max() < 1e-5


@pytest.mark.data
def test_real_photos_match_their_captions(data_folder):
    encoder = load_encoder(resolve(f"local-dir:{data_folder}/models/captrawl-small"))
    rows = pq.read_table(data_folder / "data/photos/captioned.parquet").to_pylist()
    names = list(dict.fromkeys(row["path"] for row in rows))[:40]
    first = {row["path"]: row["caption"] for row in reversed(rows)}
    images = encoder.encode_images([data_folder / "data/photos" / name for name in names])
    captions = encoder.encode_texts([first[name] for name in names])
    ranks = (images @ captions.T).argsort(axis=0)[::-1].T
    in_first_five = [at in order[:5] for at, order in enumerate(ranks)]
    assert np.mean(in_first_five) > 0.6


class TestImages:
    def test_pixels_are_those_of_the_models_transform(self, tiny_model, picture, tmp_path):
        import torch

        encoder = load_encoder(resolve(f"local-dir:{tiny_model}"), batch=3)
        paths = [tmp_path / f"{n}.png" for n in range(7)]
        for n, path in enumerate(paths):
            picture(n, (40 + 13 * n, 90 - 5 * n)).convert(["RGB", "L", "RGBA"][n % 3]).save(path)
        ours = encoder.encode_images(paths)
        with torch.inference_mode():
            for path, row in zip(paths, ours, strict=True):
                with Image.open(path) as image:
                    theirs = encoder.network.encode_image(encoder.preprocess(image)[None], normalize=True)
                np.testing.assert_allclose(row, theirs[0], atol=1e-5)

    def test_any_other_transform_runs_whole(self, tiny_model, picture):
        import dataclasses

        encoder = load_encoder(resolve(f"local-dir:{tiny_model}"), batch=3)
        pictures = [picture(n) for n in range(4)]
        opaque = dataclasses.replace(encoder, preprocess=lambda image: encoder.preprocess(image))
        np.testing.assert_allclose(opaque.encode_images(pictures), encoder.encode_images(pictures), atol=1e-6)

    def test_damaged_images_are_told_and_the_others_encoded(self, tiny_model, picture, tmp_path):
        encoder = load_encoder(resolve(f"local-dir:{tiny_model}"), batch=2)
        good = [tmp_path / f"{n}.png" for n in range(3)]
        for n, path in enumerate(good):
            picture(n).save(path)
        cut = tmp_path / "cut.png"
        cut.write_bytes(good[0].read_bytes()[:60])
        text = tmp_path / "text.jpg"
        text.write_text("<html>")
        bomb = tmp_path / "bomb.png"
        Image.new("1", (12_000, 10_000)).save(bomb)
        given = [good[0], cut, text, good[1], tmp_path / "absent.png", bomb, good[2]]
        vectors: dict[int, np.ndarray] = {}
        failed: dict[int, str] = {}
        for batch in encoder.image_batches(given):
            vectors |= dict(zip(batch.indices.tolist(), batch.vectors, strict=True))
            failed |= batch.failed
        assert sorted(vectors) == [0, 3, 6]
        np.testing.assert_allclose(
            np.stack([vectors[at] for at in (0, 3, 6)]), encoder.encode_images(good), atol=1e-5
        )
        assert sorted(failed) == [1, 2, 4, 5]
        assert (failed[2], failed[4], failed[5]) == (
            "not an image",
            "missing file",
            "more than 89,478,485 pixels",
        )
        with pytest.raises(InputError, match=r"cut\.png"):
            encoder.encode_images([cut])
        assert encoder.encode_images([]).shape == (0, 16)

    def test_what_is_in_flight_is_bounded(self):
        import threading

        lock, running, most, begun = threading.Lock(), 0, 0, 0

        def prepare(_: object) -> np.ndarray:
            nonlocal running, most, begun
            with lock:
                running += 1
                begun += 1
                most = max(most, running)
            with lock:
                running -= 1
            return np.zeros(1)

        stream = decode.decoded([object()] * 100, prepare, ahead=8)
        next(stream)
        assert begun <= 9
        stream.close()
        assert begun <= 9
        assert len(list(decode.decoded([object()] * 100, prepare, ahead=8))) == 100
        assert most <= decode.threads()


class TestNames:
    def test_swat_names(self):
        assert {name: (model.name, model.pretrained) for name, model in MODELS.items()} == {
            "vitb32_openclip_laion400m": ("ViT-B-32-quickgelu", "laion400m_e32"),
            "vitb32_openclip_laion2b": ("ViT-B-32", "laion2b_s34b_b79k"),
            "vitb32_clip": ("ViT-B-32-quickgelu", "openai"),
            "vitb16_clip": ("ViT-B-16-quickgelu", "openai"),
        }
        for name, model in MODELS.items():
            assert resolve(name, "whatever") == model
            check_name(model)
            check_activation(model)

    @pytest.mark.parametrize(
        ("name", "pretrained", "model"),
        [
            ("ViT-B/32", "openai", ModelId("ViT-B-32", "openai")),
            ("hf-hub:org/name", "ignored", ModelId("hf-hub:org/name")),
            ("local-dir:m", "ignored", ModelId("local-dir:/base/m")),
            ("local-dir:/abs/m", "", ModelId("local-dir:/abs/m")),
            ("ViT-B-32", "weights.pt", ModelId("ViT-B-32", "/base/weights.pt")),
        ],
    )
    def test_resolve(self, name, pretrained, model):
        assert resolve(name, pretrained, root=Path("/base")) == model

    def test_slugs_are_safe_and_distinct(self):
        assert ModelId("ViT-B-32-quickgelu", "laion400m_e32").slug == "ViT-B-32-quickgelu.laion400m_e32"
        models = [
            ModelId("a", "b_c"), ModelId("a_b", "c"), ModelId("a"), ModelId("local-dir:/m/x"),
            ModelId("local-dir:/n/x"), ModelId("hf-hub:a/b"), ModelId("hf-hub:a-b"), ModelId("local-dir:/ü"),
            ModelId("local-dir:/m/.."), ModelId("ViT-B-32", "/m/w.pt"), ModelId("ViT-B-32", "/n/w.pt"),
            ModelId("local-dir:/" + "x" * 300),
        ]  # fmt: skip
        slugs = [model.slug for model in models]
        assert len(set(slugs)) == len(models)
        for slug in slugs:
            assert len(slug) <= 100
            assert slug[0].isalnum()
            assert all(letter.isalnum() or letter in "._-" for letter in slug)
            assert slug.isascii()

    @pytest.mark.parametrize(
        ("name", "pretrained", "told"),
        [
            ("ViT-B-32", "openai", "computes GELU.*openai.*QuickGELU.*use model ViT-B-32-quickgelu"),
            (
                "ViT-B-32-quickgelu",
                "laion2b_s34b_b79k",
                "has no weights 'laion2b_s34b_b79k'; use model ViT-B-32$",
            ),
            ("ViT-B-16", "openai", "use model ViT-B-16-quickgelu"),
            ("ViT-B-33", "openai", "no model 'ViT-B-33'; did you mean ViT-B-32"),
            ("ViT-B-32", "laion400", "no weights 'laion400'; did you mean laion400m_e32"),
            ("ViT-B-32", "", "needs weights"),
            ("local-dir:/nowhere", "", "/nowhere isn't an open_clip model"),
            ("ViT-B-32", "/nowhere/w.pt", "/nowhere/w.pt .*aren't there"),
            ("", "", "has no name"),
            ("local-dir:", "", "lacks the folder"),
        ],
    )
    def test_refusals(self, name, pretrained, told):
        with pytest.raises(ModelError, match=told):
            load_encoder(resolve(name, pretrained))
        with pytest.raises(ModelError, match=told):
            find_weights(resolve(name, pretrained))


class TestLoading:
    def test_weights_without_a_hub(self, monkeypatch, tmp_path):
        """No cache and no way to the hub: one clear error, at once."""
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr("urllib.request.getproxies", dict)
        for name, tag in (("ViT-B-32-quickgelu", "laion400m_e32"), ("hf-hub:org/name", "")):
            with pytest.raises(ModelError, match=r"connect once .* local-dir:PATH"):
                load_encoder(resolve(name, tag))
            with pytest.raises(
                ModelError, match=r"not in the cache, and http://127.0.0.1:9 can't be reached"
            ):
                find_weights(resolve(name, tag))
        assert not constants.HF_HUB_OFFLINE
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        monkeypatch.setattr("socket.create_connection", None)  # nobody is asked
        with pytest.raises(ModelError, match="not in the cache, and HF_HUB_OFFLINE is set"):
            find_weights(resolve(name, tag))

    def test_fingerprint_follows_the_files(self, make_model):
        folder = make_model(seed=3)
        model = resolve(f"local-dir:{folder}")
        first = fingerprint(model)
        assert load_encoder(model).weights == first
        assert fingerprint(resolve(f"local-dir:{make_model(seed=3)}")) == first
        (folder / "README.md").write_text("words")
        assert fingerprint(model) == first
        config = folder / "open_clip_config.json"
        config.write_text(config.read_text().replace('"heads": 2', '"heads": 4'))
        assert fingerprint(model) != first
        assert fingerprint(ModelId("ViT-B-32", "openai")) == ""

    def test_state_hash_follows_the_values(self, make_model):
        one, same, other = (
            hash_state(load_encoder(resolve(f"local-dir:{make_model(seed=seed)}")).network)
            for seed in (1, 1, 2)
        )
        assert one == same != other

    @pytest.mark.parametrize("damage", ["cut", "other architecture", "no weights", "bad config"])
    def test_damaged_folders(self, make_model, damage):
        folder = make_model()
        weights, config = folder / "open_clip_model.safetensors", folder / "open_clip_config.json"
        if damage == "cut":
            weights.write_bytes(weights.read_bytes()[:1000])
        elif damage == "other architecture":
            config.write_text(config.read_text().replace('"width": 32', '"width": 64'))
        elif damage == "no weights":
            weights.unlink()
        else:
            config.write_text("{")
        with pytest.raises(ModelError, match=folder.name):
            load_encoder(resolve(f"local-dir:{folder}"))

    def test_weights_that_are_no_numbers(self, make_model):
        from safetensors.torch import load_file, save_file

        folder = make_model()
        state = load_file(folder / "open_clip_model.safetensors")
        state["visual.proj"][:] = float("nan")
        save_file(state, folder / "open_clip_model.safetensors")
        with pytest.raises(ModelError, match="aren't numbers"):
            load_encoder(resolve(f"local-dir:{folder}")).encode_images([Image.new("RGB", (40, 40))])

    def test_devices(self):
        import torch

        assert choose_device("cpu") == "cpu"
        assert choose_device("auto") in ("cpu", "cuda", "mps")
        with pytest.raises(ModelError, match="unknown device 'tpu'"):
            choose_device("tpu")
        if not torch.cuda.is_available():
            with pytest.raises(ModelError, match="device 'cuda' isn't there"):
                choose_device("cuda")

    def test_a_network_made_elsewhere(self):
        import open_clip

        network = open_clip.create_model("ViT-S-32", load_weights=False).eval()
        encoder = wrap(
            network, open_clip.get_tokenizer("ViT-S-32"), lambda image: image, model=ModelId("ViT-S-32")
        )
        assert (encoder.dimension, encoder.context, encoder.device) == (384, 77, "cpu")
        np.testing.assert_allclose(encoder.encode_texts(TEXTS), full_length(encoder, TEXTS), atol=1e-5)


def test_torch_and_faiss_share_a_process_in_either_order():
    import subprocess
    import sys

    work = (
        "x=np.random.default_rng(0).standard_normal((2000,64)).astype('f4');"
        "i=faiss.IndexFlatIP(64);i.add(x);i.search(x[:50],5);torch.mm(torch.randn(300,300),torch.randn(300,300));"
        "i.search(x[:50],5);faiss.Kmeans(64,8,seed=1).train(x);print('well')"
    )
    for first in ("import torch, faiss, numpy as np;", "import faiss, torch, numpy as np;"):
        done = subprocess.run(
            [sys.executable, "-c", first + work], capture_output=True, text=True, timeout=120
        )
        assert (done.returncode, done.stdout.strip()[-4:]) == (0, "well"), done.stderr
