"""Generation with the tool in the loop against TRL's own loop: `python benchmarks/rollouts.py [--data FOLDER]`.

64 prompts with 8 samples each, the same model, prompts, temperature, budget and seeds: `GRPOTrainer` with its
`environment_factory` as in training, and `ascl_core.generation.transformers` as in evaluation. The rate counts the tokens
that the model wrote, not those of the prompts and the tool's results; both sides finish the same number of rollouts.
Their turns have the same budget, which none of them reaches: TRL's is for the whole rollout.

The floor is the arithmetic of reading each prompt once and every later token once, by the speed of a matrix product.
"""

from __future__ import annotations

import os
import warnings
from argparse import Namespace
from dataclasses import dataclass
from typing import Any

from grpo_world import Inputs, Side, StockTrainer, add_arguments, flops_per_second, read_inputs, timed
from side_by_side import Timing, parser, write

from ascl_core.generation import Sampling
from ascl_core.generation.transformers import TransformersGenerator
from ascl_core.progress import Progress
from ascl_core.rules.retrieval import RuleTool

TARGET = 2.0


@dataclass
class Sampled:
    """What one repeat of one side made."""

    seconds: float
    written: int
    """Tokens that the model wrote."""
    tokens: int
    """Those and the tool results'."""
    consulted: float
    """Share of rollouts with a tool result."""

    @property
    def rate(self) -> float:
        """Written tokens a second."""
        return self.written / self.seconds


def main() -> None:
    """Interleave both sides and compare their rates."""
    options = parser(__doc__, repeats=5)
    add_arguments(options)
    options.add_argument("--prompts", type=int, default=64, help="different prompts (default: %(default)s)")
    options.add_argument("--samples", type=int, default=8, help="rollouts of each (default: %(default)s)")
    given = options.parse_args()
    warnings.filterwarnings("ignore")
    size = given.prompts * given.samples
    inputs = read_inputs(given, prompts_per_step=given.prompts, group_size=given.samples, micro_batch_size=size)
    side = Side(StockTrainer, inputs)
    generator = TransformersGenerator(inputs.checkpoint, inputs.params.compute)
    ours, theirs = [], []
    for number in range(-1, given.repeats):
        pair = (_ours(generator, side, inputs, given, number), _theirs(side, given, number))
        if number >= 0:
            ours.append(pair[0])
            theirs.append(pair[1])
    _report(ours, theirs, _floor(side, ours), given)


def _ours(generator: TransformersGenerator, side: Side, inputs: Inputs, given: Namespace, number: int) -> Sampled:
    index, conversation, config = inputs.index, inputs.params.conversation, inputs.params.ifpo
    prompts = side.schedule[: given.prompts]
    rollouts: list[Any] = []

    def run() -> None:
        rollouts[:] = generator.rollouts(
            prompts,
            samples=given.samples,
            sampling=Sampling(config.temperature, config.max_completion_length, seed=given.seed + number),
            tool_for=lambda prompt: RuleTool(index, prompt.jurisdiction, conversation.rules_per_lookup),
            conversation=conversation,
            batch_size=given.prompts * given.samples,
            progress=Progress(os.devnull),
        )

    seconds = timed(run)
    tokens = sum(len(generator.tokenizer(rollout.text, add_special_tokens=False)["input_ids"]) for rollout in rollouts)
    consulted = sum("<tool_response>" in rollout.text for rollout in rollouts) / len(rollouts)
    return Sampled(seconds, sum(rollout.num_tokens for rollout in rollouts), tokens, consulted)


def _theirs(side: Side, given: Namespace, number: int) -> Sampled:
    """TRL's `_generate`, tools and reading of the answers included, on environments that were reset."""
    side.rewind(given.seed + number)
    seconds, (_, completion_ids, tool_mask, *_) = side.generate()
    consulted = sum(0 in mask for mask in tool_mask) / len(tool_mask)
    return Sampled(seconds, sum(map(sum, tool_mask)), sum(map(len, completion_ids)), consulted)


def _floor(side: Side, ours: list[Sampled]) -> float:
    """Written tokens a second if nothing but the matrix products took time."""
    model = side.trainer.model
    body = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name and "lm_head" not in name)
    head = model.config.hidden_size * model.config.vocab_size
    prompt = sum(len(ids) for ids in side.prompt_ids()) / side.trainer.num_generations
    tokens, written = (sum(getattr(x, name) for x in ours) / len(ours) for name in ("tokens", "written"))
    return written / (2 * (body * (prompt + tokens) + head * written) / flops_per_second(model.config.hidden_size, len(side.batch)))


def _report(ours: list[Sampled], theirs: list[Sampled], floor: float, given: Namespace) -> None:
    pairs = sorted(a.rate / b.rate for a, b in zip(ours, theirs, strict=True))
    middle = pairs[len(pairs) // 2]
    lines = [f"{middle:.2f}x [{pairs[0]:.2f}, {pairs[-1]:.2f}] TRL's tokens per second, target {TARGET:g}x; floor {floor:,.0f} tokens/s"]
    figures: dict[str, Any] = {"ratio": middle, "ratios": pairs, "floor_tokens_per_s": floor}
    for name, side in (("ours", ours), ("TRL", theirs)):
        rates = sorted(x.rate for x in side)
        timing = Timing(tuple(x.seconds for x in side))
        lines.append(
            f"{name:<5} {rates[len(rates) // 2]:>8,.0f} tokens/s [{rates[0]:,.0f}, {rates[-1]:,.0f}]  {timing}  "
            f"{sum(x.written for x in side) / len(side):,.0f} tokens, consulted {sum(x.consulted for x in side) / len(side):.3f}"
        )
        figures[name] = {"rates": rates, **timing.to_json(), "consulted": [x.consulted for x in side], "written": [x.written for x in side]}
    write(given.json, figures, lines)


if __name__ == "__main__":
    main()
