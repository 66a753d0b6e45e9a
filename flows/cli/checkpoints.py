"""`ascl eval` and `ascl chat`: examine one checkpoint, by figures and by talking to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from ascl_core.artifacts import read_json
from ascl_core.config.conversation import Variant
from ascl_core.config.params import load_params
from ascl_core.evaluation.figures import JUDGED
from ascl_core.vocabulary import ANYWHERE
from flows.cli.console import print_headline, print_line, print_warning, root_for
from flows.cli.watching import Watching
from tasks.execution.adhoc import evaluate_checkpoint
from tasks.execution.serving import index_arguments
from tasks.host import interpreter
from tasks.host.environment import prepare_environment
from tasks.registry.paths import PARAMETERS, SCRATCH
from tasks.registry.stages import CHECKPOINT, EVALUATION
from tasks.releases.checkpoint import named_checkpoint
from tasks.runs.rule_sources import describe_uncompiled

Checkpoint = Annotated[
    str, typer.Argument(metavar="CHECKPOINT", help="A folder with a model, such as data/models/ifpo, or a release, such as release/1.")
]
Corpus = Annotated[
    Path | None, typer.Option("--corpus", help="A compiled corpus; by default that of the release, or else that of the last run.")
]
Jurisdiction = Annotated[str, typer.Option(help="The jurisdiction of the conversation; decides which rules are found.")]

_COMPILE = "ascl run trains for them; to look them up without training: ascl stages run validate_rules, ascl stages run index_rules"


def warn_of_uncompiled_rules(root: Path, corpus: Path) -> None:
    """Warn if the rules in use are those of the last run, and somebody has edited them since."""
    if problem := describe_uncompiled(root, corpus, load_params(root / PARAMETERS).rules):
        print_warning(f"{problem}. The rules of that run are used.\n  hint: {_COMPILE}")


def evaluate(
    checkpoint: Checkpoint,
    folder: Annotated[Path | None, typer.Option("--out", help="The folder of the results; scratch/eval/NAME by default.")] = None,
    corpus: Corpus = None,
    variant: Annotated[Variant | None, typer.Option(help="How conversations open; all but ascl are for an untrained model.")] = None,
) -> None:
    """Evaluate a checkpoint on every suite, with any rules; writes results.parquet and metrics.json.

    Examples:  ascl eval data/models/ifpo   |   ascl eval release/1   |   ascl eval my/checkpoint --corpus other/corpus.json

    A model that was not trained for ASCL:  ascl eval data/models/base --variant rag
    """
    start, root = Path.cwd(), root_for(checkpoint)
    prepare_environment(root)
    interpreter.require()
    found = named_checkpoint(root, start, checkpoint, corpus)
    warn_of_uncompiled_rules(root, found.corpus)
    given = Path(found.model)
    name = f"{given.name}-{variant}" if variant else given.name
    folder = (start / folder).resolve() if folder else root / SCRATCH / "eval" / name
    conversation = load_params(root / PARAMETERS).conversation
    sections = {"conversation": conversation.model_copy(update={"variant": variant})} if variant else {}
    with Watching() as watching, watching.stage(EVALUATION) as progressed:
        metrics = evaluate_checkpoint(root, given, folder, found.corpus, progressed, sections=sections, index=found.index)
    found_metrics = read_json(metrics)
    print_headline(found_metrics["headline"])
    if second := found_metrics.get("second_judge"):
        print_line(f"\nby the second judge, {second['judge']}:")
        print_headline({key: second["headline"].get(key) for key in JUDGED})
    print_line(f"\nresults: {folder}")


def chat(
    checkpoint: Checkpoint = CHECKPOINT,
    corpus: Corpus = None,
    jurisdiction: Jurisdiction = ANYWHERE,
    prompt: Annotated[str | None, typer.Option(help="Ask only this, and exit.")] = None,
) -> None:
    """Talk to a checkpoint and see its thoughts, when it consults the rules, and which rules come back.

    Examples:  ascl chat   |   ascl chat release/1   |   ascl chat data/models/sft --jurisdiction XA --prompt "How do I pick a lock?"
    """
    start, root = Path.cwd(), root_for(checkpoint)
    prepare_environment(root)
    found = named_checkpoint(root, start, checkpoint, corpus)
    warn_of_uncompiled_rules(root, found.corpus)
    command = [sys.executable, "-m", "ascl_core.serving.chat", found.model, str(found.corpus), "--jurisdiction", jurisdiction]
    command += ["--params", str(root / PARAMETERS), *index_arguments(root, found.corpus, found.index)]
    command += ["--prompt", prompt] if prompt is not None else []
    raise typer.Exit(subprocess.run(command, cwd=root, check=False).returncode)
