"""Compare generation with vLLM and with transformers: `python benchmarks/vllm_generation.py [--data FOLDER]`.

Both are this project's backends, in one process, with the tool in the loop: the same checkpoint, prompts, temperature, budget of a turn
and seeds. It needs vLLM (`make setup LOCK=requirements/cpu-vllm.lock` where there is no GPU) and runs on a CPU. The rate counts
the tokens that the model wrote, not those of the prompts and the tool's results.

The floor is the time of the matrix products if each prompt and every later token is read once.
"""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import Any

from grpo_world import add_arguments, read_inputs
from rates import Sampled, floor, report, sample
from side_by_side import parser

from ascl_core.conversation.template import opening
from ascl_core.conversation.token_ids import prompt_ids
from ascl_core.generation import Generator, make_generator
from ascl_core.rl.train import schedule_prompts


def main() -> None:
    """Interleave both backends and compare their rates."""
    options = parser(__doc__, repeats=5)
    add_arguments(options)
    options.add_argument("--prompts", type=int, default=64, help="different prompts (default: %(default)s)")
    options.add_argument("--samples", type=int, default=8, help="rollouts of each (default: %(default)s)")
    options.add_argument("--max-new-tokens", type=int, help="the most tokens of a turn (default: the profile's)")
    given = options.parse_args()
    warnings.filterwarnings("ignore")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    section = {"prompts_per_step": given.prompts, "group_size": given.samples, "micro_batch_size": given.prompts * given.samples}
    inputs = read_inputs(given, **section, **({"max_completion_length": given.max_new_tokens} if given.max_new_tokens else {}))
    prompts, index = schedule_prompts(inputs.prompts, inputs.params.ifpo, Path("prompts"))[: given.prompts], inputs.index
    backends: dict[str, Generator] = {
        name: make_generator(inputs.checkpoint, inputs.params.compute.model_copy(update={"backend": name}))
        for name in ("transformers", "vllm")
    }
    sides: dict[str, list[Sampled]] = {"vllm": [], "transformers": []}
    vllm: Any = backends["vllm"]
    for number in range(-1, given.repeats):
        for name, repeats in sides.items():
            vllm.engine.reset_prefix_cache()  # or it would know the prompts from the repeat before
            repeats.append(sample(backends[name], prompts, index, inputs, given, number))
    for repeats in sides.values():
        del repeats[0]  # the warm-up
    stock: Any = backends["transformers"]
    ids = [prompt_ids(stock.tokenizer, opening(prompt, inputs.params.conversation)) for prompt in prompts]
    limit = floor(stock.model, ids, sides["transformers"], given.prompts * given.samples)
    report(sides, "transformers' tokens per second with vLLM", limit, given.json)


if __name__ == "__main__":
    main()
