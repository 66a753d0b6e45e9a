"""`ascl server`, `ascl worker` and `ascl deploy`: a Prefect server, a worker and the deployments of this repository.

The server writes its address to `.ascl/server.json`, where the other commands of this repository find it.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated, Literal

import typer

from ascl_core.artifacts import read_json, write_json
from ascl_core.errors import WorkspaceError
from ascl_core.urls import is_loopback
from flows.cli.console import become, out, print_line, print_table, print_warning, repository_root
from tasks.deployment.steps import ROOT
from tasks.execution.local_server import APP, SERVER_AUTH, check_answers, use_server_credentials
from tasks.host.environment import TELEMETRY_OFF, prepare_environment
from tasks.registry.paths import PREFECT_HOME, SERVER_ADDRESS

_DEFAULT = "http://127.0.0.1:4200/api"
"""The address in `prefect.toml`."""


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
    use_server_credentials()
    if not is_loopback(host) and not os.environ.get(SERVER_AUTH):
        print_warning(f"everyone who reaches this machine can start runs: set {SERVER_AUTH}=USER:PASSWORD")
    ui = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
    out.print(f"Prefect UI: {ui}")
    if f"{ui}/api" != _DEFAULT:
        print_line(f"prefect.toml names {_DEFAULT}: for Prefect's own commands, export PREFECT_API_URL={ui}/api")
    home = root / PREFECT_HOME
    home.mkdir(parents=True, exist_ok=True)
    _require_free(host, port)
    write_json(root / SERVER_ADDRESS, {"url": f"{ui}/api", "pid": os.getpid()})
    settings = {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"{ui}/api",
        "PREFECT_UI_API_URL": f"{ui}/api",
        "PREFECT_API_DATABASE_CONNECTION_URL": database or f"sqlite+aiosqlite:///{home / 'server.db'}",
        "PREFECT_SERVER_MEMO_STORE_PATH": str(home / "memo_store.toml"),
        "PREFECT_SERVER_API_HOST": host,
        "PREFECT_SERVER_API_PORT": str(port),
    }
    options = ["--factory", APP, "--host", host, "--port", str(port), "--log-level", "warning", "--timeout-graceful-shutdown", "5"]
    become(["uvicorn", *options], {**TELEMETRY_OFF, **settings})


def worker(
    pool: Annotated[str, typer.Option("--pool", "-p", help="The work pool: cpu or gpu.")] = "cpu",
    name: Annotated[str | None, typer.Option(help="The worker's name in the UI.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Flow runs at a time; no limit by default.")] = None,
    query_seconds: Annotated[float, typer.Option(min=0.2, max=60, help="Seconds between two requests for work.")] = 5.0,
) -> None:
    """Start a worker that runs the flow runs of a pool on this machine; Ctrl-C ends it and what it runs.

    Examples:  ascl worker   |   PREFECT_API_URL=http://HOST:4200/api ascl worker --pool gpu --limit 1
    """
    root = repository_root()
    settings = {
        **TELEMETRY_OFF,
        "PREFECT_API_URL": _api_url(root),
        "PREFECT_HOME": str(root / PREFECT_HOME),
        "PREFECT_WORKER_QUERY_SECONDS": str(query_seconds),
        ROOT: str(root),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")])),
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",
    }
    options = [*(["--name", name] if name else []), *(["--limit", str(limit)] if limit else [])]
    become(["prefect", "worker", "start", "--pool", pool, "--type", "process", *options], settings)


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
    prepare_environment(root)
    url = os.environ["PREFECT_API_URL"] = _api_url(root)
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


def _api_url(root: Path) -> str:
    """Return the server in `PREFECT_API_URL`, or that of `ascl server`; `WorkspaceError` if none answers or it refuses.

    If the server's credentials are in the environment, clients use them.
    """
    use_server_credentials()
    given = os.environ.get("PREFECT_API_URL")
    if given is None and not (root / SERVER_ADDRESS).exists():
        raise WorkspaceError("no Prefect server is known", field="PREFECT_API_URL", hint="ascl server in another terminal, or set it")
    url = given or str(read_json(root / SERVER_ADDRESS)["url"])
    check_answers(url, "start it: ascl server")
    return url


def _require_free(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise WorkspaceError(
                f"cannot listen: {error.strerror}", field="--port", value=f"{host}:{port}", hint="give another --port"
            ) from error
