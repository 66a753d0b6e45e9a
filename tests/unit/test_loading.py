"""A checkpoint is loaded whole or not at all: tensors, embeddings, end token; and what is saved computes what was in memory."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, GenerationConfig

from ascl_core.config.base_model import BaseModelConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.lora import LoraConfig
from ascl_core.config.parallel import ONE_PROCESS
from ascl_core.contracts import StageContext
from ascl_core.errors import ConfigError, ModelError
from ascl_core.generation import make_generator
from ascl_core.generation.load import context_length, load_model, load_tokenizer
from ascl_core.generation.proof import check_saved, difference, sample_logits
from ascl_core.progress import Progress
from ascl_core.sft.base_model import base_model
from ascl_core.sft.checkpoint import trainable_model
from tests.tiny_model import make_model, save

pytestmark = pytest.mark.filterwarnings("ignore")
CPU = ComputeConfig(device="cpu", threads=1)
Tensors = dict[str, torch.Tensor]
WITHOUT = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole checkpoint."""
    return save(*make_model(["some words for a vocabulary"]), tmp_path_factory.mktemp("model"))


def changed(checkpoint: Path, folder: Path, change: Callable[[Tensors], Tensors]) -> Path:
    """A copy with other tensors."""
    shutil.copytree(checkpoint, folder)
    tensors = change(load_file(folder / "model.safetensors"))
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


CHANGES: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "compiled": (lambda t: {f"_orig_mod.{name}": value for name, value in t.items()}, "torch.compile"),
    "distributed": (lambda t: {f"module.{name}": value for name, value in t.items()}, "DistributedDataParallel"),
    "one name": (lambda t: {name.replace("up_proj", "up"): value for name, value in t.items()}, "2 tensors of the model are missing"),
    "one missing": (lambda t: {name: value for name, value in t.items() if name != WITHOUT}, WITHOUT),
    "one left over": (lambda t: {**t, "model.layers.2.mlp.up_proj.weight": t[WITHOUT]}, "model.layers.2"),
    "a head": (lambda t: {**t, "score.weight": t[WITHOUT]}, "score.weight"),
    "another shape": (lambda t: {**t, WITHOUT: t[WITHOUT][:3]}, "cannot be loaded"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_checkpoint_whose_tensors_are_not_those_of_its_model_is_refused_by_every_loader(
    name: str, checkpoint: Path, tmp_path: Path
) -> None:
    change, said = CHANGES[name]
    folder = changed(checkpoint, tmp_path / "changed", change)
    for load in (load_model, make_generator, lambda path, compute: trainable_model(path, compute, ONE_PROCESS, None)):
        with pytest.raises(ModelError) as caught:
            load(folder, CPU)
        assert said in str(caught.value)
        assert str(folder) in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_weight_that_is_no_number_is_named(checkpoint: Path, tmp_path: Path, value: float) -> None:
    folder = changed(checkpoint, tmp_path / "changed", lambda t: {**t, WITHOUT: t[WITHOUT].index_fill(0, torch.tensor([1]), value)})
    with pytest.raises(ModelError, match=f"{WITHOUT} has a value that is NaN or infinite"):
        load_model(folder, CPU)


def test_weights_beside_an_index_of_others_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "model")
    index = {"weight_map": {WITHOUT: "model-00001-of-00001.safetensors"}}
    (tmp_path / "model" / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="beside an index of other weights"):
        load_model(tmp_path / "model", CPU)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}}, "cannot be loaded"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128}}, "cannot be loaded"),
        ({"num_hidden_layers": 7}, "num_hidden_layers"),
    ],
)
def test_a_configuration_that_cannot_be_loaded_is_one_line(checkpoint: Path, tmp_path: Path, change: dict[str, Any], said: str) -> None:
    shutil.copytree(checkpoint, tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ModelError, match=said) as caught:
        load_model(tmp_path / "model", CPU)
    assert "\n" not in caught.value.problem


