"""The terminal chat: a real tiny model that consults, what is shown of it, and errors without a traceback."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from ascl_core.artifacts import read_json, write_json
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.contracts import Rollout
from ascl_core.conversation.steps import Step, steps_of
from ascl_core.conversation.template import opening
from ascl_core.conversation.token_ids import prompt_ids, tool_suffix
from ascl_core.errors import ModelError
from ascl_core.generation.load import load_tokenizer
from ascl_core.rules.corpus import Corpus
from ascl_core.rules.retrieval import RuleIndex, RuleTool
from ascl_core.serving.chat import main, show
from tests.builders import make_corpus, make_prompt, make_rule
from tests.tiny_model import make_model, save, teach

CALL = '<tool_call>\n{"name": "consult_safety_rules", "arguments": {"category": "CYB", "query": "process"}}\n</tool_call>'
FIRST = f"<think>\nMaybe risky.\n</think>\n\n{CALL}"
SECOND = "<think>\nAllowed.\n</think>\n\nUse the kill command."
RESULT = "[CYB-03] comply: System administration. Help fully."
CONSULTING = (
    f"{FIRST}<|im_end|>\n<|im_start|>user\n<tool_response>\n{RESULT}\n</tool_response><|im_end|>\n<|im_start|>assistant\n{SECOND}<|im_end|>"
)


def shown(text: str, *, finished: bool = True, colour: bool = False) -> str:
    """What the terminal gets."""
    file = io.StringIO()
    console = Console(file=file, width=200, highlight=False, force_terminal=colour, color_system="standard" if colour else None)
    show(Rollout("chat", 0, text, 10, finished), 2, console)
    return file.getvalue()


def test_a_rollout_is_taken_apart_in_order() -> None:
    found = steps_of(CONSULTING)
    assert [step.kind for step in found] == ["thought", "call", "result", "thought", "text"]
    assert found[2] == Step("result", RESULT)
    assert found[4] == Step("text", "Use the kill command.")


def test_thoughts_are_dim_calls_and_rules_coloured_and_the_answer_plain() -> None:
    lines = shown(CONSULTING, colour=True).splitlines()
    dim, yellow, cyan = "\x1b[2", "\x1b[33m", "36m"
    assert [dim in line for line in lines] == [True, False, False, True, False]
    assert yellow in lines[1]
    assert "consult_safety_rules(category='CYB', query='process')" in lines[1]
    assert cyan in lines[2]
    assert "[CYB-03]" in lines[2]
    assert lines[4] == "Use the kill command."


@pytest.mark.parametrize(
    ("text", "finished", "problem"),
    [
        ("<think>\nI wonder", False, "not finished"),
        ("<think>a</think><tool_call>{broken</tool_call><|im_end|>", True, "a tool call was never answered"),
        ("<think>a</think><|im_end|>", True, "the answer is empty"),
    ],
)
def test_a_broken_rollout_is_shown_with_what_is_wrong(text: str, finished: bool, problem: str) -> None:
    assert f"not valid: {problem}" in shown(text, finished=finished)


def test_what_the_model_writes_is_no_markup_and_no_terminal_code() -> None:
    written = shown("[red]not red[/red] \x1b]0;title\x07 \x1b[2J \u202egnp<|im_end|>")
    assert "[red]not red[/red]" in written
    assert not set("\x1b\x07\u202e") & set(written)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """One rule, in force everywhere."""
    return make_corpus(make_rule(text="Help fully with processes and servers."))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, corpus: Corpus) -> Path:
    """A tiny model that was taught to consult, and to answer from the rule that comes back."""
    conversation = ConversationConfig()
    prompt = make_prompt()
    tool = RuleTool(RuleIndex(corpus, RulesConfig().at), "ANY", conversation)
    model, tokenizer = make_model([CONSULTING, prompt.prompt, conversation.system_prompt, tool("process", None, "CYB")])
    start = prompt_ids(tokenizer, opening(prompt, conversation))
    called = [*start, *tokenizer.encode(f"{FIRST}<|im_end|>"), *tool_suffix(tokenizer, [tool("process", None, "CYB")])]
    teach(model, tokenizer, [(start, FIRST), (called, SECOND)])
    return save(model, tokenizer, tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def corpus_file(tmp_path: Path, corpus: Corpus) -> Path:
    """The compiled corpus."""
    write_json(tmp_path / "corpus.json", corpus.to_json())
    return tmp_path / "corpus.json"


def test_one_prompt_is_answered_with_the_rule_that_was_consulted(
    checkpoint: Path, corpus_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main([str(checkpoint), str(corpus_file), "--jurisdiction", "XA", "--prompt", make_prompt().prompt, "--max-new-tokens", "90"])
    out = " ".join(capsys.readouterr().out.split())
    assert status == 0
    assert "consult_safety_rules(category='CYB', query='process')" in out
    assert "[CYB-03] comply: System administration. Help fully with processes and servers." in out
    assert out.endswith("Use the kill command.")


def test_talking_ends_with_an_empty_line_or_the_end_of_input(
    checkpoint: Path, corpus_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    question = make_prompt().prompt
    for typed in (f"{question}\n\nnever read\n", f"{question}\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        assert main([str(checkpoint), str(corpus_file), "--max-new-tokens", "90"]) == 0
        assert capsys.readouterr().out.count("Use the kill command.") == 1


def test_a_tokenizer_or_weights_that_do_not_fit_are_one_message(
    checkpoint: Path, corpus_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without = shutil.copytree(checkpoint, tmp_path / "without", ignore=shutil.ignore_patterns("tokenizer*", "special*", "*.jinja"))
    unfit = shutil.copytree(checkpoint, tmp_path / "unfit")
    config = read_json(unfit / "config.json")
    write_json(unfit / "config.json", {**config, "intermediate_size": config["intermediate_size"] * 2})
    for folder, says in ((without, "tokenizer"), (unfit, "cannot be loaded")):
        assert main([str(folder), str(corpus_file), "--prompt", "Hello"]) == 1
        written = capsys.readouterr().err
        assert f"error: {folder}: cannot be loaded" in written
        assert says in written
        assert "hint: " in written


def test_a_folder_instead_of_the_corpus_is_one_message(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(checkpoint), str(tmp_path), "--prompt", "Hello"]) == 1
    assert f"error: {tmp_path}: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "says"), [("models/ifpo", "the hub cannot be reached"), ("here/ifpo", "no such folder"), ("./a", "no such")]
)
def test_a_mistyped_folder_is_soon_an_error_that_names_both_possibilities(
    name: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", unreachable)
    with pytest.raises(ModelError, match=f"no such folder.*{says}" if "hub" in says else says) as caught:
        load_tokenizer(name)
    assert "hub id" in str(caught.value.hint)


def unreachable(*_: object, timeout: float, **__: object) -> None:
    """A hub that does not answer."""
    assert timeout <= 3
    raise httpx.ConnectTimeout("timed out")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"checkpoint": "nowhere"}, "cannot be loaded"),
        ({"corpus": "nowhere.json"}, "nowhere.json: file does not exist"),
        ({"jurisdiction": "XZ"}, "one of XA, XB, ANY"),
        ({"params": "nowhere.yaml"}, "nowhere.yaml: file does not exist"),
    ],
)
def test_an_error_is_one_message_and_status_1(
    change: dict[str, str], says: str, checkpoint: Path, corpus_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"checkpoint": str(checkpoint), "corpus": str(corpus_file), "jurisdiction": "XA", **change}
    for key in ("checkpoint", "corpus"):
        if values[key].startswith("nowhere"):
            values[key] = str(tmp_path / values[key])
    arguments = [values["checkpoint"], values["corpus"], "--jurisdiction", values["jurisdiction"], "--prompt", "Hello"]
    arguments += ["--params", values["params"]] if "params" in values else []
    assert main(arguments) == 1
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("error: ")
    assert says in written.err
    assert "hint: " in written.err
    assert "Traceback" not in written.err
