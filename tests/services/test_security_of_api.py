"""What an attacker would try on a server that asks for credentials, and on its forms: each is refused, and no secret shows."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from ascl_core.errors import ConfigError
from flows.forms import EvaluateForm, RetrainForm, WatchForm, checked
from tasks.deployment.s3_credentials import BLOCK, take_credentials
from tests.pipeline.test_bad_input import fails
from tests.services.guarded import Guarded, made
from tests.services.prefect_server import Deployed, started
from tests.services.s3_server import BUCKET, S3Server

__all__ = ["made"]

pytestmark = pytest.mark.services

PASSWORD = secrets.token_hex()
USER = "admin"


@pytest.fixture(scope="module")
def server(made: Guarded, shared_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A server that asks for credentials, with nothing deployed; clients show them, and know of the store all but its credentials."""
    store = {name: value for name, value in shared_server.environment.items() if "_ACCESS_KEY" not in name}
    there = replace(made, root=made.copy(tmp_path_factory.mktemp("deployed") / "workspace").root).having(**store)
    with started(there.having(PREFECT_SERVER_API_AUTH_STRING=f"{USER}:{PASSWORD}")) as guarded:
        yield replace(guarded, workspace=replace(there, api_url=guarded.url), auth=(USER, PASSWORD))


def allowed(server: Deployed, **variables: str) -> Deployed:
    """The same server for clients that show its credentials."""
    assert isinstance(server.workspace, Guarded)
    return replace(server, workspace=server.workspace.having(PREFECT_API_AUTH_STRING=f"{USER}:{PASSWORD}", **variables))


@pytest.mark.parametrize("auth", [None, (USER, "wrong"), (USER, ""), ("", PASSWORD), (USER, PASSWORD + "x")])
def test_the_api_answers_nobody_without_its_credentials(server: Deployed, auth: tuple[str, str] | None) -> None:
    for method, path in (
        *(("GET", f"/{path}") for path in ("admin/version", "admin/settings", "work_pools/cpu", "block_types/slug/secret")),
        *(("POST", f"/{path}/filter") for path in ("flow_runs", "deployments", "block_documents", "logs", "events", "artifacts")),
        *(("POST", "/work_pools/"), ("POST", "/block_documents/"), ("DELETE", "/work_pools/cpu"), ("GET", "/no-such-route")),
    ):
        answer = httpx.request(method, f"{server.url}{path}", json={}, auth=auth)
        assert answer.status_code == httpx.codes.UNAUTHORIZED, path
        assert PASSWORD not in answer.text
    assert server.ask("GET", "/admin/version")


@pytest.mark.parametrize("command", [("deploy",), ("worker",), ("run",)], ids=str)
@pytest.mark.parametrize(
    ("shown", "expected"), [(None, "asks for credentials, and there are none"), (f"{USER}:wrong", "refuses these credentials")]
)
def test_a_command_without_the_credentials_is_one_error_that_names_the_variable(
    server: Deployed, command: tuple[str, ...], shown: str | None, expected: str
) -> None:
    assert isinstance(server.workspace, Guarded)
    asking = server.workspace.having(PREFECT_API_AUTH_STRING=shown) if shown else server.workspace
    said = fails(asking, "ascl", *command, names=(server.url, "PREFECT_API_AUTH_STRING", expected, "PREFECT_SERVER_API_AUTH_STRING"))
    assert "wrong" not in said
    assert server.ask("POST", "/deployments/filter", {}) == []


def watch(server: Deployed, source: str) -> dict[str, Any]:
    """A run of the watcher to its end."""
    return server.wait(server.start("watch-rules/watch-rules", {"source": source}))