@pytest.mark.parametrize(
    "settings",
    [
        {"do_sample": False, "temperature": 0.9, "top_p": 0.6},
        {"temperature": 0.6, "repetition_penalty": 1.1},
        {"use_cache": False, "cache_implementation": "hybrid"},
    ],
)
def test_an_imported_model_is_sampled_from_its_whole_distribution_whatever_its_settings(
    checkpoint: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    shutil.copytree(checkpoint, tmp_path / "model")
    file = tmp_path / "model" / "generation_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))
    context = StageContext(state=tmp_path / "state", progress=Progress(os.devnull))
    config = BaseModelConfig(path=str(tmp_path / "model"))
    base_model(base_model=config, compute=CPU, trajectories=(), base=tmp_path / "base", context=context)
    saved = GenerationConfig.from_pretrained(tmp_path / "base")
    assert (saved.do_sample, saved.temperature, saved.top_k, saved.repetition_penalty) == (True, 1.0, 0, None)
    assert saved.eos_token_id == load_tokenizer(tmp_path / "base").eos_token_id


def test_named_templates_without_a_default_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(checkpoint)
    tokenizer.chat_template = {"tool_use": "a", "rag": "b"}
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="none is called default"):
        load_tokenizer(tmp_path)


def test_a_whole_checkpoint_loads(checkpoint: Path) -> None:
    assert load_model(checkpoint, CPU).num_parameters() > 0


def test_a_token_without_an_embedding_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(checkpoint, folder)
    tokenizer = load_tokenizer(folder)
    rows = len(tokenizer)
    tokenizer.add_tokens(["<|new|>"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match=f"{rows} embeddings, and its tokenizer {rows + 1} tokens"):
        load_model(folder, CPU)


def test_an_adapter_is_refused_as_its_weights_are_elsewhere(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(checkpoint), "peft_type": "LORA"}))
    with pytest.raises(ModelError, match="is an adapter"):
        load_model(tmp_path, CPU)
    with pytest.raises(ModelError, match="is an adapter"):
        load_tokenizer(tmp_path)


def test_the_end_token_is_the_one_with_which_the_template_closes_an_answer(checkpoint: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(checkpoint)
    right = tokenizer.eos_token
    tokenizer.eos_token = "<|pad|>"
    tokenizer.save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path).eos_token == right == "<|im_end|>"


def test_a_saved_model_that_computes_something_else_is_refused(checkpoint: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(checkpoint)
    check_saved(model, checkpoint, 1)
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight.mul_(1.05)
    with pytest.raises(ModelError, match="logits differ"):
        check_saved(model, checkpoint, 1)


def test_the_logits_of_a_wrapped_model_are_those_of_the_model(checkpoint: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(checkpoint)
    wrapped = torch.nn.DataParallel(model, device_ids=[])
    assert not hasattr(wrapped, "config"), "nor has DistributedDataParallel"
    assert sample_logits(wrapped).equal(sample_logits(model))


def test_the_difference_of_logits_is_relative_and_leaves_the_mode(checkpoint: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(checkpoint).train()
    logits = sample_logits(model)
    assert model.training
    assert difference(logits, logits) == 0.0
    assert difference(logits * 1000, logits * 1000 + 1e-3) < 1e-4
    assert difference(logits, logits[:, :-1]) == float("inf")
    assert difference(logits, logits.roll(1, dims=1)) > 0.1


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (("embed_tokens", "q_proj"), "one weight"),
        (("lm_head",), "one weight"),
        (("model.embed_tokens",), "one weight"),
        (("q_porj",), "did you mean 'q_proj'"),
        (("q_proj", "input_layernorm"), "is no linear layer"),
    ],
)
def test_lora_beside_a_tied_or_unknown_module_is_refused(checkpoint: Path, targets: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        trainable_model(checkpoint, CPU, ONE_PROCESS, LoraConfig(target_modules=targets))
    assert said in str(caught.value)
    assert "lora.target_modules" in str(caught.value)


def test_lora_beside_an_embedding_of_its_own_is_allowed(checkpoint: Path, tmp_path: Path) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(checkpoint, tie_word_embeddings=False)
    save(model, load_tokenizer(checkpoint), tmp_path)
    trainable_model(tmp_path, CPU, ONE_PROCESS, LoraConfig(target_modules=("embed_tokens", "q_proj")))


@pytest.mark.parametrize(("kind", "length"), [("qwen3", 512), ("gemma3", 512), ("mamba", 2**20)])
def test_the_context_length_is_that_of_the_text_model(kind: str, length: int) -> None:
    from transformers import CONFIG_MAPPING

    sizes = {} if kind == "mamba" else {"max_position_embeddings": 512}
    config = CONFIG_MAPPING[kind](**({"text_config": sizes} if kind == "gemma3" else sizes))
    assert context_length(SimpleNamespace(config=config)) == length
