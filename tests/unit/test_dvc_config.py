"""DVC's configuration counts as DVC reads it: four levels, quoting, links and groups; a change of it loses nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from ascl_core.errors import ConfigError
from flows.cli import app
from flows.cli.pipeline import _announced_remote
from tasks.host.preflight import _writable, remote_check
from tasks.repository.cache import OBJECTS, cache_folder
from tasks.repository.dvc_config import COPIES, share, use_remote
from tasks.repository.remotes import Remote, make_remote, read_remote, read_settings

LEVELS = ("system", "global", "repo", "local")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for level in ("system", "global"):
        monkeypatch.setenv(f"DVC_{level.upper()}_CONFIG_DIR", str(tmp_path / level))
    for variable in ("ASCL_REMOTE", "ASCL_REMOTE_ENDPOINT", "ASCL_REMOTE_REGION"):
        monkeypatch.delenv(variable, raising=False)
    root = tmp_path / "one"
    (root / ".dvc").mkdir(parents=True)
    write(root, "repo", "[core]\n    no_scm = true\n    analytics = false\n")
    return root


def file_of(root: Path, level: str) -> Path:
    inside = {"repo": root / ".dvc" / "config", "local": root / ".dvc" / "config.local"}
    return inside.get(level, root.parent / level / "config")


def write(root: Path, level: str, text: str) -> None:
    file = file_of(root, level)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def read_by_dvc(root: Path) -> dict[str, Any]:
    """Return what DVC itself makes of the configuration in `root`, in another process."""
    code = """
import json
from dvc.repo import Repo

