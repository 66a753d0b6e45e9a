"""IFPO on TRL: `GRPOTrainer` with its advantages replaced; nothing else of it is changed.

The paper's mean over tokens is TRL's loss `dapo`: it divides by the loss tokens of all rollouts of a step, over all
micro-batches and processes. (`bnpo` divides by those of each micro-batch, and averages the micro-batches.)

Two methods are overridden for the advantages (TRL 1.16): `_calculate_rewards`, which also gathers each rollout's mode, and
`_generate_and_score_completions`, whose returned `"advantages"` are this process's slice and are exchanged for ours. If
the modes were not seen in between, training stops: silence would be plain GRPO under another name.

Three more for speed on a CPU, with the same probabilities, loss and gradient: `_generate_single_turn` samples the turns of
TRL's tool loop (`ascl_core.rl.sampling`), `_compute_loss` notes which tokens carry loss, and
`_get_per_token_logps_and_entropies` scores those alone (`ascl_core.rl.log_probs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from accelerate.utils import gather
from trl import GRPOTrainer

from ascl_core.config.ifpo import IfpoConfig
from ascl_core.contracts import Prompt
from ascl_core.conversation.tool import TOOL_NAME
from ascl_core.errors import TrainingError
from ascl_core.generation.grouped_attention import use_grouped_attention
from ascl_core.rl.advantages import ifpo_advantages, mode_weights, one_mode_fraction
from ascl_core.rl.log_probs import can_share_prompts, completion_log_probs
from ascl_core.rl.sampling import TurnSampler, samples_plainly
from ascl_core.rl.scoring import ScoredBatch, Scorer, of_all_processes
from ascl_core.rules.editions import RuleEdition
from ascl_core.sft.safeguards import Safeguards


class IfpoTrainer(Safeguards, GRPOTrainer):
    """`GRPOTrainer` whose advantages are those of the rule that `ifpo.rebalance` names."""

    def __init__(
        self, *, ifpo: IfpoConfig, scorer: Scorer, prompts_by_id: dict[str, Prompt], editions: Sequence[RuleEdition], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.ifpo = ifpo
        self.scorer = scorer
        self.prompts_by_id = prompts_by_id
        self.editions = editions
        self._scored: ScoredBatch | None = None
        self._loss_mask: torch.Tensor | None = None
        self._turns: TurnSampler | None = None
        if self._samples_turns():
            use_grouped_attention(self.accelerator.unwrap_model(self.model))

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> torch.Tensor:
        device = self.accelerator.device
        texts = self._tokenizer.batch_decode(completion_ids_list, skip_special_tokens=False)
        finished = [bool(ids) and ids[-1] == self._tokenizer.eos_token_id for ids in completion_ids_list]
        decided = [self.editions[row["edition"]].decide(self.prompts_by_id[row["prompt_id"]]) for row in inputs]
        batch = of_all_processes(self.scorer.score(decided, texts, finished))
        self._scored = batch
        self._log_figures(batch.figures())
        return torch.tensor(batch.rewards, dtype=torch.float32, device=device)[:, None]

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        self._scored = self._turns = None
        output = super()._generate_and_score_completions(inputs)
        if self._scored is None or "advantages" not in output:
            raise TrainingError("the mode of the rollouts was not seen", hint="this TRL version calls its reward functions elsewhere")
        advantages = self._rebalanced(self._scored)
        local = output["advantages"].shape[0]
        start = self.accelerator.process_index * local
        output["advantages"] = advantages[start : start + local].to(output["advantages"])
        if not self._is_training() or self.beta != 0.0:
            return output
        working = int(gather((output["advantages"] != 0).sum()[None]).max())  # of the busiest process, as TRL gathers rollouts' figures
        return _without_idle(output, self.args.steps_per_generation, working, over_rollouts=self.ifpo.loss == "sequence_mean")

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
        return self._turns.begin(prompt_ids, tools), None

    def _compute_loss(self, model: Any, inputs: Any) -> torch.Tensor:
        self._loss_mask = inputs.get("tool_mask")
        try:
            return super()._compute_loss(model, inputs)
        finally:
            self._loss_mask = None

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Any, attention_mask: Any, logits_to_keep: int, *rest: Any, **named: Any
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Tokens without loss get the log-probability 0."""
        plain = self.accelerator.unwrap_model(model)
        options = {name for name, value in named.items() if value is not None and value is not False}
        able = self._on_one_cpu() and can_share_prompts(plain) and not self._entropy_bonus_enabled
        if rest or not options <= {"batch_size", "compute_entropy"} or not able:
            return super()._get_per_token_logps_and_entropies(model, input_ids, attention_mask, logits_to_keep, *rest, **named)
        scored = torch.ones_like(input_ids[:, -logits_to_keep:]) if self._loss_mask is None else self._loss_mask
        log_probs, entropies = completion_log_probs(plain, input_ids, attention_mask, scored.bool(), self.temperature)
        return log_probs, entropies if named.get("compute_entropy") else None, None

    def _samples_turns(self) -> bool:
        """Whether `TurnSampler` samples as TRL would; vLLM, images and options that change the distribution are left to TRL."""
        if not self._on_one_cpu() or self.use_vllm or self.use_transformers_continuous_batching or self._is_vlm:
            return False
        plain = cast(Any, self.accelerator.unwrap_model(self.model))
        usual = not cast(Any, self.args).generation_kwargs and samples_plainly(self.generation_config, plain.generation_config)
        return usual and can_share_prompts(plain)

    def _on_one_cpu(self) -> bool:
        """One process in full precision: DDP and autocast are left to TRL."""
        found = self.accelerator
        return found.device.type == "cpu" and found.num_processes == 1 and found.mixed_precision == "no"

    def _rebalanced(self, batch: ScoredBatch) -> torch.Tensor:
        """Advantages (N,) of the whole batch over all processes."""
        size = cast(int, self.num_generations if self._is_training() else self.num_generations_eval)
        device = self.accelerator.device
        rewards = torch.tensor(batch.rewards, dtype=torch.float32, device=device)
        consulted = torch.tensor(batch.consulted, device=device)
        bounds: dict[str, Any] = {"tau": self.ifpo.tau, "min_weight": self.ifpo.min_weight, "max_weight": self.ifpo.max_weight}
        weights = mode_weights(rewards, consulted, size, **bounds)
        spread = rewards.nan_to_num(0.0).reshape(-1, size)
        self._log_figures(
            {
                "weights/mean": float(weights.mean()),
                "weights/max": float(weights.max()),
                "groups/one_mode": one_mode_fraction(rewards, consulted, size),
                "groups/zero_variance": float((spread.amax(1) - spread.amin(1) < 1e-8).float().mean()),
            }
        )
        return ifpo_advantages(
            rewards,
            consulted,
            size,
            rebalance=self.ifpo.rebalance,
            **bounds,
            lookups=torch.tensor(batch.lookups, device=device),
            correct=torch.tensor(batch.correct, device=device),
            efficiency_weight=self.ifpo.efficiency_weight,
        )

    def _is_training(self) -> bool:
        return bool(cast(Any, self.model).training)

    def _log_figures(self, figures: dict[str, float]) -> None:
        mode = "train" if self._is_training() else "eval"
        for name, value in figures.items():
            self._metrics[mode][name].append(value)


