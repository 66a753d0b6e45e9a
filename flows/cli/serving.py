"""`ascl serve` and `ascl mcp`: a checkpoint behind an OpenAI-compatible endpoint, and the rules as an MCP server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ascl_core.errors import ReleaseError
from ascl_core.vocabulary import ANYWHERE
from flows.cli.checkpoints import Corpus, Jurisdiction, warn_of_uncompiled_rules
from flows.cli.console import become, refreshed_root, repository_root
from tasks.execution.adhoc import require_folder
from tasks.execution.serving import rule_arguments
from tasks.host.environment import prepare_environment
from tasks.registry.paths import DATA
from tasks.registry.stages import CHECKPOINT, CORPUS
from tasks.releases.checkpoint import named_checkpoint, release_of
from tasks.repository.released import CURRENT

Host = Annotated[str, typer.Option(help="The address to listen at; any but this machine's own needs ASCL_SERVE_TOKEN.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="The port to listen at.")]
OnInvalid = Literal["resample", "refuse", "return"]
OnSystem = Literal["ignore", "append", "refuse"]
OnUnknown = Literal["refuse", "ignore"]


def serve(
    checkpoint: Annotated[
        str,
        typer.Argument(metavar="CHECKPOINT", help="A release, such as release/1; with --unreleased a folder or a hub id."),
    ] = CURRENT,
    unreleased: Annotated[bool, typer.Option("--unreleased", help="Serve an unreleased checkpoint; every answer says so.")] = False,
    corpus: Corpus = None,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    jurisdiction: Jurisdiction = ANYWHERE,
    name: Annotated[str | None, typer.Option(help="The model's name in the API; by default that of its folder.")] = None,
    upstream: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Sample with the vLLM server at this address; otherwise transformers samples in this process."),
    ] = None,
    upstream_timeout: Annotated[float, typer.Option(min=0.1, help="The most seconds between two parts of its answer.")] = 120.0,
    upstream_tolerance: Annotated[
        float, typer.Option(min=0, help="How far its log-probabilities may be from the checkpoint's, in nats a token, on average.")
    ] = 0.05,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="The most answers that are sampled at a time; by default 8, or 256 with --upstream.")
    ] = None,
    queue: Annotated[int, typer.Option(min=1, help="The most requests that wait; others get 429.")] = 64,
    max_tokens: Annotated[int, typer.Option(min=1, help="The most tokens of one answer.")] = 2048,
    on_invalid: Annotated[
        OnInvalid,
        typer.Option(help="An answer that is not well-formed: sample it once more and then refuse, refuse at once, or return it."),
    ] = "resample",
    on_system: Annotated[
        OnSystem, typer.Option(help="A client's system messages: ignore them and say so, append them to the trained one, or refuse.")
    ] = "ignore",
    on_unknown: Annotated[
        OnUnknown, typer.Option(help="A parameter that the server does not know: refuse the request, or ignore it and say so.")
    ] = "refuse",
) -> None:
    """Serve the current release with OpenAI's chat completions; it looks up the rules by itself, and they can be swapped while it runs.

    Ends with Ctrl-C or SIGTERM. If ASCL_SERVE_TOKEN is in the environment, clients must send it as a bearer token; whoever swaps the
    rules must send ASCL_SERVE_ADMIN_TOKEN. The key of an upstream server is read from ASCL_UPSTREAM_KEY.

    Examples:  ascl serve   |   ascl serve release/1 --port 8001   |   ascl serve data/models/ifpo --unreleased --jurisdiction XA
               ascl serve --upstream http://127.0.0.1:8001/v1
    """
    start, root = Path.cwd(), refreshed_root()
    prepare_environment(root)
    found = named_checkpoint(root, start, CHECKPOINT if checkpoint == CURRENT and unreleased else checkpoint, corpus)
    model = Path(found.model)
    if found.model.startswith(f"{DATA}/"):
        require_folder(model)
    release = found.release or release_of(root, model, found.corpus)
    if release is None and not unreleased:
        hint = "serve the current release: ascl serve; or serve this checkpoint anyway, and every answer says so: --unreleased"
        raise ReleaseError("this checkpoint with these rules is not released", field="CHECKPOINT", value=checkpoint, hint=hint)
    warn_of_uncompiled_rules(root, found.corpus)
    command = [
        "ascl_core.serving",
        found.model,
        *rule_arguments(root, found.corpus, port, found.index),
        *(["--release", release] if release else []),
    ]
    command += ["--host", host, "--port", str(port), "--jurisdiction", jurisdiction]
    command += ["--on-invalid", on_invalid, "--queue", str(queue), "--max-tokens", str(max_tokens), *(["--name", name] if name else [])]
    command += ["--on-system", on_system, "--on-unknown", on_unknown]
    if upstream:
        limits = ["--upstream-timeout", str(upstream_timeout), "--upstream-tolerance", str(upstream_tolerance)]
        command += ["--upstream", upstream, *limits]
    become([*command, *(["--batch-size", str(batch_size)] if batch_size else [])])


def mcp(
    corpus: Corpus = None,
    jurisdiction: Jurisdiction = ANYWHERE,
    http: Annotated[
        bool, typer.Option("--http", help="Listen for HTTP; otherwise the client starts this command and talks by stdio.")
    ] = False,
    host: Host = "127.0.0.1",
    port: Port = 8001,
    follow: Annotated[
        int, typer.Option(min=1, max=65535, help="The port of the ascl serve that shares its rules with this server.")
    ] = 8000,
) -> None:
    """Serve the rules over MCP, with the same tool as the served model; a swap of that model's rules applies here, too.

    Every look-up is a line of .ascl/serving/look-ups.jsonl. With --http, clients send ASCL_SERVE_TOKEN as a bearer token if it is set.

    Examples:  ascl mcp   |   ascl mcp --http --jurisdiction XA   |   ascl rules swap --url http://127.0.0.1:8001
    """
    start, root = Path.cwd(), repository_root()
    prepare_environment(root)
    given = (start / corpus).resolve() if corpus else root / CORPUS.path
    warn_of_uncompiled_rules(root, given)
    command = ["ascl_core.serving.mcp", *rule_arguments(root, given, port if corpus else follow)]
    become([*command, "--transport", "http" if http else "stdio", "--host", host, "--port", str(port), "--jurisdiction", jurisdiction])
