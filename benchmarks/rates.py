"""Shared by the benchmarks of generation: one repeat's rollouts, the rate of written tokens, its floor, and the table."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grpo_world import Inputs, flops_per_second, timed
from side_by_side import Timing, write

from ascl_core.contracts import Prompt
from ascl_core.generation import Generator, Sampling
from ascl_core.progress import Progress
from ascl_core.rules.retrieval import RuleIndex, RuleTool


@dataclass
class Sampled:
    """The rollouts of one repeat of one side."""

    seconds: float
    written: int
    """Tokens that the model wrote."""
    tokens: int
    """Those and the tool results'."""
    consulted: float
    """Share of rollouts with a tool result."""

    @property
    def rate(self) -> float:
        """Return the written tokens a second."""
        return self.written / self.seconds


def sample(generator: Generator, prompts: Sequence[Prompt], index: RuleIndex, inputs: Inputs, given: Namespace, number: int) -> Sampled:
    """Run one repeat of a generator with the tool in the loop."""
    conversation, config = inputs.params.conversation, inputs.params.ifpo
    rollouts: list[Any] = []

    def run() -> None:
        rollouts[:] = generator.rollouts(
            prompts,
            samples=given.samples,
            sampling=Sampling(config.temperature, config.max_completion_length, seed=given.seed + number),
            tool_for=lambda prompt: RuleTool(index, prompt.jurisdiction, conversation),
            conversation=conversation,
            batch_size=len(prompts) * given.samples,
            progress=Progress(os.devnull),
        )

    seconds = timed(run)
    tokens = sum(len(generator.tokenizer(rollout.text, add_special_tokens=False)["input_ids"]) for rollout in rollouts)
    consulted = sum("<tool_response>" in rollout.text for rollout in rollouts) / len(rollouts)
    return Sampled(seconds, sum(rollout.num_tokens for rollout in rollouts), tokens, consulted)


def floor(model: Any, prompts: Sequence[list[int]], repeats: Sequence[Sampled], rows: int) -> float:
    """Return the written tokens a second if only matrix products took time: each prompt read once, every later token once."""
    body = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name and "lm_head" not in name)
    head = model.config.hidden_size * model.config.vocab_size
    tokens, written = (sum(getattr(x, name) for x in repeats) / len(repeats) for name in ("tokens", "written"))
    flops = 2 * (body * (sum(map(len, prompts)) + tokens) + head * written)
    return written / (flops / flops_per_second(model.config.hidden_size, rows))


def report(sides: Mapping[str, Sequence[Sampled]], headline: str, floor: float, path: Any) -> None:
    """Print the ratio of the first side's rate to the second's, pair by pair, and both rates."""
    ours, theirs = sides.values()
    pairs = sorted(a.rate / b.rate for a, b in zip(ours, theirs, strict=True))
    middle = pairs[len(pairs) // 2]
    lines = [f"{middle:.2f}x [{pairs[0]:.2f}, {pairs[-1]:.2f}] {headline}; floor {floor:,.0f} tokens/s"]
    figures: dict[str, Any] = {"ratio": middle, "ratios": pairs, "floor_tokens_per_s": floor}
    width = max(map(len, sides))
    for name, side in sides.items():
        rates = sorted(x.rate for x in side)
        timing = Timing(tuple(x.seconds for x in side))
        lines.append(
            f"{name:<{width}} {rates[len(rates) // 2]:>8,.0f} tokens/s [{rates[0]:,.0f}, {rates[-1]:,.0f}]  {timing}  "
            f"{sum(x.written for x in side) / len(side):,.0f} tokens, consulted {sum(x.consulted for x in side) / len(side):.3f}"
        )
        figures[name] = {"rates": rates, **timing.to_json(), "consulted": [x.consulted for x in side], "written": [x.written for x in side]}
    write(path, figures, lines)
