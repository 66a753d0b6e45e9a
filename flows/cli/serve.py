"""`ascl serve`: a checkpoint behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.cli.checkpoints import Corpus, named
from flows.cli.console import repository_root
from tasks.repository.released import NOW

Backend = Literal["transformers", "vllm"]
OnInvalid = Literal["resample", "refuse", "return"]


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(serve)


def serve(
    checkpoint: Annotated[
        str,
        typer.Argument(metavar="CHECKPOINT", help="A release, such as release/1; with --unreleased a folder or a hub id."),
    ] = NOW,
    unreleased: Annotated[bool, typer.Option("--unreleased", help="Serve what is not released; every answer says so.")] = False,
    corpus: Corpus = None,
    host: Annotated[str, typer.Option(help="The address to listen at; any but this machine's own needs ASCL_SERVE_TOKEN.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen at.")] = 8000,
    jurisdiction: Annotated[str, typer.Option(help="That of requests that name none.")] = "ANY",
    name: Annotated[str | None, typer.Option(help="The model's name in the API; that of its folder if not given.")] = None,
    backend: Annotated[Backend | None, typer.Option(help="What samples; vLLM where it is installed on a GPU, if not given.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="The most answers that are sampled at a time.")] = 8,
    queue: Annotated[int, typer.Option(min=1, help="The most requests that wait; others get 429.")] = 64,
    max_tokens: Annotated[int, typer.Option(min=1, help="The most tokens of one answer.")] = 2048,
    on_invalid: Annotated[
        OnInvalid,
        typer.Option(help="An answer that is not well-formed: sample it once more and then refuse, refuse at once, or return it."),
    ] = "resample",
) -> None:
    """Serve what is released with OpenAI's chat completions; it looks the rules up by itself, and they can be swapped while it runs.

    Ends with Ctrl-C or SIGTERM. With ASCL_SERVE_TOKEN in the environment clients must send it as a bearer token, with
    ASCL_SERVE_ADMIN_TOKEN whoever swaps the rules.

    Examples:  ascl serve   |   ascl serve release/1 --port 8001   |   ascl serve data/models/ifpo --unreleased --jurisdiction XA
    """
    from ascl_core.errors import ModelError, ReleaseError
    from tasks.execution.serving import rule_arguments
    from tasks.host.environment import prepare
    from tasks.releases.checkpoint import release_of

    start = Path.cwd()
    root = repository_root()
    prepare(root)
    found = named(root, start, "data/models/ifpo" if checkpoint == NOW and unreleased else checkpoint, corpus)
    model = Path(found.model)
    if not model.exists() and found.model.startswith("data/"):
        raise ModelError("no checkpoint is there", file=found.model, hint="make it: ascl run; or give another folder with a model")
    release = found.release or release_of(root, model, found.corpus)
    if release is None and not unreleased:
        hint = "serve what is released: ascl serve; or serve this all the same, which every answer says: --unreleased"
        raise ReleaseError("this checkpoint with these rules is not released", field="CHECKPOINT", value=checkpoint, hint=hint)
    released_as = ["--release", release] if release else []
    command = [sys.executable, "-m", "ascl_core.serving", found.model, *rule_arguments(root, found.corpus, port, found.index), *released_as]
    command += ["--host", host, "--port", str(port), "--jurisdiction", jurisdiction, "--batch-size", str(batch_size)]
    command += ["--on-invalid", on_invalid, "--queue", str(queue), "--max-tokens", str(max_tokens), *(["--name", name] if name else [])]
    command += ["--backend", backend] if backend else []
    sys.stdout.flush()
    os.execv(sys.executable, command)  # so that signals reach the server itself