def _without_idle(batch: dict[str, Any], num_chunks: int, working: int, *, over_rollouts: bool) -> dict[str, Any]:
    """Return the batch without rollouts of advantage 0, for a loss without a KL term: they cost as much as others and move nothing.

    Of N rollouts K stay, at least the `working` ones, and a multiple of the chunks into which TRL cuts the batch. A mean over
    tokens divides by `num_items_in_batch`, which TRL counted before and which stays. For a mean `over_rollouts` the advantages are
    scaled by K/N, so that the mean over K is the mean over N. Columns that are padding in every rollout that stays are cut off.
    """
    advantages = batch["advantages"]
    n = len(advantages)
    by_use = torch.argsort((advantages == 0).int(), stable=True)
    k = max(1, -(-working // num_chunks)) * num_chunks
    rows = by_use[:k].sort().values
    prompt_width, width = batch["prompt_mask"].shape[1], batch["completion_mask"].shape[1]
    first = prompt_width - int(batch["prompt_mask"][rows].sum(1).max())
    last = int(batch["completion_mask"][rows].sum(1).max())

    def kept(name: str, value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.ndim == 0:
            return [value[row] for row in rows.tolist()] if isinstance(value, list) else value
        value = value[rows]
        if name in ("prompt_ids", "prompt_mask"):
            return value[:, first:]
        return value[:, :last] if value.ndim == 2 and value.shape[1] == width else value

    scale = k / n if over_rollouts else 1.0
    return {name: kept(name, value) for name, value in batch.items()} | {"advantages": advantages[rows] * scale}
