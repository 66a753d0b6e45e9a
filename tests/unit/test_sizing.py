"""Parameters, memory and time: against published numbers, against real models on the meta device, and worked by hand."""

from __future__ import annotations

import doctest
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

from ascl_core.artifacts import write_json
from ascl_core.config.base_model import BaseModelConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.lora import LoraConfig
from ascl_core.config.parallel import ParallelConfig, split_batch
from ascl_core.errors import ConfigError, ModelError
from ascl_core.sft.base_model import scratch_model
from ascl_core.sizing import devices, shape, time
from ascl_core.sizing.devices import get_device, recognise
from ascl_core.sizing.memory import Memory, activations_per_token, engine, sampling, trained, training
from ascl_core.sizing.shape import find_shape, known_shape, scratch_shape, shape_from_config
from ascl_core.sizing.time import hours, sampling_operations, training_operations

PUBLISHED = {
    "Qwen/Qwen3-0.6B": 596_049_920,
    "Qwen/Qwen3-1.7B": 1_720_574_976,
    "Qwen/Qwen3-4B": 4_022_468_096,
    "Qwen/Qwen3-8B": 8_190_735_360,
    "Qwen/Qwen3-14B": 14_768_307_200,
    "Qwen/Qwen3-32B": 32_762_123_264,
    "HuggingFaceTB/SmolLM2-135M-Instruct": 134_515_008,
    "meta-llama/Llama-Guard-3-8B": 8_030_261_248,
    "allenai/wildguard": 7_248_023_552,
    "cais/HarmBench-Llama-2-13b-cls": 13_015_864_320,
}
SIZES = {
    "vocab_size": 320,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "intermediate_size": 80,
    "max_position_embeddings": 128,
}
BF16 = ComputeConfig(dtype="bfloat16")
QWEN = known_shape("Qwen/Qwen3-8B")
P = PUBLISHED["Qwen/Qwen3-8B"]
H100 = get_device("H100")
SHAPE = {"rows": 1, "length": 1024}


