"""`ascl eval` and `ascl chat`: look at one checkpoint, by numbers and by talking to it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.console import out, print_table, repository_root

Checkpoint = Annotated[
    str, typer.Argument(metavar="CHECKPOINT", help="A folder with a model, such as data/models/ifpo, or a release, such as release/1.")
]
Corpus = Annotated[Path | None, typer.Option("--corpus", help="A compiled corpus; that of the release or of the last run if not given.")]


@dataclass(frozen=True)
class Named:
    """What a person named to serve, ask or evaluate."""

    model: str
    """A folder, or a hub id."""
    corpus: Path
    release: str | None = None
    """The tag, where a release was named and its own rules are used."""
    index: Path | None = None
    """The release's own index of these rules."""


def named(root: Path, start: Path, checkpoint: str, corpus: Path | None) -> Named:
    """Return the model and the rules that somebody in the folder `start` means: a release, a folder or a hub id; `corpus` counts first."""
    from tasks.registry.stages import CORPUS
    from tasks.releases.checkpoint import is_release, released_checkpoint

    own = (start / corpus).resolve() if corpus else None
    if is_release(checkpoint):
        found = released_checkpoint(root, checkpoint)
        return Named(str(found.folder), own) if own else Named(str(found.folder), found.corpus, found.tag, found.index)
    folders = [folder for folder in ((start / checkpoint).resolve(), (root / checkpoint).resolve()) if folder.exists()]
    return Named(str(folders[0]) if folders else checkpoint, own or root / CORPUS.path)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(name="eval")(evaluate)
    app.command()(chat)


def evaluate(
    checkpoint: Checkpoint,
    folder: Annotated[Path | None, typer.Option("--out", help="Where results go; scratch/eval/NAME if not given.")] = None,
    corpus: Corpus = None,
    variant: Annotated[
        str | None, typer.Option(help="How conversations open: ascl, or for an untrained model pure, short, long, rag or agent.")
    ] = None,
) -> None:
    """Evaluate a checkpoint on every suite, with any rules; writes results.parquet and metrics.json.

    Examples:  ascl eval data/models/ifpo   |   ascl eval release/1   |   ascl eval my/checkpoint --corpus other/corpus.json

    A model that was not trained for ASCL:  ascl eval data/models/base --variant rag
    """
    from ascl_core.artifacts import read_json
    from ascl_core.config.conversation import VARIANTS
    from ascl_core.errors import ConfigError
    from flows.cli.watching import Watching
    from tasks.execution.adhoc import evaluate_checkpoint
    from tasks.host.environment import prepare
    from tasks.registry.stages import EVALUATE

    if variant not in (None, *VARIANTS):
        raise ConfigError("no such variant", field="--variant", value=variant, hint=f"one of {', '.join(VARIANTS)}")
    start = Path.cwd()
    root = repository_root()
    prepare(root)
    found = named(root, start, checkpoint, corpus)
    given = Path(found.model)
    name = f"{given.name}-{variant}" if variant else given.name
    folder = (start / folder).resolve() if folder else root / "scratch" / "eval" / name
    stage = EVALUATE["ifpo"]
    with Watching() as watching:
        watching.started(stage)
        try:
            progressed = partial(watching.progressed, stage)
            metrics = evaluate_checkpoint(root, given, folder, found.corpus, progressed, variant=variant)
        finally:
            watching.removed(stage)
    headline = read_json(metrics)["headline"]
    rows = [
        (name.replace("_", " "), f"{e['value']:.3f}", f"[{e['low']:.3f}, {e['high']:.3f}]", e["n"]) for name, e in headline.items() if e
    ]
    print_table(("figure", "value", "95 % interval", "n"), rows)
    out.print(f"\nresults: {folder}", soft_wrap=True)


def chat(
    checkpoint: Checkpoint = "data/models/ifpo",
    corpus: Corpus = None,
    jurisdiction: Annotated[str, typer.Option(help="Where the conversation takes place; decides which rules are found.")] = "ANY",
    prompt: Annotated[str | None, typer.Option(help="Ask this one thing and end.")] = None,
) -> None:
    """Talk to a checkpoint and see its thoughts, when it consults the rules, and which rules come back.

    Examples:  ascl chat   |   ascl chat release/1   |   ascl chat data/models/sft --jurisdiction XA --prompt "How do I pick a lock?"
    """
    from tasks.execution.serving import index_arguments
    from tasks.host.environment import prepare

    start = Path.cwd()
    root = repository_root()
    prepare(root)
    found = named(root, start, checkpoint, corpus)
    command = [sys.executable, "-m", "ascl_core.generation.chat", found.model, str(found.corpus), "--jurisdiction", jurisdiction]
    command += ["--params", str(root / "params.yaml"), *index_arguments(root, found.corpus, found.index)]
    command += ["--prompt", prompt] if prompt is not None else []
    raise typer.Exit(subprocess.run(command, cwd=root, env={**os.environ}, check=False).returncode)
