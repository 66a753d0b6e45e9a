"""IFPO on TRL: `GRPOTrainer` with its advantages replaced; nothing else of its results is changed.

The paper's mean over tokens is TRL's loss `dapo`: it divides by the loss tokens of all rollouts of a step, over all
micro-batches and processes. (`bnpo` divides by those of each micro-batch, and averages the micro-batches.)

Two methods are overridden (TRL 1.16): `_calculate_rewards`, which also gathers each rollout's mode, and `_generate_and_score_completions`,
whose returned `"advantages"` are this process's slice and are exchanged for ours. If the modes were not seen in between, training stops:
silence would be plain GRPO under another name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from accelerate.utils import gather, gather_object

from ascl_core.config.ifpo import IfpoConfig
from ascl_core.contracts import Prompt
from ascl_core.conversation.formats import canonical_text, end_ids
from ascl_core.cpu.grpo import CpuGrpoTrainer
from ascl_core.errors import TrainingError
from ascl_core.rl.advantages import ifpo_advantages, mode_weights, one_mode_fraction
from ascl_core.rl.idle import without_idle
from ascl_core.rl.rollouts import RolloutLog, Row, describe
from ascl_core.rl.scoring import ScoredBatch, Scorer, of_all_processes
from ascl_core.rules.editions import RuleEdition
from ascl_core.sft.safeguards import Safeguards


class IfpoTrainer(Safeguards, CpuGrpoTrainer):
    """`GRPOTrainer` whose advantages are those of the rule that `ifpo.rebalance` names."""

    def __init__(
        self,
        *,
        ifpo: IfpoConfig,
        scorer: Scorer,
        prompts_by_id: dict[str, Prompt],
        editions: Sequence[RuleEdition],
        rollouts: RolloutLog,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.ifpo = ifpo
        self.scorer = scorer
        self.prompts_by_id = prompts_by_id
        self.editions = editions
        self.rollouts = rollouts
        self._scored: ScoredBatch | None = None
        self._rows: list[Row] = []
        self._weights = torch.empty(0)

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> torch.Tensor:
        tokenizer: Any = self._tokenizer
        texts = [canonical_text(tokenizer, text) for text in tokenizer.batch_decode(completion_ids_list, skip_special_tokens=False)]
        ends = end_ids(tokenizer)
        finished = [bool(ids) and ids[-1] in ends for ids in completion_ids_list]
        decided = [self.editions[row["edition"]].decide(self.prompts_by_id[row["prompt_id"]]) for row in inputs]
        scored = self.scorer.score(decided, texts, finished)
        self._scored = of_all_processes(scored)
        self._rows = gather_object(describe(inputs, scored, texts, self.editions))
        self._log_figures(self._scored.figures())
        return self._tensor(self._scored.rewards)[:, None]

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        self._scored = None
        output = super()._generate_and_score_completions(inputs)
        if self._scored is None or "advantages" not in output:
            raise TrainingError("the mode of the rollouts was not seen", hint="this TRL version calls its reward functions elsewhere")
        local = output["advantages"].shape[0]
        start = self.accelerator.process_index * local
        advantages = self._rebalanced(self._scored)
        output["advantages"] = advantages[start : start + local].to(output["advantages"])
        if self._is_training():
            self._keep_rollouts(advantages)
        if not self._is_training() or self.beta != 0.0:
            return output
        working = int(gather((output["advantages"] != 0).sum()[None]).max())  # of the busiest process, as TRL gathers rollouts' figures
        return without_idle(output, self.args.steps_per_generation, working, over_rollouts=self.ifpo.loss == "sequence_mean")

    def _rebalanced(self, batch: ScoredBatch) -> torch.Tensor:
        """Return the advantages (N,) of the whole batch over all processes, and log the weights."""
        size = cast(int, self.num_generations if self._is_training() else self.num_generations_eval)
        rewards, consulted = self._tensor(batch.rewards), self._tensor(batch.consulted, torch.bool)
        bounds: dict[str, Any] = {"tau": self.ifpo.tau, "min_weight": self.ifpo.min_weight, "max_weight": self.ifpo.max_weight}
        self._weights = weights = mode_weights(rewards, consulted, size, **bounds)
        low, high = rewards.nan_to_num(0.0).reshape(-1, size).aminmax(dim=1)
        self._log_figures(
            {
                "weights/mean": float(weights.mean()),
                "weights/max": float(weights.max()),
                "groups/one_mode": one_mode_fraction(rewards, consulted, size),
                "groups/zero_variance": float((high - low < 1e-8).float().mean()),
            }
        )
        return ifpo_advantages(
            rewards,
            consulted,
            size,
            rebalance=self.ifpo.rebalance,
            **bounds,
            lookups=self._tensor(batch.lookups, torch.long),
            correct=self._tensor(batch.correct, torch.bool),
            efficiency_weight=self.ifpo.efficiency_weight,
        )

    def _keep_rollouts(self, advantages: torch.Tensor) -> None:
        if self.is_world_process_zero():
            size, step = cast(int, self.num_generations), self.state.global_step + 1
            self.rollouts.write(step, self._rows, self._weights.tolist(), advantages.tolist(), size)

    def _tensor(self, values: Sequence[float], dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.tensor(values, dtype=dtype, device=self.accelerator.device)

    def _is_training(self) -> bool:
        return bool(cast(Any, self.model).training)

    def _log_figures(self, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self._metrics["train" if self._is_training() else "eval"][name].append(value)
