"""`ascl server`, `ascl worker` and `ascl deploy`: a local set, or the deployments of a server that runs elsewhere."""

from __future__ import annotations

import os
from typing import Annotated, Literal

import typer

from flows.cli.console import out, print_line, print_table, print_warning, repository_root
from flows.local_set import api_url, is_open_to_others, serve, work
from tasks.host.environment import prepare


def server(
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port of API and UI.")] = 4200,
    database: Annotated[
        str | None, typer.Option(help="Such as postgresql+asyncpg://USER@HOST/prefect; SQLite under .ascl/prefect by default.")
    ] = None,
) -> None:
    """Run a Prefect server for this repository; Ctrl-C ends it.

    Examples:  ascl server   |   PREFECT_SERVER_API_AUTH_STRING=user:password ascl server --host 0.0.0.0
    """
    root = repository_root()
    if is_open_to_others(host):
        print_warning("everyone who reaches this machine can start runs: set PREFECT_SERVER_API_AUTH_STRING=USER:PASSWORD")
    out.print(f"Prefect UI: http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}")
    serve(root, host=host, port=port, database=database)


def worker(
    pool: Annotated[str, typer.Option("--pool", "-p", help="The work pool: cpu or gpu.")] = "cpu",
    name: Annotated[str | None, typer.Option(help="The worker's name in the UI.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Flow runs at a time; no limit by default.")] = None,
    query_seconds: Annotated[float, typer.Option(min=0.2, max=60, help="Seconds between two requests for work.")] = 5.0,
) -> None:
    """Start a worker that runs the flow runs of a pool on this machine; Ctrl-C ends it and what it runs.

    Examples:  ascl worker   |   PREFECT_API_URL=http://HOST:4200/api ascl worker --pool gpu --limit 1
    """
    work(repository_root(), pool=pool, name=name, limit=limit, query_s=query_seconds)


def deploy(
    training_pool: Annotated[str, typer.Option(help="The pool of the deployments that train or evaluate: cpu or gpu.")] = "cpu",
    gpus: Annotated[
        int | None, typer.Option(min=1, help="Stages on GPUs at a time, over all runs; by default one for each GPU of this machine.")
    ] = None,
    infrastructure: Annotated[
        Literal["process", "docker", "kubernetes"],
        typer.Option(help="How the pools start a flow run; profiles/pools/ has the details."),
    ] = "process",
    watch: Annotated[
        bool | None,
        typer.Option(help="Run watch-rules every 15 minutes, and retrain when rules change; off at first, unchanged by default."),
    ] = None,
    push: Annotated[
        bool, typer.Option("--push", help="Have the retrainings that changed rules start push their data and branches.")
    ] = False,
) -> None:
    """Create or update pools, limits, automations and deployments on the server, and say what changed.

    Nothing is scheduled without --watch, and no run pushes anything unless its form, or --push, says so.

    If ASCL_WEBHOOK_URL is set, that webhook is notified of gates that do not pass and of runs that crash. If ASCL_S3_ACCESS_KEY_ID and
    ASCL_S3_SECRET_ACCESS_KEY are set, flow runs whose worker has no credentials use them for the store.

    Examples:  ascl deploy   |   ascl deploy --watch   |   ascl deploy --training-pool gpu --gpus 2
    """
    root = repository_root()
    prepare(root)
    url = os.environ["PREFECT_API_URL"] = api_url(root)
    from flows.deploying import deploy_all  # Prefect reads the environment when it is imported

    changes, watched = deploy_all(root, training_pool=training_pool, gpu_slots=gpus, infrastructure=infrastructure, watch=watch, push=push)
    print_table(("kind", "name", "done"), [(change.kind, change.name, change.action) for change in changes])
    changed = sum(change.action != "unchanged" for change in changes)
    print_line(f"\n{changed} of {len(changes)} changed; {url.removesuffix('/api')}/deployments")
    if watched:
        pushes = "push their data and branches" if push else "push nothing"
        print_line(f"scheduled: watch-rules runs every 15 minutes; changed rules start retrain, whose runs {pushes}. Stop it: --no-watch")
    else:
        print_line("nothing is scheduled: ascl deploy --watch checks the rules every 15 minutes, and retrains when they change")
    if not any(change.kind == "webhook block" for change in changes):
        out.print("no webhook is notified of failures: set ASCL_WEBHOOK_URL, and deploy again")
