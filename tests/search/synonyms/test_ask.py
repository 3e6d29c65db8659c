"""Synonyms from a language model: the real client against a server on loopback with every bad habit."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from captrawl.classes.files import load_classes, save_classes
from captrawl.classes.model import ClassEntry, Synonym, named
from captrawl.cli import app
from captrawl.core.errors import ClassListError, InputError, LanguageModelError
from captrawl.demo.run import MODEL
from captrawl.search.synonyms.ask import JOURNAL, Outcome, pending_questions, synonyms
from captrawl.search.synonyms.journal import Journal
from captrawl.search.synonyms.llm import ModelServer
from captrawl.search.synonyms.questions import PRICES, Use, estimate, questions
from captrawl.workspace.workspace import Workspace

SECRET = "sk-secret-0123456789"
Task = Callable[..., Workspace]


def texts(workspace: Workspace) -> dict[str, list[str]]:
    return {e.name: [s.text for s in e.synonyms if s.kept] for e in load_classes(workspace.classes_path())}


def removed(workspace: Workspace) -> dict[str, dict[str, str]]:
    entries = load_classes(workspace.classes_path())
    return {e.name: {s.text: s.reason for s in e.synonyms if not s.kept} for e in entries}


def ask(workspace: Workspace, url: str, *, again: bool = False, **options: Any) -> Outcome:
    server = ModelServer("fake", url, **{"backoff": 0.01, "timeout": 5.0, "concurrency": 4, **options})
    return synonyms(workspace, server, domain="a fish", again=again)


def names(*given: str) -> str:
    return json.dumps({"synonyms": list(given)})


# Answers ------------------------------------------------------------------------------------------


def test_good_structured_answers(language: Any, task: Task) -> None:
    server = language.by_class(
        {
            "tench": language.reply(names("Doctor fish", "tench", "Tench", "tinca (Tinca tinca)")),
            "eel": language.reply(
                names("elver", "ox", "угорь", "a long fish that looks much like a snake does")
            ),
        }
    )
    workspace = task("tench", "eel")
    outcome = ask(workspace, server.url)
    assert texts(workspace) == {"tench": ["tench", "Doctor fish", "tinca"], "eel": ["eel", "elver"]}
    assert removed(workspace) == {
        "tench": {},
        "eel": {"ox": "too short: under 3 letters", "угорь": "not English: letters that aren't Latin"},
    }
    assert outcome == Outcome(Use(2, 80, 20), answered=0, added=5, refused={}, failed={})
    request = server.requests[0]
    assert request["model"] == "fake"
    assert request["response_format"]["json_schema"]["strict"] is True
    assert request["messages"][-1]["content"].startswith(
        "What are some common ways of referring to a fish, i.e. "
    )
    assert "English names only" in request["messages"][-1]["content"]


def test_a_server_without_schemas_is_asked_for_lists(language: Any, task: Task) -> None:
    def script(request: dict[str, Any]) -> Any:
        if "response_format" in request:
            return language.reply(
                status=400, body=b'{"error": {"message": "response_format is not supported"}}'
            )
        return language.reply("Sure!\n1. Doctor fish\n2) *Tinca tinca*\n")

    server = language.start(script)
    workspace = task("tench", "eel", "carp")
    ask(workspace, server.url, concurrency=1)
    assert texts(workspace)["tench"] == ["tench", "Doctor fish", "Tinca tinca"]
    # one refused request, then lists only
    assert ["response_format" in request for request in server.requests] == [True, False, False, False]
    assert "numbered list" in server.requests[1]["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("first", "wanted"),
    [
        ("Here you are: tench-like names:\n- doctor fish\n- green tench\n", ["doctor fish", "green tench"]),
        ('{"synonyms": ["doctor fish", "green ten', ["doctor fish"]),
        ('```json\n{"synonyms": ["doctor fish"]}\n```', ["doctor fish"]),
        ("doctor fish, green tench, golden tench", ["doctor fish", "green tench", "golden tench"]),
        ('{"synonyms": ["doctor fish", 7, null, ["green tench"]]}', ["doctor fish", "green tench"]),
        ('{"synonyms": ["doctor fish\\ud800", "\\u001b[31mred tench"]}', ["doctor fish", "red tench"]),
    ],
)
def test_answers_that_ignore_the_schema(first: str, wanted: list[str], language: Any, task: Task) -> None:
    workspace = task("tench")
    ask(workspace, language.by_class({"tench": language.reply(first)}).url)
    assert [text.removeprefix("[31m") for text in texts(workspace)["tench"][1:]] == wanted


@pytest.mark.parametrize("first", ["", None, "{}", '{"synonyms": []}', "I have no idea what you mean."])
def test_an_answer_without_names_is_asked_again_plainly(first: str | None, language: Any, task: Task) -> None:
    server = language.by_class({"tench": [language.reply(first), language.reply("1. doctor fish")]})
    workspace = task("tench")
    outcome = ask(workspace, server.url)
    assert texts(workspace)["tench"] == ["tench", "doctor fish"]
    assert ["response_format" in request for request in server.requests] == [True, False]
    assert outcome.use == Use(1, 80, 20)


def test_a_class_that_never_gets_names_is_told_and_asked_by_the_next_run(language: Any, task: Task) -> None:
    server = language.by_class({"tench": language.reply(""), "eel": language.reply(names("elver"))})
    workspace = task("tench", "eel")
    outcome = ask(workspace, server.url)
    assert list(outcome.failed) == [0]
    assert outcome.failed[0] == "the answer is empty"
    assert outcome.use == Use(2, 120, 30)  # both requests for tench were paid for too
    assert texts(workspace) == {"tench": ["tench"], "eel": ["eel", "elver"]}
    server.script = lambda request: language.reply(names("doctor fish"))
    outcome = ask(workspace, server.url)
    assert (outcome.answered, outcome.failed, server.asked("eel")) == (1, {}, 1)
    assert texts(workspace)["tench"] == ["tench", "doctor fish"]


@pytest.mark.parametrize("second", ['{"synonyms": []}', "I know of no other name."])
def test_a_class_that_has_no_other_name_is_answered(second: str, language: Any, task: Task) -> None:
    server = language.by_class({"tench": [language.reply('{"synonyms": []}'), language.reply(second)]})
    workspace = task("tench")
    assert ask(workspace, server.url).failed == {}
    outcome = ask(workspace, server.url)
    assert (outcome.answered, outcome.failed, server.asked("tench")) == (1, {}, 2)
    assert texts(workspace) == {"tench": ["tench"]}


def test_a_refusal_is_told_and_not_asked_again(language: Any, task: Task) -> None:
    server = language.by_class({"tench": language.reply(None, refusal="I can't help with that.")})
    workspace = task("tench")
    assert ask(workspace, server.url).refused == {0: "I can't help with that."}
    assert ask(workspace, server.url).refused == {0: "I can't help with that."}
    assert server.asked("tench") == 1
    server.script = lambda request: language.reply(names("doctor fish"))
    assert ask(workspace, server.url, again=True).refused == {}
    assert texts(workspace)["tench"] == ["tench", "doctor fish"]


def test_a_refusal_in_words_is_an_answer_until_asked_again(language: Any, task: Task) -> None:
    declined = "I'm sorry, but I can't help with names of weapons."
    server = language.by_class({"rifle": language.reply(declined), "eel": language.reply(names("elver"))})
    workspace = task("rifle", "eel")
    outcome = ask(workspace, server.url)
    assert (outcome.refused, outcome.failed, outcome.declined) == ({0: declined}, {}, 1)
    assert texts(workspace) == {"rifle": ["rifle"], "eel": ["eel", "elver"]}
    outcome = ask(workspace, server.url)
    assert (outcome.refused, outcome.declined, outcome.use) == ({0: declined}, 0, Use())
    assert server.asked("rifle") == 2  # with a schema and plainly, by the first run
    ask(workspace, server.url, again=True)
    assert server.asked("rifle") == 4


def test_what_was_answered_is_filtered_where_a_class_is_declined(
    language: Any, task: Task, captrawl: Any
) -> None:
    server = language.by_class(
        {
            "rifle": language.reply("I can't help with that."),
            "mug": language.reply(names("anchor", "drinking mug")),
            "anchor": language.reply(names("ship's anchor")),
        }
    )
    workspace = task("rifle", "mug", "anchor")
    settings = workspace.root / "captrawl.toml"
    settings.write_text(f'{settings.read_text()}[model]\nname = "local-dir:{MODEL}"\npretrained = ""\n')
    line = ["-C", workspace.root, "synonyms", "--base-url", server.url, "--domain", "a fish"]
    done = captrawl(*line, check=False)
    assert done.returncode == 1
    assert "class 0: the model declined (I can't help with that.)" in done.stderr
    assert "3 synonyms filtered" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("captrawl: 1 class declined by gpt-4o-mini")
    assert "anchor" in removed(workspace)["mug"]
    asked = len(server.requests)
    done = captrawl(*line)  # settled: nothing is paid for again
    assert len(server.requests) == asked
    assert "the model declined" in done.stderr


# Failures -----------------------------------------------------------------------------------------

PASSING: dict[str, dict[str, Any]] = {
    "429": {"status": 429, "body": b'{"error": {"message": "slow down"}}'},
    "500": {"status": 500, "body": b"oops"},
    "503": {"status": 503, "body": b'{"error": {"message": "overloaded"}}'},
    "a dropped connection": {"drop": True},
    "an answer that isn't JSON": {"body": b"<html>gateway</html>"},
    "an answer with choices that are none": {"body": b'{"choices": "none"}'},
    "an answer of null": {"body": b"null"},
    "a slow answer": {"text": names("late"), "delay": 1.5},
}


@pytest.mark.parametrize("case", PASSING)
def test_passing_failures_are_waited_out(case: str, language: Any, task: Task) -> None:
    server = language.by_class(
        {"tench": [language.reply(**PASSING[case]), language.reply(names("doctor fish"))]}
    )
    workspace = task("tench")
    outcome = ask(workspace, server.url, timeout=0.5)
    assert texts(workspace)["tench"] == ["tench", "doctor fish"]
    assert (server.asked("tench"), outcome.use.questions) == (2, 1)


def test_retry_after_is_obeyed(language: Any, task: Task) -> None:
    limited = language.reply(status=429, headers={"retry-after": "1"}, body=b'{"error": {"message": "wait"}}')
    times: list[float] = []
    replies = [limited, language.reply(names("doctor fish"))]

    def script(request: dict[str, Any]) -> Any:
        times.append(time.monotonic())
        return replies.pop(0)

    ask(task("tench"), language.start(script).url)
    assert times[1] - times[0] >= 1.0


def test_a_retry_after_of_an_hour_ends_the_run_for_now(language: Any, task: Task) -> None:
    limited = language.reply(
        status=429, headers={"retry-after": "3600"}, body=b'{"error": {"message": "wait"}}'
    )
    server = language.by_class({"eel": language.reply(names("elver")), "tench": limited})
    workspace = task("eel", "tench")
    with pytest.raises(LanguageModelError, match="come back in 3600 s") as raised:
        ask(workspace, server.url, concurrency=1)
    assert "(1 answers came before that and are kept: 40 tokens in, 10 out)" in str(raised.value)
    assert texts(workspace)["eel"] == ["eel", "elver"]  # what was answered is there


def test_a_server_that_is_gone_is_one_clear_error(language: Any, task: Task) -> None:
    server = language.start(lambda request: language.reply(status=500, body=b"x"))
    url = server.url
    server.close()
    language.servers.clear()
    workspace = task(*(f"fish {i}" for i in range(40)))
    with pytest.raises(LanguageModelError, match="questions in a row have no answer") as raised:
        ask(workspace, url, retries=1, concurrency=2)
    assert url in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_what_failed_is_said_with_the_remedy(language: Any, task: Task) -> None:
    server = language.by_class(
        {
            "tench": language.reply(names("late"), delay=1.0),
            "eel": language.reply(status=502, body=b"<html>none</html>"),
            "carp": language.reply(body=b"<html>hello</html>"),
            "ide": language.reply(status=500, body=b'{"error": {"message": "none of the workers is up"}}'),
        }
    )
    outcome = ask(task("tench", "eel", "carp", "ide"), server.url, timeout=0.3, retries=0, concurrency=8)
    assert list(outcome.failed) == [0, 1, 2, 3]
    assert outcome.failed[0] == f"{server.url} gave no answer in 0.3 s (--timeout)"
    assert outcome.failed[1] == f"HTTP 502 from {server.url}"
    assert outcome.failed[2].startswith(f"{server.url} answered with no chat completion (Expecting value")
    assert outcome.failed[3] == "HTTP 500: none of the workers is up"


def test_a_refused_connection_says_why(task: Task) -> None:
    failed = ask(task("tench"), "http://127.0.0.1:9/v1", retries=1).failed[0]
    assert failed.startswith("no connection to http://127.0.0.1:9/v1: [Errno")
    assert failed.endswith("(2 times)")


FATAL = {
    "no key": (401, "refuses the key (HTTP 401)"),
    "forbidden": (403, "refuses the key (HTTP 403)"),
    "no model": (404, "has no model 'fake'"),
}


@pytest.mark.parametrize("case", FATAL)
def test_what_no_retry_helps_ends_the_run_at_once(case: str, language: Any, task: Task) -> None:
    status, wanted = FATAL[case]
    body = json.dumps({"error": {"message": f"bad key {SECRET}"}}).encode()
    server = language.start(lambda request: language.reply(status=status, body=body))
    workspace = task("tench", "eel", "carp")
    with pytest.raises(LanguageModelError) as raised:
        ask(workspace, server.url, concurrency=1)
    assert wanted in str(raised.value)
    assert len(server.requests) <= 2  # at most the one that was under way


def test_no_quota_ends_the_run(language: Any, task: Task) -> None:
    body = b'{"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}'
    server = language.start(lambda request: language.reply(status=429, body=body))
    with pytest.raises(LanguageModelError, match="no quota left"):
        ask(task("tench"), server.url)
    assert len(server.requests) == 1


def test_a_question_the_server_refuses_fails_alone(language: Any, task: Task) -> None:
    bad = language.reply(status=400, body=b'{"error": {"message": "content policy"}}')
    server = language.by_class({"tench": bad, "eel": language.reply(names("elver"))})
    workspace = task("tench", "eel")
    assert ask(workspace, server.url).failed == {0: "HTTP 400: content policy"}
    assert texts(workspace)["eel"] == ["eel", "elver"]


def test_a_key_is_needed_for_openai_and_never_shown(
    language: Any, task: Task, monkeypatch: pytest.MonkeyPatch, captrawl: Any
) -> None:
    workspace = task("tench")
    with pytest.raises(LanguageModelError, match="no OPENAI_API_KEY"):
        synonyms(workspace, ModelServer())
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    body = json.dumps({"error": {"message": f"bad request with {SECRET}"}}).encode()
    server = language.start(lambda request: language.reply(status=400, body=body))
    assert SECRET not in str(ask(workspace, server.url).failed)
    assert set(server.keys) == {f"Bearer {SECRET}"}
    server.script = lambda request: language.reply(names("doctor fish"))
    done = captrawl(
        "-v", "-C", workspace.root, "synonyms", "--no-filter", "--base-url", server.url, "--model", "fake"
    )
    held = b"".join(path.read_bytes() for path in workspace.root.rglob("*") if path.is_file())
    assert SECRET not in done.stdout + done.stderr + held.decode()
    assert texts(workspace)["tench"] == ["tench", "doctor fish"]


def test_a_key_in_an_answer_is_not_stored(language: Any, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    server = language.start(lambda request: language.reply(names("tench fish", f"fish {SECRET}")))
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    workspace = task("tench")
    ask(workspace, server.url)
    assert texts(workspace)["tench"] == ["tench", "tench fish", "fish …"]
    assert SECRET not in (workspace.root / JOURNAL).read_text()


def test_a_placeholder_of_a_key_is_no_secret(
    language: Any, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    workspace = task("tench")
    ask(workspace, language.start(lambda request: language.reply(names("x-ray tench"))).url)
    assert texts(workspace)["tench"] == ["tench", "x-ray tench"]


@pytest.mark.parametrize("key", ["schlüssel", "sk-1234\n", "sk 1234"])
def test_a_key_that_is_none_is_told_and_not_shown(
    key: str, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(LanguageModelError, match="OPENAI_API_KEY contains a space") as raised:
        ask(task("tench"), "http://127.0.0.1:9/v1")
    assert key.strip() not in str(raised.value)


def test_an_address_that_is_none(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = task("tench")
    for address in ("localhost:1", "ftp://127.0.0.1", "http://", "http://[::1", "http://127.0.0.1:99999/v1"):
        with pytest.raises(LanguageModelError) as raised:
            ask(workspace, address)
        assert str(raised.value).startswith(f"--base-url {address}: give an http:// or https:// address")
    monkeypatch.setenv("OPENAI_BASE_URL", "nowhere")
    with pytest.raises(LanguageModelError, match=r"^OPENAI_BASE_URL nowhere: give"):
        ask(workspace, "")


def test_a_users_password_in_the_address_is_not_shown() -> None:
    assert ModelServer("m", "http://me:word@host:1/v1").shown() == "http://host:1/v1"


# Many classes, kills ------------------------------------------------------------------------------


def test_nothing_is_asked_for_a_list_that_is_not_written_over(language: Any, task: Task) -> None:
    server = language.start(lambda request: language.reply(names("doctor fish")))
    workspace = task("tench")
    (workspace.root / "names.txt").write_text("tench\n")
    settings = workspace.root / "captrawl.toml"
    settings.write_text(settings.read_text().replace("[task]", '[task]\nclasses = "names.txt"'))
    with pytest.raises(ClassListError, match=r"isn't a classes\.json"):
        ask(Workspace.open(workspace.root), server.url)
    assert server.requests == []


def test_several_are_asked_at_once_but_no_more(language: Any, task: Task) -> None:
    server = language.start(lambda request: language.reply(names("x fish"), delay=0.05))
    ask(task(*(f"fish {i}" for i in range(30))), server.url, concurrency=5)
    assert server.most_under_way == 5
    assert len(server.requests) == 30


def test_nothing_is_asked_twice(language: Any, task: Task) -> None:
    server = language.start(lambda request: language.reply(names(f"{language.class_of(request)} fish")))
    workspace = task("tench", "eel")
    ask(workspace, server.url)
    first = load_classes(workspace.classes_path())
    outcome = ask(workspace, server.url)
    assert (len(server.requests), outcome.answered, outcome.added, outcome.use) == (2, 2, 0, Use())
    assert load_classes(workspace.classes_path()) == first
    save_classes([*first, named(7, "carp")], workspace.classes_path())
    ask(workspace, server.url)
    assert [server.asked(name) for name in ("tench", "eel", "carp")] == [1, 1, 1]


def test_killed_and_resumed_no_answer_is_lost_and_none_asked_twice(language: Any, task: Task) -> None:
    names_of = [f"fish {i}" for i in range(120)]

    def script(request: dict[str, Any]) -> Any:
        return language.reply(names(f"{language.class_of(request)} of the sea"), delay=0.05)

    server = language.start(script)
    workspace = task(*names_of)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from captrawl.search.synonyms.llm import ModelServer\n"
        "from captrawl.search.synonyms.ask import synonyms\n"
        "from captrawl.workspace.workspace import Workspace\n"
        "synonyms(Workspace.open(Path(sys.argv[1])), ModelServer('fake', sys.argv[2], 4), domain='a fish')\n"
    )
    journal = workspace.root / JOURNAL
    kills = 0
    for wanted in (6, 25):
        process = subprocess.Popen([sys.executable, "-c", code, str(workspace.root), server.url])
        while process.poll() is None:
            if journal.exists() and journal.read_bytes().count(b"\n") >= wanted:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.005)
        process.wait()
        time.sleep(0.2)  # what the dead process asked last is answered to nobody
    assert kills == 2
    before = {r["name"] for r in Journal(journal).records() if r["kind"] == "answer"}
    asked_before = Counter(language.class_of(request) for request in server.requests)
    ask(workspace, server.url)
    after = Counter(language.class_of(request) for request in server.requests)
    assert {name for name in names_of if after[name] > asked_before[name]} == set(names_of) - before
    # only what was under way at a kill (four at once) is asked a second time
    assert sum(count - 1 for count in after.values()) <= 4 * kills
    assert texts(workspace) == {name: [name, f"{name} of the sea"] for name in names_of}


def test_ctrl_c_waits_for_answers_under_way_and_twice_for_none(language: Any, task: Task) -> None:
    server = language.start(lambda _: language.reply(names("the fish"), delay=60))
    workspace = task("tench", "eel")
    options = ["--base-url", server.url, "--no-filter", "--model", "fake"]
    command = [sys.executable, "-m", "captrawl", "-C", str(workspace.root), "synonyms", *options]
    started = time.monotonic()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while server.under_way < 2:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert time.monotonic() - started < 50
    assert "answers under way" in first
    assert "Ctrl-C again" in first
    assert rest == "captrawl: interrupted; what was done stays\n"


def test_ctrl_c_waits_for_no_retry_after(language: Any, task: Task) -> None:
    busy = language.reply(status=429, headers={"retry-after": "100"}, body=b'{"error": {"message": "busy"}}')
    server = language.by_class({"tench": busy, "eel": language.reply(names("elver"), delay=1.0)})

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        synonyms(task("tench", "eel"), ModelServer("fake", server.url), domain="a fish", progress=interrupt)
    assert server.asked("tench") == 1  # and waited, when the answer for eel came
    assert time.monotonic() - started < 50


def test_a_second_ctrl_c_counts_while_the_first_is_being_told(
    language: Any, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    slow = language.reply(names("doctor fish"), delay=20)
    server = language.by_class({"tench": slow, "eel": language.reply(names("elver"))})
    workspace = task("tench", "eel")
    monkeypatch.setattr(logging.getLogger("captrawl.search.synonyms.asking"), "warning", interrupt)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        synonyms(workspace, ModelServer("fake", server.url), domain="a fish", progress=interrupt)
    assert time.monotonic() - started < 15


def test_a_line_cut_off_by_a_kill_is_no_record(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append({"a": 1}, {"b": "ü"})
    with (tmp_path / "j").open("ab") as handle:
        handle.write('{"c": "ü'.encode()[:-1])
    again = Journal(tmp_path / "j")
    assert again.records() == [{"a": 1}, {"b": "ü"}]
    again.append({"d": 4})
    assert again.records() == [{"a": 1}, {"b": "ü"}, {"d": 4}]


def test_a_damaged_journal_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "j").write_text('{"a": 1}\nnonsense\n')
    with pytest.raises(InputError, match="line 2 isn't JSON"):
        Journal(tmp_path / "j").records()


# A person's edits ---------------------------------------------------------------------------------


def test_a_persons_edits_survive_reruns(language: Any, task: Task) -> None:
    server = language.start(
        lambda request: language.reply(names("doctor fish", "golden tench", "ox", "mud fish"))
    )
    workspace = task("tench")
    ask(workspace, server.url)
    (entry,) = load_classes(workspace.classes_path())
    assert [s.text for s in entry.synonyms] == ["tench", "doctor fish", "golden tench", "mud fish", "ox"]
    edited = (
        Synonym("tench"),
        Synonym("ox"),  # put back
        Synonym("golden tench", None, match=False, prompt=False, reason="a carp, really"),  # removed
        Synonym("schlei", prompt=False),  # added
        Synonym("Mud-Fish", 12),  # rewritten
    )  # doctor fish: deleted
    save_classes([ClassEntry(0, "tench", edited)], workspace.classes_path())
    ask(workspace, server.url)
    ask(workspace, server.url, again=True)
    assert load_classes(workspace.classes_path()) == (ClassEntry(0, "tench", edited),)


def test_a_new_answer_adds_to_the_old_ones(language: Any, task: Task) -> None:
    server = language.by_class(
        {"tench": [language.reply(names("doctor fish")), language.reply(names("mud fish"))]}
    )
    workspace = task("tench")
    ask(workspace, server.url)
    ask(workspace, server.url, again=True)
    assert texts(workspace)["tench"] == ["tench", "doctor fish", "mud fish"]


# Questions and cost -------------------------------------------------------------------------------


def test_what_is_asked_of_a_class() -> None:
    entry = ClassEntry(
        3,
        "Tinca tinca",
        (
            Synonym("Tinca tinca"),
            Synonym("tench"),
            Synonym("Tench", match=False),
            Synonym("doctor fish"),
            Synonym("Doctor-Fish"),
            Synonym("schlei"),
            Synonym("ox", match=False, prompt=False),
        ),
        extra={"common_name": "tench", "definition": "a fish of still waters"},
    )
    (question,) = questions((entry,), ModelServer("m"), "a fish", {3: {"schlei"}})
    assert question.structured[-1]["content"] == (
        "What are some common ways of referring to a fish, i.e. Tinca tinca? It is defined as a fish of "
        "still waters. It is also called tench, doctor fish. Give English names only, and only names of "
        'exactly this, nothing broader or narrower. Answer with JSON: {"synonyms": ["…", "…"]}.'
    )
    assert question.plain[-1]["content"].endswith("Give me a numbered list only. Don't give any other text.")
    (bare,) = questions((named(0, "tench"),), ModelServer("m"), "", {})
    assert bare.plain[-1]["content"].startswith(
        "What are some common ways of referring to tench? Give English"
    )


def test_other_models_names_and_domains_are_other_questions() -> None:
    keys = {
        questions((named(class_id, name),), ModelServer(model), domain, {})[0].key
        for class_id in (0, 1)
        for name in ("a", "b")
        for model in ("m", "n")
        for domain in ("", "a fish")
    }
    assert len(keys) == 16


def test_cost() -> None:
    assert Use(10, 1_000_000, 500_000).cost(PRICES["gpt-4o-mini"]) == pytest.approx(0.45)
    assert Use(10, 5, 5).cost(None) is None
    use = estimate(questions((named(0, "tench"),), ModelServer("m"), "a fish", {}))
    assert use.questions == 1
    assert 50 < use.prompt_tokens < 120


def test_a_dry_run_asks_nothing(language: Any, task: Task, captrawl: Any) -> None:
    server = language.start(lambda request: language.reply(names("x")))
    workspace = task("tench", "eel", dataset="")
    line = ["-C", workspace.root, "synonyms", "--dry-run", "--base-url", server.url, "--domain", "a fish"]
    done = captrawl(*line)
    assert done.stdout.splitlines()[1].startswith(
        "1 eel: What are some common ways of referring to a fish, i.e. eel?"
    )
    assert "2 questions to gpt-4o-mini" in done.stderr
    assert "unknown price" in done.stderr
    assert "$0.00" in captrawl(*line, "--price", "1/2").stderr
    assert server.requests == []
    assert not (workspace.root / JOURNAL).exists()
    assert len(pending_questions(workspace, ModelServer(), "a fish")) == 2


def test_a_dry_run_as_json(task: Task, captrawl: Any) -> None:
    line = ["-C", task("tench").root, "synonyms", "--dry-run", "--json", "--price", "1/2"]
    said = json.loads(captrawl(*line).stdout)
    assert said["questions"][0]["name"] == "tench"
    assert said["questions"][0]["question"].startswith("What are some common ways of referring to tench?")
    assert said["dollars"] == pytest.approx((said["prompt_tokens"] + 2 * said["completion_tokens"]) / 1e6)


def test_a_servers_words_do_nothing_to_the_terminal(language: Any, task: Task, captrawl: Any) -> None:
    body = json.dumps({"error": {"message": "bad \x1b[31mred \u202eevil"}}).encode()
    server = language.start(lambda request: language.reply(status=400, body=body))
    line = ["-C", task("tench").root, "synonyms", "--no-filter", "--base-url", server.url]
    said = captrawl(*line, check=False).stderr
    assert "HTTP 400: bad \ufffd[31mred \ufffdevil" in said
    assert not {"\x1b", "\u202e"} & set(said)


USAGE = {
    "--price=-1/2 --dry-run": "--price -1/2: give US dollars",
    "--price nan/1 --dry-run": "--price nan/1: give US dollars",
    "--price abc --filter-only": "--price abc: give US dollars",
    "--base-url localhost:1 --dry-run": "--base-url localhost:1: give an http",
    "--model= --dry-run": "--model is empty",
    "--class tench": "--class tench goes with --review only",
    "--review --again": "--review and --again contradict",
    "--review --dry-run": "--review and --dry-run contradict",
    "--filter-only --dry-run": "--filter-only and --dry-run contradict",
    "--no-filter --filter-all": "--no-filter contradicts",
    "--shared all": "--shared all: choose keep or drop",
}


@pytest.mark.parametrize("options", USAGE)
def test_wrong_usage_is_told_before_anything_is_done(
    options: str, task: Task, capsys: pytest.CaptureFixture[str]
) -> None:
    root = task("tench").root
    with pytest.raises(SystemExit) as left:
        app(["-C", str(root), "synonyms", *options.split()], prog_name="captrawl")
    said = capsys.readouterr().err
    assert (left.value.code, len(said.splitlines())) == (2, 1)
    assert USAGE[options] in said


def test_the_command_takes_the_domain_of_the_data_set(language: Any, task: Task, captrawl: Any) -> None:
    server = language.start(lambda request: language.reply(names("yellow daisy")))
    workspace = task("sunflower", "tench", dataset="flowers102")
    done = captrawl("-C", workspace.root, "synonyms", "--no-filter", "--base-url", server.url)
    assert all("referring to a flower, i.e. " in r["messages"][-1]["content"] for r in server.requests)
    assert "2 classes, 4 synonyms kept, 0 removed" in done.stdout
    assert "'yellow daisy' is shared by classes 0 ('sunflower') and 1 ('tench')" in done.stderr.replace(
        "\n", " "
    )
    assert "80 tokens in, 20 out" in done.stderr
    captrawl("-C", workspace.root, "synonyms", "--no-filter", "--base-url", server.url, "--shared", "drop")
    assert len(server.requests) == 2
    assert removed(workspace)["tench"] == {"yellow daisy": "shared with class 0"}


def test_the_command_ends_with_1_where_a_class_has_no_answer(
    language: Any, task: Task, captrawl: Any
) -> None:
    server = language.by_class({"tench": language.reply("")})
    workspace = task("tench")
    line = ["-C", workspace.root, "synonyms", "--no-filter", "--base-url", server.url, "--domain", "a fish"]
    done = captrawl(*line, check=False)
    assert done.returncode == 1
    assert "no answer for 1 class, class 0 the first" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
