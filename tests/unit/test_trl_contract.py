"""The private names of TRL that the trainers rely on are there, with the parameters and the calls that they rely on."""

from __future__ import annotations

import inspect

import pytest
from transformers import GenerationConfig
from trl import GRPOTrainer, SFTTrainer

from ascl_core.cpu.turns import samples_plainly

METHODS = {
    "_calculate_rewards": ["self", "inputs", "prompts", "completions", "completion_ids_list"],
    "_generate_and_score_completions": ["self", "inputs"],
    "_generate_single_turn": ["self", "prompt_ids", "images", "multimodal_fields", "num_generations", "has_tool_images"],
    "_compute_loss": ["self", "model", "inputs"],
    "compute_loss": ["self", "model", "inputs", "return_outputs", "num_items_in_batch"],
    "_save_checkpoint": ["self", "model", "trial"],
    "_get_per_token_logps_and_entropies": ["self", "model", "input_ids", "attention_mask", "logits_to_keep"],
}
SAID = {
    "__init__": [
        "self._metrics =",
        "self._tokenizer =",
        "self.temperature =",
        "self._entropy_bonus_enabled =",
        "self._is_vlm =",
        "self.use_vllm =",
        "self.use_transformers_continuous_batching =",
        "self.max_completion_length =",
        "self.max_tool_calling_iterations =",
        "self.eos_token_ids =",
        "generation_kwargs.update(args.generation_kwargs)",
        "self.generation_config = GenerationConfig(**generation_kwargs",
    ],
    "_generate": ["completion_ids, logprobs = self._generate_single_turn(", "self._tool_call_loop("],
    "_tool_call_loop": [
        "self._get_tool_suffix_ids(",
        "prompt_ids[idx_with_tool] + completion_ids[idx_with_tool] + suffix_ids",
        "post_tool_ids, post_tool_logprobs = self._generate_single_turn(",
    ],
    "_generate_single_turn": ["generation_config=self.generation_config", "torch.tensor(self.eos_token_ids"],
    "_compute_loss": [
        '"tool_mask" not in inputs',
        "self._get_per_token_logps_and_entropies(",
        "compute_entropy=True",
        "* mask",
        'inputs["num_items_in_batch"]',
    ],
    "_generate_and_score_completions": [
        'output["tool_mask"]',
        '"advantages"',
        "self._calculate_rewards(",
        "self.environments.append(",
        "self._generate(prompts)",
        '"num_items_in_batch": num_items_in_batch',
    ],
    "_prepare_inputs": ["split_tensor_dict(generation_batch, self.args.steps_per_generation)"],
}
"""What the source of a method says."""


@pytest.mark.parametrize("name", METHODS)
def test_the_methods_that_are_overridden_take_what_the_overrides_take(name: str) -> None:
    for trainer in (GRPOTrainer, SFTTrainer):
        if hasattr(trainer, name):
            assert list(inspect.signature(getattr(trainer, name)).parameters)[: len(METHODS[name])] == METHODS[name]


@pytest.mark.parametrize("name", SAID)
def test_the_methods_work_as_the_overrides_take_for_granted(name: str) -> None:
    source = inspect.getsource(getattr(GRPOTrainer, name))
    assert [said for said in SAID[name] if said not in source] == []


def test_the_options_of_trls_own_sampling_are_plain_and_others_are_not() -> None:
    plain = {"max_new_tokens": 9, "do_sample": True, "temperature": 0.7, "top_p": 1.0, "top_k": 0, "min_p": None, "repetition_penalty": 1.0}
    trls = GenerationConfig(**plain, pad_token_id=0, eos_token_id=[2], disable_compile=True)
    chat = GenerationConfig(do_sample=True, temperature=0.6, top_k=20, top_p=0.95, bos_token_id=1, eos_token_id=[2, 1])
    assert samples_plainly(trls, GenerationConfig())
    assert samples_plainly(trls, chat), "what TRL sets goes before what the model came with"
    for name, value in {"top_k": 20, "top_p": 0.9, "min_p": 0.1, "repetition_penalty": 1.1, "do_sample": False, "num_beams": 2}.items():
        assert not samples_plainly(GenerationConfig(**{**plain, name: value}), GenerationConfig()), name
    assert not samples_plainly(trls, GenerationConfig(no_repeat_ngram_size=3))


def test_log_probabilities_are_asked_for_by_name_alone() -> None:
    named = list(inspect.signature(GRPOTrainer._get_per_token_logps_and_entropies).parameters)[5:]
    assert named[:3] == ["batch_size", "compute_entropy", "compute_aux_loss"]


def test_the_supervised_trainer_draws_rows_where_ours_orders_them() -> None:
    assert "train_dataset" in inspect.signature(SFTTrainer._get_train_sampler).parameters
