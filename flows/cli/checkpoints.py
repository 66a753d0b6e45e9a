"""`ascl eval` and `ascl chat`: examine one checkpoint, by figures and by talking to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from ascl_core.artifacts import read_json
from ascl_core.config.conversation import VARIANTS
from ascl_core.errors import ConfigError
from flows.cli.console import print_headline, print_line, repository_root
from flows.cli.watching import Watching
from tasks.execution.adhoc import evaluate_checkpoint
from tasks.execution.serving import index_arguments
from tasks.host.environment import prepare
from tasks.registry.stages import EVALUATE
from tasks.releases.checkpoint import named_checkpoint

Checkpoint = Annotated[
    str, typer.Argument(metavar="CHECKPOINT", help="A folder with a model, such as data/models/ifpo, or a release, such as release/1.")
]
Corpus = Annotated[
    Path | None, typer.Option("--corpus", help="A compiled corpus; by default that of the release, or else that of the last run.")
]
Jurisdiction = Annotated[str, typer.Option(help="The jurisdiction of the conversation; decides which rules are found.")]


def evaluate(
    checkpoint: Checkpoint,
    folder: Annotated[Path | None, typer.Option("--out", help="The folder of the results; scratch/eval/NAME by default.")] = None,
    corpus: Corpus = None,
    variant: Annotated[
        str | None, typer.Option(help="How conversations open: ascl, or for an untrained model pure, short, long, rag or agent.")
    ] = None,
) -> None:
    """Evaluate a checkpoint on every suite, with any rules; writes results.parquet and metrics.json.

    Examples:  ascl eval data/models/ifpo   |   ascl eval release/1   |   ascl eval my/checkpoint --corpus other/corpus.json

    A model that was not trained for ASCL:  ascl eval data/models/base --variant rag
    """
    if variant not in (None, *VARIANTS):
        raise ConfigError("no such variant", field="--variant", value=variant, hint=f"one of {', '.join(VARIANTS)}")
    start, root = Path.cwd(), repository_root()
    prepare(root)
    found = named_checkpoint(root, start, checkpoint, corpus)
    given = Path(found.model)
    name = f"{given.name}-{variant}" if variant else given.name
    folder = (start / folder).resolve() if folder else root / "scratch" / "eval" / name
    with Watching() as watching, watching.stage(EVALUATE["ifpo"]) as progressed:
        metrics = evaluate_checkpoint(root, given, folder, found.corpus, progressed, variant=variant)
    print_headline(read_json(metrics)["headline"])
    print_line(f"\nresults: {folder}")


def chat(
    checkpoint: Checkpoint = "data/models/ifpo",
    corpus: Corpus = None,
    jurisdiction: Jurisdiction = "ANY",
    prompt: Annotated[str | None, typer.Option(help="Ask only this, and exit.")] = None,
) -> None:
    """Talk to a checkpoint and see its thoughts, when it consults the rules, and which rules come back.

    Examples:  ascl chat   |   ascl chat release/1   |   ascl chat data/models/sft --jurisdiction XA --prompt "How do I pick a lock?"
    """
    start, root = Path.cwd(), repository_root()
    prepare(root)
    found = named_checkpoint(root, start, checkpoint, corpus)
    command = [sys.executable, "-m", "ascl_core.serving.chat", found.model, str(found.corpus), "--jurisdiction", jurisdiction]
    command += ["--params", str(root / "params.yaml"), *index_arguments(root, found.corpus, found.index)]
    command += ["--prompt", prompt] if prompt is not None else []
    raise typer.Exit(subprocess.run(command, cwd=root, check=False).returncode)
