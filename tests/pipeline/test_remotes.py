"""Where copies go, and what is refused: everything that can be said without a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ascl_core.config.sources import SourceConfig
from ascl_core.data.locations import expand
from ascl_core.errors import AsclError, ConfigError, DataError, WorkspaceError
from flows.cli import app
from tasks.host.preflight import remote_check
from tasks.repository import dvc_config, transfer
from tasks.repository.checkout import clone
from tasks.repository.git import git
from tasks.repository.remotes import Remote, make_remote, read_remote
from tasks.runs.rule_sources import fetch_rules
from tests.services.store_world import StoreWorld, make_store_world

SECRET = "wJalrXUtnFEMI/K7MDENG"
WITH_CREDENTIALS = [
    f"s3://AKIAEXAMPLE:{SECRET}@bucket/prefix",
    f"https://user:{SECRET}@host/repository.git",
    "https://ghp_0123456789abcdef@host/repository.git",
    f"https://host/object?X-Amz-Signature={SECRET}",
]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreWorld:
    """A small repository that the command line takes for one of its own."""
    for name in ("ASCL_REMOTE", "ASCL_REMOTE_ENDPOINT", "ASCL_REMOTE_REGION"):
        monkeypatch.delenv(name, raising=False)
    made = make_store_world(tmp_path / "one")
    (made.root / "data" / "rules").mkdir(parents=True)
    (made.root / "pyproject.toml").touch()
    monkeypatch.chdir(made.root)
    return made


def asked(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})


def test_a_remote_is_set_for_this_machine_or_for_everybody_and_shown(world: StoreWorld) -> None:
    assert asked("remote", "set", "s3://models/ascl", "--region", "eu-central-1", "--shared").exit_code == 0
    assert "region = eu-central-1" in (world.root / ".dvc/config").read_text()
    assert read_remote(world.root) == Remote("store", "s3://models/ascl", None, "eu-central-1")
    assert asked("remote", "set", "s3://models/mine", "--endpoint", "http://127.0.0.1:9000/").exit_code == 0
    assert "mine" not in (world.root / ".dvc/config").read_text()
    assert asked("remote", "show").output.strip().startswith("s3://models/mine at http://127.0.0.1:9000")


def test_the_environment_counts_before_the_files(world: StoreWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    dvc_config.use_remote(world.root, make_remote("s3://models/ascl"))
    monkeypatch.setenv("ASCL_REMOTE", "s3://other/place")
    assert asked("remote", "show").output.strip() == "s3://other/place (from ASCL_REMOTE)"


@pytest.mark.parametrize(
    "url", ["s3://", "s3://UPPER/x", "s3://bucket/../x", "file:///etc", "relative", "gs://bucket", "s3://bucket/a b", "-x"]
)
def test_what_is_no_store_for_copies_is_refused(world: StoreWorld, url: str) -> None:
    with pytest.raises(ConfigError, match=r"not a|neither a prefix"):
        make_remote(url)


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "ftp://host", "http://host/path?x=1", "file:///x"])
def test_an_endpoint_is_the_url_of_a_server(endpoint: str) -> None:
    with pytest.raises(ConfigError, match="not the URL of a server"):
        make_remote("s3://bucket", endpoint)


@pytest.mark.parametrize("url", WITH_CREDENTIALS)
def test_a_url_with_credentials_is_refused_everywhere_and_never_repeated(
    world: StoreWorld, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACE", url)
    attempts = (
        lambda: make_remote(url),
        lambda: make_remote("s3://bucket", url),
        lambda: clone(url, "HEAD", tmp_path / "clone"),
        lambda: expand("$PLACE"),
        lambda: fetch_rules(world.root, url, tmp_path / "rules"),
        lambda: git(world.root, "ls-remote", url),
    )
    for attempt in attempts:
        with pytest.raises(AsclError) as caught:
            attempt()
        assert SECRET not in f"{caught.value}{caught.value.value}"
        assert "ghp_" not in f"{caught.value}{caught.value.value}"
    with pytest.raises(ValueError, match="a URL with credentials in it"):
        SourceConfig(format="rows", path=url)
    said = asked("remote", "set", url)
    assert said.exit_code == 1
    assert SECRET not in said.output


@pytest.mark.parametrize(
    "line", ["access_key_id = AKIAEXAMPLE", f"secret_access_key = {SECRET}", f"session_token = {SECRET}", "password = x"]
)
@pytest.mark.parametrize("file", ["config", "config.local"])
def test_credentials_in_a_configuration_file_are_refused_with_the_hint_and_without_their_value(
    world: StoreWorld, file: str, line: str
) -> None:
    dvc_config.use_remote(world.root, make_remote("s3://models/ascl"))
    path = world.root / ".dvc" / file
    path.write_text((path.read_text() if path.exists() else "") + f"['remote \"store\"']\n    {line}\n".replace("\\", ""))
    check = remote_check(world.root)
    assert check.level == "error"
    assert line.split(" ")[0] in check.found
    assert "AWS_ACCESS_KEY_ID" in check.hint
    with pytest.raises(WorkspaceError, match="credentials are written in clear text") as caught:
        transfer.push(world.root)
    assert SECRET not in f"{check}{caught.value}"


def test_a_folder_is_a_remote_too_and_without_any_a_push_says_how_to_set_one(world: StoreWorld, tmp_path: Path) -> None:
    written = world.write({"model.safetensors": 1000})
    with pytest.raises(WorkspaceError, match="there is no remote to push with") as caught:
        transfer.push(world.root)
    assert "ascl remote set" in str(caught.value.hint)
    assert transfer.is_push_pending(world.root)
    assert asked("remote", "set", str(tmp_path / "store")).exit_code == 0
    checked = asked("remote", "check")
    assert checked.exit_code == 0, checked.output
    assert asked("push").output.strip() == "3 files pushed"
    assert not transfer.is_push_pending(world.root)
    assert asked("push").output.strip() == "the remote has everything"
    other = world.elsewhere(tmp_path / "two")
    assert transfer.pull(other.root) == 3
    assert other.read() == written


def test_a_clone_is_whole_is_used_again_and_never_overwrites_what_is_there(world: StoreWorld, tmp_path: Path) -> None:
    git(world.root, "branch", "runs/x")
    checkout = clone(str(world.root), "runs/x", tmp_path / "clone")
    (checkout / "kept").write_text("x")
    assert clone(str(world.root), "main", checkout) == checkout
    assert (checkout / "kept").exists()
    with pytest.raises(WorkspaceError, match="no such git revision"):
        clone(str(world.root), "nowhere", checkout)
    with pytest.raises(WorkspaceError, match="the folder has another repository"):
        clone(str(tmp_path / "else"), "main", checkout)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(WorkspaceError, match="the folder is not empty"):
        clone(str(world.root), "main", tmp_path / "full")
    with pytest.raises(WorkspaceError, match="git clone failed"):
        clone(str(tmp_path / "nothing"), "main", tmp_path / "none")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clone", "full", "one"], "no half of a clone is left"


@pytest.mark.parametrize("url", ["--upload-pack=touch /tmp/x", "ext::sh -c true", ""])
def test_what_git_would_take_for_something_else_is_no_url(tmp_path: Path, url: str) -> None:
    with pytest.raises(WorkspaceError, match="not the URL of a git repository"):
        clone(url, "HEAD", tmp_path / "clone")


def test_a_rule_source_error_is_one_of_ours() -> None:
    with pytest.raises(DataError, match="credentials"):
        fetch_rules(Path(), "s3://key:secret@bucket/rules", Path("nowhere"))
