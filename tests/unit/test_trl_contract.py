"""The private names of TRL that the trainers rely on are there, with the parameters and the calls that they rely on."""

from __future__ import annotations

import inspect

import pytest
from trl import GRPOTrainer, SFTTrainer

METHODS = {
    "_calculate_rewards": ["self", "inputs", "prompts", "completions", "completion_ids_list"],
    "_generate_and_score_completions": ["self", "inputs"],
    "_compute_loss": ["self", "model", "inputs"],
    "compute_loss": ["self", "model", "inputs", "return_outputs", "num_items_in_batch"],
    "_save_checkpoint": ["self", "model", "trial"],
    "_get_per_token_logps_and_entropies": ["self", "model", "input_ids", "attention_mask", "logits_to_keep"],
}
SAID = {
    "__init__": ["self._metrics =", "self._tokenizer =", "self.temperature =", "self._entropy_bonus_enabled ="],
    "_compute_loss": ['"tool_mask" not in inputs', "self._get_per_token_logps_and_entropies(", "compute_entropy=True", "* mask"],
    "_generate_and_score_completions": ['output["tool_mask"]', '"advantages"', "self._calculate_rewards("],
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


def test_log_probabilities_are_asked_for_by_name_alone() -> None:
    named = list(inspect.signature(GRPOTrainer._get_per_token_logps_and_entropies).parameters)[5:]
    assert named[:3] == ["batch_size", "compute_entropy", "compute_aux_loss"]


def test_the_supervised_trainer_draws_rows_where_ours_orders_them() -> None:
    assert "train_dataset" in inspect.signature(SFTTrainer._get_train_sampler).parameters
