"""`ascl release causes`: whether the rules or the weights changed an answer since the release."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ascl_core.artifacts import digest, read_json, read_parquet, sha256_json
from ascl_core.config.evaluate import EvaluateConfig
from ascl_core.config.params import load_params
from ascl_core.contracts import EvaluatedRollout, from_table
from ascl_core.errors import ReleaseError, shortened
from ascl_core.evaluation.causes import Cause, Cell, find_causes, greedy
from ascl_core.released import checkpoint_digest
from ascl_core.text import counted, fold_line
from flows.cli.checkpoints import Corpus, warn_of_uncompiled_rules
from flows.cli.console import out, print_line, print_table, refreshed_root
from flows.cli.watching import Watching
from tasks.execution.adhoc import evaluate_checkpoint, require_folder
from tasks.host import interpreter
from tasks.host.environment import prepare_environment
from tasks.registry.paths import PARAMETERS, SCRATCH
from tasks.registry.stages import CHECKPOINT, EVALUATION, SUITES
from tasks.releases.answer_causes import About, Sides, to_file
from tasks.releases.checkpoint import NamedCheckpoint, named_checkpoint
from tasks.repository.released import CURRENT

_CHARS = 160


def causes(
    checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="The new model: a folder, or a release.")] = CHECKPOINT,
    against: Annotated[
        str, typer.Option("--against", metavar="TAG", help="The release to compare with; the current one by default.")
    ] = CURRENT,
    corpus: Corpus = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts and examples as JSON, for ascl approve --causes.")] = False,
) -> None:
    """Say of each answer that differs from the release's whether the rules or the weights changed it, rule by rule, with examples.

    The prompts of the suites are answered four times: with the release's rules and with the new ones, by the release's weights and by
    the new ones. Answers are greedy, so that no change is luck. An evaluation that is done is not repeated.

    Examples:  ascl release causes   |   ascl release causes release/2 --against release/1 --json

    A swap of the rules alone:  ascl release causes release/1 --corpus data/compiled/corpus.json
    """
    start, root = Path.cwd(), refreshed_root()
    prepare_environment(root)
    interpreter.require()
    new, old = named_checkpoint(root, start, checkpoint, corpus), named_checkpoint(root, start, against, None)
    if old.release is None:
        raise ReleaseError("is no release", field="--against", value=against, hint="name one: ascl release list")
    require_folder(Path(new.model))
    warn_of_uncompiled_rules(root, new.corpus)
    rules = {one: read_json(one.corpus)["digest"] for one in (old, new)}
    weights = {one: checkpoint_digest(Path(one.model)) for one in (old, new)}
    params = load_params(root / PARAMETERS)
    params = params.model_copy(update={"evaluate": greedy(params.evaluate)})
    suites = digest(root / SUITES.path)
    asked = [params.model_dump(mode="json"), suites]
    sides = {Cell.OLD: (old, old), Cell.RULES: (new, old), Cell.WEIGHTS: (old, new), Cell.NEW: (new, new)}
    folders = {
        cell: root / SCRATCH / "causes" / sha256_json([*asked, weights[by], rules[under]])[:16] for cell, (under, by) in sides.items()
    }
    found = find_causes({cell: _answers(root, cell, *sides[cell], folders[cell], params.evaluate) for cell in Cell})
    if as_json:
        about = About(
            release=old.release,
            weights=Sides(old=weights[old], new=weights[new]),
            rules=Sides(old=rules[old], new=rules[new]),
            suites=suites,
        )
        out.print_json(json.dumps(to_file(about, found)))
        return
    print_line(f"{old.release} → {new.release or checkpoint}; rules {rules[old][:12]} → {rules[new][:12]}")
    print_causes(found)
    print_examples(found)


def _answers(
    root: Path, cell: Cell, rules: NamedCheckpoint, weights: NamedCheckpoint, folder: Path, evaluate: EvaluateConfig
) -> list[EvaluatedRollout]:
    """Return the judged answers of one evaluation, which is made unless the folder of its inputs has them already."""
    if not (folder / "metrics.json").is_file():
        sections = {"evaluate": evaluate}
        with Watching() as watching, watching.stage(replace(EVALUATION, name=cell)) as progressed:
            evaluate_checkpoint(root, Path(weights.model), folder, rules.corpus, progressed, sections=sections, index=rules.index)
    file = folder / "results.parquet"
    return from_table(read_parquet(file), EvaluatedRollout, file=file)


def print_causes(found: Mapping[str, Any]) -> None:
    """Print how many answers changed, by cause and rule."""
    asked, unjudged = counted(found["prompts"], "prompt"), found["not_judged"]
    print_line(f"answers that differ: {found['changed']} of {asked}; {unjudged} not judged\n")
    total = {"rule": "all answers", **found}
    columns = ("rule", "changed", *(f"by {cause}" for cause in Cause))
    rows = [(row["rule"] or "none", row["changed"], *(row["causes"][cause] for cause in Cause)) for row in (total, *found["rules"])]
    print_table(columns, rows)


def print_examples(found: Mapping[str, Any]) -> None:
    """Print the examples of each rule, with all four answers."""
    for row in found["rules"]:
        for example in row["examples"]:
            print_line(f"\n{row['rule'] or 'no rule'}, by {example['cause']}: {shortened(fold_line(example['prompt']), _CHARS)}")
            for cell in Cell:
                answer = example["answers"][cell]
                print_line(f"  {cell}: {answer['outcome']}: {shortened(fold_line(answer['answer']), _CHARS)}")
