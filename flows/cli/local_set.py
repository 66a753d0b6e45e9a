"""`ascl server`, `ascl worker` and `ascl deploy`: a local set, or the deployments of a server that runs elsewhere."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from flows.cli.console import err, out, print_table, repository_root


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (server, worker, deploy):
        app.command()(command)


def server(
    host: Annotated[str, typer.Option(help="Where it listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port of API and UI.")] = 4200,
    database: Annotated[
        str | None, typer.Option(help="Such as postgresql+asyncpg://USER@HOST/prefect; SQLite under .ascl/prefect if not given.")
    ] = None,
) -> None:
    """Start a Prefect server for this repository, and stay with it; Ctrl-C ends it.

    Examples:  ascl server   |   PREFECT_SERVER_API_AUTH_STRING=user:password ascl server --host 0.0.0.0
    """
    from flows.local_set import is_open_to_others, serve

    root = repository_root()
    if is_open_to_others(host):
        err.print("[yellow]warning:[/] everyone who reaches this machine can start runs: set PREFECT_SERVER_API_AUTH_STRING=USER:PASSWORD")
    out.print(f"Prefect UI: http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}")
    serve(root, host=host, port=port, database=database)


def worker(
    pool: Annotated[str, typer.Option("--pool", "-p", help="The work pool: cpu or gpu.")] = "cpu",
    name: Annotated[str | None, typer.Option(help="The worker's name in the UI.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Flow runs at a time; no limit if not given.")] = None,
    query_seconds: Annotated[float, typer.Option(min=0.2, max=60, help="How often it asks for work.")] = 5.0,
) -> None:
    """Start a worker that runs the flow runs of a pool on this machine; Ctrl-C ends it and what it runs.

    Examples:  ascl worker   |   PREFECT_API_URL=http://HOST:4200/api ascl worker --pool gpu --limit 1
    """
    from flows.local_set import work

    work(repository_root(), pool=pool, name=name, limit=limit, query_s=query_seconds)


def deploy(
    training_pool: Annotated[str, typer.Option(help="The pool of the deployments that train or evaluate: cpu or gpu.")] = "cpu",
    gpus: Annotated[int | None, typer.Option(min=1, help="Stages on GPUs at a time, over all runs; as many as this machine has.")] = None,
    infrastructure: Annotated[
        Literal["process", "docker", "kubernetes"],
        typer.Option(help="What the pools start a flow run as; profiles/pools/ has the details."),
    ] = "process",
) -> None:
    """Create pools, limits, automations and deployments on the server, or bring them up to date, and say what changed.

    ASCL_WEBHOOK_URL, where it is set, becomes the webhook that is told of gates that do not pass and of runs that crash.
    ASCL_S3_ACCESS_KEY_ID and ASCL_S3_SECRET_ACCESS_KEY become what flow runs reach the store with whose worker has no credentials.

    Examples:  ascl deploy   |   ascl deploy --training-pool gpu --gpus 2
    """
    from tasks.host.environment import prepare

    root = repository_root()
    prepare(root)
    from flows.local_set import api_url

    url = api_url(root)
    import os

    os.environ["PREFECT_API_URL"] = url
    from flows.deploying import deploy_all

    changes = deploy_all(root, training_pool=training_pool, gpu_slots=gpus, infrastructure=infrastructure)
    print_table(("kind", "name", "done"), [(change.kind, change.name, change.action) for change in changes])
    changed = sum(change.action != "unchanged" for change in changes)
    out.print(f"\n{changed} of {len(changes)} changed; {url.removesuffix('/api')}/deployments", soft_wrap=True)
    if not any(change.kind == "webhook block" for change in changes):
        out.print("no webhook is told of failures: set ASCL_WEBHOOK_URL, and deploy again")
