"""`GRPOTrainer` made faster on one CPU, with the same probabilities, loss and gradient; anywhere else it is TRL's own.

`_generate_single_turn` samples the turns of TRL's tool loop (`ascl_core.cpu.turns`), `_compute_loss` notes which tokens carry loss, and
`_get_per_token_logps_and_entropies` scores those alone (`ascl_core.cpu.log_probs`).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from trl import GRPOTrainer

from ascl_core.conversation.tool import TOOL_NAME
from ascl_core.cpu.decoding import log_sampling
from ascl_core.cpu.grouped_attention import use_grouped_attention
from ascl_core.cpu.log_probs import can_share_prompts, completion_log_probs
from ascl_core.cpu.turns import TurnSampler, samples_plainly


class CpuGrpoTrainer(GRPOTrainer):
    """`GRPOTrainer` with its sampling and its log-probabilities replaced where it runs as one process on a CPU."""

    _loss_mask: torch.Tensor | None = None
    _turns: TurnSampler | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        log_sampling(self.accelerator.unwrap_model(self.model))
        if self._samples_turns():
            use_grouped_attention(self.accelerator.unwrap_model(self.model))

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        self._turns = None
        return super()._generate_and_score_completions(inputs)

    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, multimodal_fields: Any, num_generations: Any, has_tool_images: Any = False
    ) -> tuple[list[list[int]], Any]:
        if not self._samples_turns():
            return cast(Any, super()._generate_single_turn(prompt_ids, images, multimodal_fields, num_generations, has_tool_images))
        if self._turns is not None:
            return self._turns.follow(prompt_ids), None
        self._turns = TurnSampler(
            self.accelerator.unwrap_model(self.model),
            self._tokenizer,
            budget=cast(int, self.max_completion_length),
            max_tool_calls=self.max_tool_calling_iterations,
            ends=self.eos_token_ids,
            temperature=self.temperature,
        )
        tools = [getattr(environment, TOOL_NAME) for environment in cast(list[Any], self.environments)]
        return self._turns.start(prompt_ids, tools), None

    def _compute_loss(self, model: Any, inputs: Any) -> torch.Tensor:
        self._loss_mask = inputs.get("tool_mask")
        try:
            return super()._compute_loss(model, inputs)
        finally:
            self._loss_mask = None

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Any, attention_mask: Any, logits_to_keep: int, *rest: Any, **named: Any
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Return log-probabilities and entropies; tokens without loss get 0."""
        plain = self.accelerator.unwrap_model(model)
        options = {name for name, value in named.items() if value is not None and value is not False}
        able = self._on_one_cpu() and can_share_prompts(plain) and not self._entropy_bonus_enabled
        if rest or not options <= {"batch_size", "compute_entropy"} or not able:
            return super()._get_per_token_logps_and_entropies(model, input_ids, attention_mask, logits_to_keep, *rest, **named)
        scored = torch.ones_like(input_ids[:, -logits_to_keep:]) if self._loss_mask is None else self._loss_mask
        log_probs, entropies = completion_log_probs(plain, input_ids, attention_mask, scored.bool(), self.temperature)
        return log_probs, entropies if named.get("compute_entropy") else None, None

    def _samples_turns(self) -> bool:
        """Return whether `TurnSampler` samples as TRL would; vLLM, images and options that change the distribution are left to TRL."""
        if not self._on_one_cpu() or self.use_vllm or self.use_transformers_continuous_batching or self._is_vlm:
            return False
        plain = cast(Any, self.accelerator.unwrap_model(self.model))
        usual = not cast(Any, self.args).generation_kwargs and samples_plainly(self.generation_config, plain.generation_config)
        return usual and can_share_prompts(plain)

    def _on_one_cpu(self) -> bool:
        """Return whether this is one process in full precision; DDP and autocast are left to TRL."""
        found = self.accelerator
        return found.device.type == "cpu" and found.num_processes == 1 and found.mixed_precision == "no"