repo = Repo(".")
print(json.dumps({"remotes": dict(repo.config["remote"]), "cache": repo.cache.local.path, "settings": repo.config["cache"]}))
"""
    command = [sys.executable, "-X", "utf8", "-c", code]
    return dict(json.loads(subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", check=True).stdout))


@pytest.mark.parametrize("level", LEVELS)
def test_a_remote_and_a_cache_count_at_each_level(root: Path, tmp_path: Path, level: str) -> None:
    more = "no_scm = true\n" if level == "repo" else ""
    write(root, level, f"[core]\n{more}remote = far\n[cache]\ndir = {tmp_path}/shared\n['remote \"far\"']\nurl = s3://models/ascl\n")
    assert (read_remote(root), cache_folder(root)) == (Remote("far", "s3://models/ascl"), tmp_path / "shared")


def test_the_nearest_level_wins_and_the_others_fill_in(root: Path) -> None:
    write(root, "global", "['remote \"far\"']\nregion = eu-central-1\nurl = s3://a/b\n[core]\nremote = far\n")
    write(root, "local", "['remote \"far\"']\nurl = s3://c/d\n")
    assert read_remote(root) == Remote("far", "s3://c/d", region="eu-central-1")


@pytest.mark.parametrize(
    "line", ['url = "../some where"', "url = '../some where'", "url = ../some where  # here", 'url = "../a, b"', "url = ../données"]
)
def test_paths_are_those_that_dvc_reads(root: Path, line: str) -> None:
    write(root, "local", f"[core]\nremote = far\n[cache]\n{line.replace('url', 'dir')}\n['remote \"far\"']\n{line}\n")
    by_dvc, remote = read_by_dvc(root), read_remote(root)
    assert remote is not None
    assert remote.url == by_dvc["remotes"]["far"]["url"]
    assert str(cache_folder(root) / OBJECTS) == by_dvc["cache"]


def test_a_remote_may_be_a_folder_of_another(root: Path) -> None:
    write(root, "local", "['remote \"a\"']\nurl = s3://m/x/\nregion = eu\n['remote \"b\"']\nurl = remote://a/y\n[core]\nremote = b\n")
    assert read_remote(root) == Remote("b", "s3://m/x/y", region="eu")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@example(name="0\u00a0")
@example(name="a\u2028b")
@example(name="a\x85b")
@example(name="a\rb")
@example(name="a\nb")
@example(name="%(x)s")
@example(name="%(url)s")
@example(name="\udcff")
@example(name="'''\"\"\"")
@given(name=st.text(st.characters(blacklist_characters="/\x00") | st.sampled_from("%(x)s\r\x85\u2028\"'"), min_size=1, max_size=20))
def test_a_folder_of_any_name_is_read_back_or_refused(root: Path, name: str) -> None:
    if name in (".", ".."):
        return
    before = file_of(root, "local").read_bytes() if file_of(root, "local").exists() else None
    problem = None
    try:
        use_remote(root, make_remote(f"/stores/{name}"))
    except ConfigError as error:
        problem = error
    if problem:
        assert problem.hint == "give the folder another name"
        assert not re.fullmatch(r"[\w .,#%-]*\w", name)
        assert before == (file_of(root, "local").read_bytes() if file_of(root, "local").exists() else None)
        return
    found = read_remote(root)
    assert found is not None
    assert found.url == f"/stores/{name}"


def test_dvc_reads_what_is_written(root: Path) -> None:
    use_remote(root, make_remote("/stores/données, alte # 'x'"))
    assert read_by_dvc(root)["remotes"]["store"]["url"] == "/stores/données, alte # 'x'"


def test_setting_a_remote_keeps_the_rest_and_a_failure_keeps_the_old_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root, "local", "# mine\n[cache]\n    shared = group\n['remote \"store\"']\n    url = /first\n    jobs = 3\n")
    use_remote(root, make_remote("s3://models/ascl"))
    text = file_of(root, "local").read_text()
    assert "# mine" in text
    assert "shared = group" in text
    assert "/first" not in text

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        use_remote(root, make_remote("s3://models/other"))
    assert file_of(root, "local").read_text() == text


@pytest.mark.parametrize("level", LEVELS)
def test_a_file_that_cannot_be_read_is_named(root: Path, level: str) -> None:
    write(root, level, "[core\nremote = far\n")
    for ask in (read_settings, read_remote, cache_folder):
        with pytest.raises(ConfigError) as raised:
            ask(root)
        assert raised.value.file == str(file_of(root, level))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("[cache]\ntype = foo\n", "cache.type", "foo"),
        ("[core]\nautostage = maybe\n", "core.autostage", "maybe"),
        ("[core]\nremote = nowhere\n", "core.remote", "nowhere"),
        ("[core]\nremote = a\n['remote \"a\"']\nurl = remote://nowhere/b\n", "core.remote", "a"),
    ],
)
def test_a_value_that_dvc_refuses_is_named_with_its_file(root: Path, level: str, text: str, field: str, value: str) -> None:
    write(root, level, ("[core]\nno_scm = true\n" if level == "repo" and "[core]" not in text else "") + text)
    with pytest.raises(ConfigError) as raised:
        read_remote(root)
    assert (raised.value.file, raised.value.field, raised.value.value) == (str(file_of(root, level)), field, value)
    assert ("git checkout" in str(raised.value.hint)) == (level == "repo" and field != "core.remote")
    check = remote_check(root)
    assert check.level == "error"
    assert all(part in check.found for part in (str(file_of(root, level)), field, value))


def test_the_doctor_tries_to_write_to_the_cache(root: Path) -> None:
    assert _writable(root).level == "ok"
    write(root, "local", "[cache]\ndir = /proc/x\n")
    assert _writable(root).level == "error"


def test_a_worktree_uses_the_cache_as_its_repository_does(root: Path, tmp_path: Path) -> None:
    """With its folder, the group that may write, the kind of links, and each remote with its own settings."""
    write(root, "global", "[cache]\n    type = symlink\n")
    write(root, "repo", "[core]\n    no_scm = true\n    remote = far\n['remote \"far\"']\n    url = ../../far\n    jobs = 2\n")
    write(root, "local", "[cache]\n    dir = ../../sha red\n    shared = group\n")
    worktree = root / ".ascl" / "runs" / "one"
    (worktree / ".dvc").mkdir(parents=True)
    (worktree / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    share(root, worktree)
    before, there = read_by_dvc(root), read_by_dvc(worktree)
    assert (there["cache"], there["remotes"]) == (before["cache"], before["remotes"])
    assert {key: there["settings"][key] for key in ("type", "shared")} == {"type": ["symlink"], "shared": before["settings"]["shared"]}
    share(root, worktree, link_type=COPIES)
    assert read_by_dvc(worktree)["settings"]["type"] == ["reflink", "copy"]


@pytest.mark.parametrize(
    ("url", "announced"), [(".ascl/remote", False), ("../store", True), ("s3://models/ascl", True), ("gs://models/ascl", True)]
)
def test_a_run_says_beforehand_that_it_pushes_to_a_remote_outside_of_the_repository(
    root: Path, capsys: pytest.CaptureFixture[str], url: str, announced: bool
) -> None:
    assert _announced_remote(root) is None, "none is set"
    write(root, "local", f"[core]\n    remote = it\n['remote \"it\"']\n    url = {url if '://' in url else root / url}\n")
    assert (_announced_remote(root) is not None) == announced
    said = capsys.readouterr().out
    assert ("; --no-push leaves it on this machine" in said) == announced
    assert ("will be pushed to the remote that is set here" in said) == announced


def test_setting_a_remote_says_that_runs_push_to_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "pyproject.toml").touch()
    (root / "data/rules").mkdir(parents=True)
    monkeypatch.chdir(root)
    made = CliRunner().invoke(app, ["remote", "set", "s3://models/ascl"])
    assert "from now on ascl run pushes what it makes to it, unless it is given --no-push" in made.output
    assert "--no-push" in CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "200"}).output
