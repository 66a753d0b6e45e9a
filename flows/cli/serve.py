"""`ascl serve`: a checkpoint behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.cli.checkpoints import Corpus
from flows.cli.console import repository_root

Backend = Literal["transformers", "vllm"]


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(serve)


def serve(
    checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="A folder with a model, or a hub id.")] = "data/models/ifpo",
    corpus: Corpus = None,
    host: Annotated[str, typer.Option(help="The address to listen at; any but this machine's own needs ASCL_SERVE_TOKEN.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen at.")] = 8000,
    jurisdiction: Annotated[str, typer.Option(help="That of requests that name none.")] = "ANY",
    name: Annotated[str | None, typer.Option(help="The model's name in the API; that of its folder if not given.")] = None,
    backend: Annotated[Backend | None, typer.Option(help="What samples; vLLM where it is installed on a GPU, if not given.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="The most answers that are sampled at a time.")] = 8,
    queue: Annotated[int, typer.Option(min=1, help="The most requests that wait; others get 429.")] = 64,
    max_tokens: Annotated[int, typer.Option(min=1, help="The most tokens of one answer.")] = 2048,
) -> None:
    """Serve a checkpoint with OpenAI's chat completions; it looks the rules up by itself, and they can be swapped while it runs.

    Ends with Ctrl-C or SIGTERM. With ASCL_SERVE_TOKEN in the environment clients must send it as a bearer token, with
    ASCL_SERVE_ADMIN_TOKEN whoever swaps the rules.

    Examples:  ascl serve   |   ascl serve data/models/sft --port 8001 --jurisdiction XA
    """
    from ascl_core.errors import ModelError
    from tasks.environment import prepare
    from tasks.serving import rule_arguments

    start = Path.cwd()
    local = (start / checkpoint).resolve()
    root = repository_root()
    prepare(root)
    given = local if local.exists() else (root / checkpoint).resolve()
    if not given.exists() and checkpoint.startswith("data/"):
        raise ModelError("no checkpoint is there", file=checkpoint, mend="make it: ascl run; or give another folder with a model")
    rules = rule_arguments(root, (start / corpus).resolve() if corpus else None, port)
    command = [sys.executable, "-m", "ascl_core.serving", str(given) if given.exists() else checkpoint, *rules]
    command += ["--host", host, "--port", str(port), "--jurisdiction", jurisdiction, "--batch-size", str(batch_size)]
    command += ["--queue", str(queue), "--max-tokens", str(max_tokens), *(["--name", name] if name else [])]
    command += ["--backend", backend] if backend else []
    sys.stdout.flush()
    os.execv(sys.executable, command)  # so that signals reach the server itself
