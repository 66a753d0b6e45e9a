"""Compare generation with the tool in the loop with TRL's own loop: `python benchmarks/rollouts.py [--data FOLDER]`.

64 prompts with 8 samples each, the same model, prompts, temperature, budget and seeds: `GRPOTrainer` with its
`environment_factory` as in training, and `ascl_core.generation.transformers` as in evaluation. The rate counts the tokens
that the model wrote, not those of the prompts and the tool's results; both sides finish the same number of rollouts.
Both have the same budget, which no rollout reaches: TRL's is for the whole rollout, ours for a turn.

The floor is the time of the matrix products if each prompt and every later token is read once.
"""

from __future__ import annotations

import warnings
from argparse import Namespace

from grpo_world import Side, StockTrainer, add_arguments, read_inputs
from rates import Sampled, floor, report, sample
from side_by_side import parser

from ascl_core.generation.transformers import TransformersGenerator

TARGET = 2.0


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
    side, index = Side(StockTrainer, inputs), inputs.index
    generator = TransformersGenerator(inputs.checkpoint, inputs.params.compute)
    ours, theirs = [], []
    for number in range(-1, given.repeats):
        pair = (sample(generator, side.schedule[: given.prompts], index, inputs, given, number), _theirs(side, given, number))
        if number >= 0:
            ours.append(pair[0])
            theirs.append(pair[1])
    limit = floor(side.trainer.model, side.prompt_ids()[:: given.samples], ours, size)
    report({"ours": ours, "TRL": theirs}, f"TRL's tokens per second, target {TARGET:g}x", limit, given.json)


def _theirs(side: Side, given: Namespace, number: int) -> Sampled:
    """Run TRL's `_generate`, tools and parsing included, on environments that were reset."""
    side.rewind(given.seed + number)
    seconds, (_, completion_ids, tool_mask, *_) = side.generate()
    consulted = sum(0 in mask for mask in tool_mask) / len(tool_mask)
    return Sampled(seconds, sum(map(sum, tool_mask)), sum(map(len, completion_ids)), consulted)


if __name__ == "__main__":
    main()
