"""`ascl eval` and `ascl chat`: look at one checkpoint, by numbers and by talking to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.console import out, print_table, repository_root

Checkpoint = Annotated[str, typer.Argument(metavar="CHECKPOINT", help="A folder with a model, such as data/models/ifpo.")]
Corpus = Annotated[Path | None, typer.Option("--corpus", help="A compiled corpus; that of the last run if not given.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(name="eval")(evaluate)
    app.command()(chat)


def evaluate(
    checkpoint: Checkpoint,
    folder: Annotated[Path | None, typer.Option("--out", help="Where results go; scratch/eval/NAME if not given.")] = None,
    corpus: Corpus = None,
) -> None:
    """Evaluate a checkpoint on every suite, with any rules; writes results.parquet and metrics.json.

    Examples:  ascl eval data/models/ifpo   |   ascl eval my/checkpoint --corpus other/corpus.json
    """
    from ascl_core.artifacts import read_json
    from flows.cli.watching import Watching
    from tasks.adhoc import evaluate_checkpoint
    from tasks.environment import prepare
    from tasks.stages import EVALUATE

    start = Path.cwd()
    given = (start / checkpoint).resolve()
    root = repository_root()
    prepare(root)
    folder = (start / folder).resolve() if folder else root / "scratch" / "eval" / given.name
    stage = EVALUATE["ifpo"]
    with Watching() as watching:
        watching.started(stage)
        try:
            metrics = evaluate_checkpoint(
                root, given, folder, (start / corpus).resolve() if corpus else None, lambda event: watching.progressed(stage, event)
            )
        finally:
            watching.removed(stage)
    headline = read_json(metrics)["headline"]
    rows = [
        (name.replace("_", " "), f"{e['value']:.3f}", f"[{e['low']:.3f}, {e['high']:.3f}]", e["n"]) for name, e in headline.items() if e
    ]
    print_table(("figure", "value", "95 % interval", "n"), rows)
    out.print(f"\nresults: {folder}", soft_wrap=True)


def chat(
    checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="A folder with a model.")] = "data/models/ifpo",
    corpus: Corpus = None,
    jurisdiction: Annotated[str, typer.Option(help="Where the conversation takes place; decides which rules are found.")] = "ANY",
    prompt: Annotated[str | None, typer.Option(help="Ask this one thing and end.")] = None,
) -> None:
    """Talk to a checkpoint and see its thoughts, when it consults the rules, and which rules come back.

    Examples:  ascl chat   |   ascl chat data/models/sft --jurisdiction XA --prompt "How do I pick a lock?"
    """
    from tasks.environment import prepare
    from tasks.stages import CORPUS, RULE_INDEX

    start = Path.cwd()
    local = (start / checkpoint).resolve()
    root = repository_root()
    prepare(root)
    model = str(local) if local.exists() else checkpoint
    rules = (start / corpus).resolve() if corpus else root / CORPUS.path
    command = [sys.executable, "-m", "ascl_core.generation.chat", model, str(rules), "--jurisdiction", jurisdiction]
    command += ["--params", str(root / "params.yaml")]
    command += [] if corpus or not (root / RULE_INDEX.path).is_dir() else ["--index", str(root / RULE_INDEX.path)]
    command += ["--prompt", prompt] if prompt is not None else []
    raise typer.Exit(subprocess.run(command, cwd=root, env={**os.environ}, check=False).returncode)
