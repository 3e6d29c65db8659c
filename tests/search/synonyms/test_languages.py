"""Names in other languages: asked for, kept with the language, judged only by models that read it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from captrawl.classes.files import load_classes
from captrawl.core.errors import InputError
from captrawl.search.synonyms.ask import pending_questions, synonyms
from captrawl.search.synonyms.languages import is_multilingual, languages_of
from captrawl.search.synonyms.llm import ModelServer
from captrawl.search.synonyms.names import clean_names, word_count
from captrawl.search.synonyms.text_filter import filter_synonyms, unfiltered
from captrawl.search.vectors.models import ModelId

ANSWERS = {
    "German": ["Schleie", "Schusterfisch", "tench"],
    "Japanese": [
        "テンチ",
        "魚",
        "コイ科の淡水魚で背中が緑色をしていて食用になる大きな魚のこと",
    ],
    "English": ["doctor fish"],
}


class AnyEncoder:
    """Says of every text that it is nearest to another class."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode_texts(self, texts: Any, progress: Any = None) -> Any:
        self.texts += texts
        vectors = np.zeros((len(texts), 2), np.float32)
        vectors[np.arange(len(texts)), [0 if "tench" in text else 1 for text in texts]] = 1
        return vectors


def asked(language: Any, workspace: Any, *codes: str) -> Any:
    def script(body: dict[str, Any]) -> Any:
        text = body["messages"][-1]["content"]
        name = next(name for name in ANSWERS if f"Give {name} names only" in text)
        return language.reply(json.dumps({"synonyms": ANSWERS[name]}, ensure_ascii=False))

    server = language.start(script)
    model = ModelServer("fake", server.url, backoff=0.01, timeout=5.0)
    outcome = synonyms(workspace, model, domain="a fish", languages=codes)
    return outcome, server, model


def test_names_are_kept_with_their_language_and_asked_once(language: Any, task: Any) -> None:
    workspace = task("tench", "eel")
    outcome, server, model = asked(language, workspace, "de", "ja")
    assert len(server.requests) == 4
    assert "ways of referring to a fish, i.e. tench in German?" in "".join(
        request["messages"][-1]["content"] for request in server.requests
    )
    assert outcome.refused == {}
    tench = load_classes(workspace.classes_path())[0]
    assert [(s.text, s.match, s.prompt, s.reason) for s in tench.synonyms] == [
        ("tench", True, True, ""),
        ("Schleie", True, False, "de"),
        ("Schusterfisch", True, False, "de"),
        ("テンチ", True, False, "ja"),
        ("魚", False, False, "too short: under 2 letters"),
    ]
    assert pending_questions(workspace, model, "a fish", languages=("de", "ja")) == []
    assert len(pending_questions(workspace, model, "a fish", languages=("de", "en"))) == 2
    asked(language, workspace, "en")
    tench = load_classes(workspace.classes_path())[0]
    assert tench.prompt_names() == ("tench", "doctor fish")
    assert [s.reason for s in tench.synonyms if s.match] == ["", "de", "de", "ja", ""]


def test_only_a_model_that_reads_them_judges_them(language: Any, task: Any) -> None:
    workspace = task("tench", "eel")
    asked(language, workspace, "de")
    encoder = AnyEncoder()
    assert not unfiltered(workspace)
    assert filter_synonyms(workspace, encoder, everything=True)
    assert not any("Schleie" in text for text in encoder.texts)
    assert "Schleie" in load_classes(workspace.classes_path())[0].match_phrases()
    model = {"name": "xlm-roberta-base-ViT-B-32", "pretrained": "laion5b_s13b_b90k"}
    workspace = workspace.overriding({"model": model})
    assert unfiltered(workspace)
    filter_synonyms(workspace, encoder)
    tench, eel = load_classes(workspace.classes_path())
    assert "Schleie" not in tench.match_phrases()
    assert "nearer to class 1 (eel)" in tench.synonyms[1].reason
    assert "Schleie" in eel.match_phrases()


@pytest.mark.parametrize(
    ("model", "multilingual"),
    [
        (ModelId("ViT-B-32", "laion400m_e32"), False),
        (ModelId("ViT-L-14", "openai"), False),
        (ModelId("xlm-roberta-base-ViT-B-32", "laion5b_s13b_b90k"), True),
        (ModelId("nllb-clip-base-siglip", "v1"), True),
        (ModelId("ViT-B-16-SigLIP-i18n-256", "webli"), True),
        (ModelId("ViT-B-16-SigLIP", "webli"), False),
        (ModelId("ViT-B-16-SigLIP2", "webli"), True),
        (ModelId("ViT-H-14-worldwide-quickgelu", "metaclip2_worldwide"), True),
    ],
)
def test_which_models_read_many_languages(model: ModelId, multilingual: bool) -> None:
    assert is_multilingual(model) is multilingual


def test_languages_are_named_by_their_codes() -> None:
    assert languages_of("de, JA,de") == ("de", "ja")
    assert languages_of("") == ("en",)
    with pytest.raises(InputError, match="--languages dee: no such language"):
        languages_of("de,dee")


def test_names_in_other_scripts_are_no_sentences() -> None:
    assert word_count("ゴールデンレトリバー") == 4
    assert word_count("golden retriever") == 2
    assert clean_names(["ゴールデンレトリバー", "собака"], english=False)[0] == [
        "ゴールデンレトリバー",
        "собака",
    ]
    assert [one.reason for one in clean_names(["собака"])[1]] == ["not English: letters that aren't Latin"]
