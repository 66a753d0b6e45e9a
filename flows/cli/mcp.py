"""`ascl mcp`: the rules as an MCP server."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.checkpoints import Corpus
from flows.cli.console import repository_root


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(mcp)


def mcp(
    corpus: Corpus = None,
    jurisdiction: Annotated[str, typer.Option(help="Whose rules are found.")] = "ANY",
    http: Annotated[
        bool, typer.Option("--http", help="Listen for HTTP; otherwise the client starts this command and talks by stdio.")
    ] = False,
    host: Annotated[str, typer.Option(help="The address to listen at; any but this machine's own needs ASCL_SERVE_TOKEN.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen at.")] = 8001,
    follow: Annotated[
        int, typer.Option(min=1, max=65535, help="The port of the ascl serve that shares its rules with this server.")
    ] = 8000,
) -> None:
    """Serve the rules over MCP, with the tool that the served model has; a swap of its rules counts here, too.

    Every look-up is a line of .ascl/serving/look-ups.jsonl. With --http, clients send ASCL_SERVE_TOKEN as a bearer token if it is set.

    Examples:  ascl mcp   |   ascl mcp --http --jurisdiction XA   |   ascl rules swap --url http://127.0.0.1:8001
    """
    from tasks.execution.serving import rule_arguments
    from tasks.host.environment import prepare
    from tasks.registry.stages import CORPUS

    start = Path.cwd()
    root = repository_root()
    prepare(root)
    given = (start / corpus).resolve() if corpus else root / CORPUS.path
    command = [sys.executable, "-m", "ascl_core.serving.mcp", *rule_arguments(root, given, port if corpus else follow)]
    command += ["--transport", "http" if http else "stdio", "--host", host, "--port", str(port), "--jurisdiction", jurisdiction]
    sys.stdout.flush()
    os.execv(sys.executable, command)  # so that signals and the streams of a client reach the server itself