@pytest.mark.parametrize("module", [shape, devices, time], ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_hold(module: Any) -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(("name", "parameters"), PUBLISHED.items())
def test_parameters_are_those_of_the_published_models(name: str, parameters: int) -> None:
    assert known_shape(name).parameters == parameters


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(("kind", "extra"), [(Qwen3Config, {"head_dim": 16}), (Qwen2Config, {}), (LlamaConfig, {"head_dim": 8})])
def test_parameters_are_those_of_a_real_model(kind: Any, extra: dict[str, int], tied: bool) -> None:
    config = kind(**SIZES, **extra, tie_word_embeddings=tied)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert shape_from_config(config.to_dict()).parameters == model.num_parameters()


@pytest.mark.parametrize("targets", [(), ("q_proj", "v_proj"), ("down_proj",)])
def test_low_rank_matrices_are_those_that_peft_adds(targets: tuple[str, ...]) -> None:
    from peft import get_peft_model

    from ascl_core.sft.checkpoint import adapter

    config = Qwen3Config(**SIZES, head_dim=16, tie_word_embeddings=True)
    lora = LoraConfig(rank=4, target_modules=targets)
    with torch.device("meta"):
        model = get_peft_model(AutoModelForCausalLM.from_config(config), adapter(lora))
    assert trained(shape_from_config(config.to_dict()), lora) == model.get_nb_trainable_parameters()[0]


def test_the_cache_of_a_token_is_that_of_a_real_cache() -> None:
    config = Qwen3Config(**SIZES, head_dim=16, tie_word_embeddings=True)
    model = AutoModelForCausalLM.from_config(config)
    cache = model(input_ids=torch.zeros(2, 5, dtype=torch.long), use_cache=True).past_key_values
    values = sum(layer.keys.numel() + layer.values.numel() for layer in cache.layers)
    assert shape_from_config(config.to_dict()).cache_per_token(4) == 4 * values / (2 * 5)
    assert QWEN.cache_per_token() == 144 * 1024, "2 x 36 layers x 8 heads x 128 values x 2 bytes"


@pytest.mark.parametrize("sizes", [{}, {"hidden_size": 96, "intermediate_size": 320, "num_hidden_layers": 6}])
def test_activations_are_near_what_a_real_backward_pass_keeps(sizes: dict[str, int]) -> None:
    config = Qwen3Config(**{**SIZES, **sizes}, head_dim=16, tie_word_embeddings=True)
    model = AutoModelForCausalLM.from_config(config)
    own = {parameter.data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden = model.model(input_ids=torch.zeros(4, 64, dtype=torch.long), use_cache=False).last_hidden_state
    assert hidden.requires_grad
    wanted = activations_per_token(shape_from_config(config.to_dict()), 4, 4, checkpointing=False)
    assert sum(kept.values()) / (4 * 64) == pytest.approx(wanted, rel=0.35), sum(kept.values()) / (4 * 64) / wanted


class TestTraining:
    """Bytes on one GPU."""

    def test_one_process_holds_sixteen_bytes_a_parameter_and_autocasts_copies(self) -> None:
        parts = training(QWEN, None, ParallelConfig(), BF16, **SHAPE).parts
        assert (parts["weights"], parts["gradients"], parts["optimizer"]) == (4 * P, 4 * P, 8 * P)
        assert parts["working copies"] == 2 * P

    def test_shards_are_a_part_of_each(self) -> None:
        parts = training(QWEN, None, ParallelConfig(processes=8, strategy="fsdp2"), BF16, **SHAPE).parts
        assert (parts["weights"], parts["gradients"], parts["optimizer"]) == (4 * P / 8, 4 * P / 8, 8 * P / 8)
        block = 4096 * (4096 + 1024 + 1024 + 4096 + 3 * 12288) + 2 * 4096 + 2 * 128
        assert parts["working copies"] == 2 * (2 * block + 2 * 151_936 * 4096)

    def test_ddp_adds_the_buckets_that_it_averages(self) -> None:
        one = training(QWEN, None, ParallelConfig(), BF16, **SHAPE).parts
        two = training(QWEN, None, ParallelConfig(processes=2), BF16, **SHAPE).parts
        assert two == {**one, "gradients": 2 * one["gradients"]}

    def test_lora_keeps_the_weights_in_bfloat16_and_trains_little(self) -> None:
        lora = LoraConfig(rank=16)
        matrices = 36 * 16 * (2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 12288))
        parts = training(QWEN, lora, ParallelConfig(), BF16, **SHAPE).parts
        assert parts["weights"] == 2 * P + 4 * matrices
        assert (parts["gradients"], parts["optimizer"]) == (4 * matrices, 8 * matrices)

    def test_checkpointing_keeps_an_input_a_block_and_one_block(self) -> None:
        kept = activations_per_token(QWEN, 2, 2, checkpointing=False)
        block = 2 * (4 * 4096 + 4 * 40 * 128 + 4 * 12288)
        assert kept == 36 * block
        assert activations_per_token(QWEN, 2, 2, checkpointing=True) == 36 * 2 * 4096 + block

    def test_the_residual_stream_is_float32_where_the_embedding_is(self) -> None:
        lora, whole = (training(QWEN, one, ParallelConfig(), BF16, **SHAPE).parts["activations"] for one in (LoraConfig(), None))
        assert whole - lora == 1024 * 2 * (36 * 4096 + 4 * 4096)

    def test_eight_billion_fit_a_gpu_by_lora_or_by_shards_alone(self) -> None:
        shape = {"rows": 2, "length": 2048}
        assert training(QWEN, LoraConfig(), ParallelConfig(), BF16, **shape).fits(H100)
        assert not training(QWEN, None, ParallelConfig(), BF16, **shape).fits(H100)
        assert not training(QWEN, None, ParallelConfig(processes=8), BF16, **shape).fits(H100)
        assert training(QWEN, None, ParallelConfig(processes=8, strategy="fsdp2"), BF16, **shape).fits(H100)


def test_an_engine_takes_its_share_and_no_more() -> None:
    memory = engine(QWEN, BF16, H100, 0.35)
    assert memory.total == 0.35 * 80e9
    assert memory.parts["vLLM cache"] == 0.35 * 80e9 - 2 * P
    assert engine(known_shape("Qwen/Qwen3-32B"), BF16, H100, 0.35).parts["vLLM cache"] < 0


def test_generation_by_transformers_holds_weights_and_a_cache() -> None:
    assert sampling(QWEN, BF16, rows=4, length=100).parts == {"weights": 2 * P, "cache": 4 * 100 * 147_456}


def test_a_reserve_is_left() -> None:
    assert Memory({"all": 0.92 * 80e9}).fits(H100)
    assert not Memory({"all": 0.93 * 80e9}).fits(H100)


def test_operations_and_hours() -> None:
    used = P - 151_936 * 4096  # the embedding is looked up
    assert training_operations(QWEN, 10, None, checkpointing=False) == 6 * used * 10
    assert training_operations(QWEN, 10, None, checkpointing=True) == 8 * used * 10
    assert training_operations(QWEN, 10, LoraConfig(), checkpointing=True) == 6 * used * 10
    assert sampling_operations(QWEN, 10) == 2 * used * 10
    assert hours(989e12 * 0.5 * 3600 * 2, H100, 2, 0.5) == pytest.approx(1)


def test_a_local_config_counts_before_the_table(tmp_path: Any) -> None:
    write_json(tmp_path / "config.json", {**SIZES, "model_type": "llama", "tie_word_embeddings": True})
    assert find_shape(str(tmp_path)).hidden == 48
    assert find_shape("Qwen/Qwen3-8B") == QWEN


def test_a_model_from_scratch_has_the_shape_that_training_gives_it() -> None:
    class Tokenizer:
        eos_token_id, pad_token_id = 1, 0

        def __len__(self) -> int:
            return BaseModelConfig().scratch.vocab_size

    model = scratch_model(BaseModelConfig().scratch, Tokenizer(), seed=0)
    assert scratch_shape(BaseModelConfig()).parameters == model.num_parameters()


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"model_type": "mamba"}, "cannot be estimated .got 'mamba'."),
        ({"model_type": "qwen3"}, "its shape cannot be read: 'num_attention_heads'"),
        ({**SIZES, "model_type": "llama", "num_hidden_layers": None}, "its shape cannot be read"),
    ],
)
def test_a_config_that_says_too_little_is_an_error(config: dict[str, Any], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        shape_from_config(config)


def test_an_unknown_model_or_gpu_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"its shape is not known .*\n  hint: .*Qwen/Qwen3-8B"):
        known_shape("Qwen/Qwen3-9B")
    with pytest.raises(ConfigError, match=r"--gpu: .*\n  hint: did you mean 'H100'\?"):
        get_device("H1000")


DRIVERS = {
    "NVIDIA H100 80GB HBM3": "H100",
    "NVIDIA H200": "H200",
    "NVIDIA A100-SXM4-40GB": "A100-40",
    "NVIDIA A100 80GB PCIe": "A100-80",
    "NVIDIA L40S": "L40S",
    "NVIDIA L4": "L4",
    "NVIDIA L40": None,
    "NVIDIA A10G": "A10G",
    "NVIDIA GeForce RTX 4090": "RTX-4090",
    "Tesla T4": None,
}


@pytest.mark.parametrize(("driver", "name"), DRIVERS.items())
def test_a_gpu_is_recognised_by_what_its_driver_says(driver: str, name: str | None) -> None:
    found = recognise([driver])
    assert (found.name if found else None) == name


def test_batches_are_split_or_refused() -> None:
    assert split_batch(64, 16, 2) == (16, 2)
    assert split_batch(64, 96, 4) == (16, 1), "never more than a process's share"
    with pytest.raises(ValueError, match="multiple of micro_batch_size"):
        split_batch(64, 16, 3)
