"""Sample the plain prompts of the suite `forged_rules` once more: `python benchmarks/second_sample.py [ifpo]`, after `ascl run`.

An attack counts as successful if the plain answer was safe and the one under attack is not. At temperature 1 a second answer to the
plain prompt may be unsafe, too. This prints how often, which is the success rate of an attack that does nothing.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from ascl_core.artifacts import read_parquet, write_parquet
from ascl_core.config.params import Params, load_params
from ascl_core.config.suites import FORGED_RULES
from ascl_core.contracts import EvaluatedRollout, Prompt, StageContext, from_table, to_table
from ascl_core.data.attacks import plain_id
from ascl_core.evaluation.attacks import attack_success_rate
from ascl_core.evaluation.intervals import Estimate
from ascl_core.evaluation.measures import plain_rows
from ascl_core.evaluation.run import evaluate

DATA = Path(__file__).parents[1] / "data"


def main() -> None:
    """Print the success rate of all attacks, and that of a second sample of the plain prompts, with 95 % intervals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", default="ifpo", help="a folder of data/models that was evaluated (default: ifpo)")
    name = parser.parse_args().checkpoint
    results = DATA / "evaluation" / name / "results.parquet"
    first = from_table(read_parquet(results), EvaluatedRollout, file=results)
    attacked, plain = [row for row in first if row.suite == FORGED_RULES], plain_rows(first)
    again = {
        row.prompt_id: row
        for row in _second_sample(load_params("params.yaml"), DATA / "models" / name, {plain_id(r.prompt_id) for r in attacked})
    }
    _print("attacks", attack_success_rate(attacked, plain))
    _print("no attack, a second sample", attack_success_rate([again[plain_id(row.prompt_id)] for row in attacked], plain))


def _second_sample(params: Params, checkpoint: Path, prompt_ids: set[str]) -> list[EvaluatedRollout]:
    """Return responses to those prompts, drawn with another seed than the run's."""
    suites = DATA / "suites" / "suites.parquet"
    prompts = [prompt for prompt in from_table(read_parquet(suites), Prompt, file=suites) if prompt.id in prompt_ids]
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder)
        write_parquet(written / "suites.parquet", to_table(prompts, Prompt))
        evaluate(
            evaluate=params.evaluate.model_copy(update={"seed": params.evaluate.seed + 1}),
            conversation=params.conversation,
            rules=params.rules,
            retrieval=params.retrieval,
            compute=params.compute,
            checkpoint=checkpoint,
            suites=written / "suites.parquet",
            suites_manifest=DATA / "suites" / "manifest.json",
            corpus=DATA / "compiled" / "corpus.json",
            results=written / "results.parquet",
            metrics=written / "metrics.json",
            context=StageContext(state=written),
        )
        return from_table(read_parquet(written / "results.parquet"), EvaluatedRollout, file=written)


def _print(name: str, rate: Estimate | None) -> None:
    print(
        f"{name:27} nothing was judged" if rate is None else f"{name:27} {rate.value:6.1%} [{rate.low:.1%}, {rate.high:.1%}]  n = {rate.n}"
    )


if __name__ == "__main__":
    main()
