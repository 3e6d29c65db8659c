"""Other senses of names from a language model: the real client against a server on loopback."""

from __future__ import annotations

import json
import re
from typing import Any

from captrawl.classes.files import load_classes, save_classes
from captrawl.search.synonyms.asking import Outcome
from captrawl.search.synonyms.llm import ModelServer
from captrawl.search.synonyms.senses import senses
from captrawl.workspace.workspace import Workspace

ANSWERS = {
    "crane": ["crane, a machine", "Crane", "crane, a paper bird", "crane, a machine"],
    "bat": ["bat, a club"],
    "owl": [],
}


def by_name(language: Any) -> Any:
    def answer(request: dict[str, Any]) -> Any:
        name = re.search("by the words '([^']+)'", request["messages"][-1]["content"])[1]
        return language.reply(json.dumps({"synonyms": ANSWERS[name]}))

    return language.start(answer)


def ask(workspace: Workspace, server: Any, **options: Any) -> Outcome:
    return senses(
        workspace, ModelServer("fake", server.url, backoff=0.01, timeout=5.0), domain="an animal", **options
    )


def by_class(workspace: Workspace) -> dict[str, tuple[str, ...]]:
    return {entry.name: entry.other_senses for entry in load_classes(workspace.classes_path())}


def test_what_the_names_mean_besides(language: Any, task: Any) -> None:
    workspace, server = task("crane", "bat", "owl"), by_name(language)
    outcome = ask(workspace, server)
    assert (outcome.use.questions, outcome.added, outcome.failed, outcome.refused) == (3, 3, {}, {})
    crane = ("crane, a machine", "crane, a paper bird")
    assert by_class(workspace) == {"crane": crane, "bat": ("bat, a club",), "owl": ()}
    before = workspace.classes_path().read_bytes()
    assert ask(workspace, server).use.questions == 0
    assert workspace.classes_path().read_bytes() == before
    assert len(server.requests) == 4  # an empty list is asked for once more, in words


def test_a_sense_that_a_person_deleted_stays_away(language: Any, task: Any) -> None:
    workspace, server = task("crane", "bat"), by_name(language)
    ask(workspace, server)
    crane, bat = load_classes(workspace.classes_path())
    crane.extra["not"].remove("crane, a machine")
    save_classes((crane, bat), workspace.classes_path())
    assert ask(workspace, server, again=True).added == 0
    assert by_class(workspace)["crane"] == ("crane, a paper bird",)


def test_a_class_without_an_answer_is_asked_by_the_next_run(language: Any, task: Any) -> None:
    workspace = task("crane", "bat")
    broken = language.start(lambda _: language.reply("", status=500))
    outcome = senses(workspace, ModelServer("fake", broken.url, backoff=0.01, timeout=5.0, retries=0))
    assert (set(outcome.failed), outcome.added) == ({0, 1}, 0)
    assert by_class(workspace) == {"crane": (), "bat": ()}
    assert ask(workspace, by_name(language)).added == 3


def test_the_command(language: Any, task: Any, captrawl: Any) -> None:
    workspace, server = task("crane", "owl"), by_name(language)
    options = ("-C", workspace.root, "synonyms", "--senses", "--base-url", server.url, "--model", "fake")
    done = captrawl(*options, "--dry-run")
    assert "by the words 'crane' in captions" in done.stdout
    assert server.requests == []
    done = captrawl(*options)
    assert done.stdout == "0 crane is not: crane, a machine; crane, a paper bird\n"
    assert "2 other senses added" in done.stderr
    done = captrawl(*options, "--json")
    assert json.loads(done.stdout)["senses"] == {"0": ["crane, a machine", "crane, a paper bird"], "1": []}
    assert captrawl(*options, "--review", check=False).returncode == 2