def test_with_the_credentials_everything_works_and_they_are_found_nowhere(server: Deployed, shared_server: S3Server) -> None:
    """The API's, and those of the store: a worker without them has flow runs take them from the block."""
    store, root = shared_server.client(), server.workspace.root
    for file in (root / "data" / "rules").glob("*"):
        store.pipe_file(f"{BUCKET}/rules/{file.name}", file.read_bytes())
    source, heard = f"s3://{BUCKET}/rules", []
    heard.append(allowed(server).workspace.ascl("deploy"))
    watcher = server.ask("GET", "/deployments/name/watch-rules/watch-rules")
    server.ask("PATCH", f"/deployments/{watcher['id']}", {"paused": True})
    given = {"ASCL_S3_ACCESS_KEY_ID": shared_server.access_key, "ASCL_S3_SECRET_ACCESS_KEY": shared_server.secret_key}
    with allowed(server).worker() as worker:
        assert watch(server, "HEAD")["state_name"] == "No change", "the first look only remembers"
        without = watch(server, source)
        assert without["state_type"] == "FAILED"
        assert "credentials" in without["state"]["message"]
        assert source in without["state"]["message"]
        heard.append(allowed(server, **given).workspace.ascl("deploy"))
        assert re.search(rf"credentials block +{BLOCK} +created", heard[-1]), heard[-1]
        heard.append(allowed(server).workspace.ascl("deploy"))
        assert re.search(rf"credentials block +{BLOCK} +unchanged", heard[-1]), heard[-1]
        run = watch(server, source)
        assert run["state_name"] == "No change", server.logs(run["id"])
        heard.append(worker.output)
    written = [file for file in root.parent.rglob("*") if file.is_file() and not file.is_relative_to(root / "tests")]
    assert {"server.db", "dvc.lock", "server.json"} <= {file.name for file in written}
    filters = ("flow_runs", "task_runs", "deployments", "block_documents", "logs", "events", "artifacts", "work_pools", "automations")
    answers = json.dumps([server.ask("POST", f"/{name}/filter", {}) for name in filters])
    assert BLOCK in answers
    for secret in (PASSWORD, shared_server.secret_key, base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()):
        assert secret not in "".join(heard)
        assert secret not in answers
        assert [str(file) for file in written if secret.encode() in file.read_bytes()] == []


@pytest.fixture
def client(server: Deployed, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process as a client of the server, with no credentials of a store."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    with temporary_settings({PREFECT_API_URL: server.url, PREFECT_API_AUTH_STRING: f"{USER}:{PASSWORD}"}):
        yield


@pytest.mark.usefixtures("client")
def test_the_credentials_of_the_environment_count_before_those_of_the_block(server: Deployed) -> None:
    held = {"ACCESS_KEY_ID": "of-the-block", "SECRET_ACCESS_KEY": "secret", "SESSION_TOKEN": "token"}
    Secret(value=held).save(BLOCK, overwrite=True)  # type: ignore[arg-type]
    for own in ({"AWS_ACCESS_KEY_ID": "own", "AWS_SECRET_ACCESS_KEY": "own"}, {"AWS_PROFILE": "own"}):
        os.environ.update(own)
        take_credentials()
        assert {name: value for name, value in os.environ.items() if name.startswith("AWS_")} == own
        for name in own:
            del os.environ[name]
    take_credentials()
    assert {name: os.environ[f"AWS_{name}"] for name in held} == held


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    "held", ["T0PSECRET", {"ACCESS_KEY_ID": "T0PSECRET"}, {"ACCESS_KEY_ID": "T0PSECRET", "SECRET_ACCESS_KEY": 7}, ["x"]]
)
def test_a_block_that_holds_no_credentials_is_one_error_that_does_not_repeat_it(server: Deployed, held: Any) -> None:
    Secret(value=held).save(BLOCK, overwrite=True)
    with pytest.raises(ConfigError, match=f"block {BLOCK}: expected JSON with ACCESS_KEY_ID, SECRET_ACCESS_KEY") as caught:
        take_credentials()
    assert "T0PSECRET" not in str(caught.value)
    assert not [name for name in os.environ if name.startswith("AWS_")]


def test_half_of_an_access_key_is_not_deployed(server: Deployed) -> None:
    said = fails(allowed(server, ASCL_S3_ACCESS_KEY_ID="T0PSECRET").workspace, "ascl", "deploy", names=("ASCL_S3_SECRET_ACCESS_KEY",))
    assert "T0PSECRET" not in said


OUTSIDE_SETTINGS = (
    *('base_model.path="a\\x2f..\\x2f..\\x2fetc"', "base_model.path=!!binary L2V0Yy9wYXNzd2Q=", "base_model.path=%2e%2e%2fetc%2fpasswd"),
    *("base_model.path=%2Fetc", "base_model.path=link/model", 'base_model.path="\\u002e\\u002e/x"', "base_model.path=!!set {link/x}"),
    *(
        f"curate.sources=[{{name: x, format: rows, path: '{path}'}}]"
        for path in ("local:///etc/passwd", "simplecache::local:///etc/passwd", "FILE:///etc", "$HOME/x", "${HOME}/x", "~/x", "sftp://h/x")
    ),
    *("ifpo.judge.url=https://host/v1?token=T0PSECRET", "ifpo.judge.url=https://u:T0PSECRET@host/v1"),
)
OUTSIDE_PLACES = (
    *(
        "%2e%2e/rules",
        "..%2frules",
        "link",
        "link/rules",
        "s3://bucket/../..",
        "s3://bucket/a/../../b",
        "s3://bucket/%2e%2e/x",
        "s3://../x",
    ),
    *("--upload-pack=touch", "-c", "HEAD:../../etc/passwd", "HEAD:data", "HEAD^{/x}", "ext::sh -c x", "file%3A///etc", "HEAD\x00"),
)


@pytest.fixture
def linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, which is the working directory, with a link that leads out of it."""
    for name in ("here", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path / "here")


@pytest.mark.usefixtures("linked")
def test_no_field_of_a_form_reaches_outside_however_it_is_written() -> None:
    forms: list[tuple[Any, str]] = [
        *((RetrainForm.model_construct(training={"settings": [setting]}), "training.settings.0") for setting in OUTSIDE_SETTINGS),
        *((RetrainForm.model_construct(rules={"source": source}), "rules.source") for source in OUTSIDE_PLACES),
        *((WatchForm.model_construct(source=source), "source") for source in OUTSIDE_PLACES),
        *((EvaluateForm.model_construct(checkpoints=[source]), "checkpoints.0") for source in OUTSIDE_PLACES),
        *((EvaluateForm.model_construct(rules=source), "rules") for source in OUTSIDE_PLACES),
    ]
    for form, name in forms:
        with pytest.raises(ConfigError) as caught:
            checked(form)
        assert caught.value.field == name
        assert caught.value.hint
        assert "T0PSECRET" not in str(caught.value)


def test_a_flow_refuses_a_link_that_leads_out_of_the_repository(server: Deployed, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("a secret of this machine", encoding="utf-8")
    link = server.workspace.root / "data" / "elsewhere"
    link.symlink_to(tmp_path)
    forms: tuple[tuple[str, Any, str], ...] = (
        ("retrain/retrain", {"rules": {"source": "data/elsewhere"}}, "rules.source"),
        ("evaluate/evaluate", {"checkpoints": ["data/elsewhere"]}, "checkpoints.0"),
        ("watch-rules/watch-rules", {"source": "--upload-pack=touch"}, "source"),
    )
    with allowed(server).worker():
        for deployment, form, name in forms:
            found = server.ask("GET", f"/deployments/name/{deployment}")
            asked = {"parameters": {"form": form}, "enforce_parameter_schema": False, "state": {"type": "SCHEDULED"}}
            run = server.wait(server.ask("POST", f"/deployments/{found['id']}/create_flow_run", asked)["id"])
            assert run["state_type"] == "FAILED"
            said = run["state"]["message"] + server.logs(run["id"])
            assert name in said
            assert "a secret of this machine" not in said
    link.unlink()
