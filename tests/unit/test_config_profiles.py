"""Profiles, settings and `params.yaml`: what resolves to what, and what is never lost."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ascl_core.config.params import Params, load_params
from ascl_core.config.profiles import parse_setting, profile_names, resolve_profile
from ascl_core.errors import ConfigError
from tasks.parameters import read_origin, write_params

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A git repository with two profiles and no `params.yaml`."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "tiny.yaml").write_text("sft:\n  max_steps: 7\n")
    (tmp_path / "profiles" / "large.yaml").write_text("ifpo:\n  prompts_per_step: 24\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.parametrize("name", profile_names(ROOT))
def test_every_shipped_profile_resolves(name: str) -> None:
    assert isinstance(resolve_profile(ROOT, name), Params)


def test_the_committed_parameters_are_the_tiny_profile_resolved(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    write_params(tmp_path, "tiny")
    committed = subprocess.run(["git", "show", "HEAD:params.yaml"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert (tmp_path / "params.yaml").read_text() == committed, "run: ascl params write --profile tiny"


def test_a_profile_lies_over_the_defaults_and_settings_over_both(root: Path) -> None:
    params = resolve_profile(root, "tiny", ["sft.batch_size=8", "report.title='A: B'"])
    assert (params.sft.max_steps, params.sft.batch_size, params.report.title) == (7, 8, "A: B")
    assert params.gate == Params().gate


def test_a_profile_lies_over_the_one_that_it_extends(root: Path) -> None:
    (root / "profiles" / "mine.yaml").write_text("extends: tiny\nsft:\n  batch_size: 8\n")
    (root / "profiles" / "longer.yaml").write_text("extends: mine\nsft:\n  max_steps: 70\nreport: {title: Mine}\n")
    params = resolve_profile(root, "longer")
    assert (params.sft.max_steps, params.sft.batch_size, params.report.title) == (70, 8, "Mine")
    assert resolve_profile(root, "mine").sft.max_steps == resolve_profile(root, "tiny").sft.max_steps == 7
    write_params(root, "longer")
    origin = read_origin(root)
    assert origin is not None
    assert origin.profile == "longer"


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a": "extends: tinny"}, r"a\.yaml: extends: no such profile \(got 'tinny'\)\n  mend: did you mean 'tiny'\?"),
        ({"a": "extends: [tiny]"}, r"a\.yaml: extends: no such profile"),
        ({"a": "extends:"}, r"a\.yaml: extends: no such profile"),
        ({"a": "extends: a"}, r"a\.yaml: extends: profiles extend each other in a circle \(got 'a → a'\)\n  mend: "),
        ({"a": "extends: b", "b": "extends: c", "c": "extends: a"}, r"c\.yaml: extends: .* circle \(got 'a → b → c → a'\)"),
        ({"a": "extends: b", "b": "sft: {max_stepz: 1}"}, r"b\.yaml: sft\.max_stepz: unknown key"),
        ({"a": "extends: tiny\nsft: {max_stepz: 1}"}, r"a\.yaml: sft\.max_stepz: unknown key"),
        ({"a": "extends: b", "b": "- 1"}, r"b\.yaml: expected sections"),
    ],
)
def test_a_profile_that_cannot_be_extended_is_named_with_its_mend(root: Path, files: dict[str, str], says: str) -> None:
    for name, text in files.items():
        (root / "profiles" / f"{name}.yaml").write_text(f"{text}\n")
    with pytest.raises(ConfigError, match=says):
        resolve_profile(root, "a")


def test_settings_that_only_fit_together_are_checked_together(root: Path) -> None:
    params = resolve_profile(root, "tiny", ["ifpo.prompts_per_step=5", "ifpo.group_size=4", "ifpo.micro_batch_size=20"])
    assert params.ifpo.micro_batch_size == 20


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("sft.max_stepz=1", "did you mean 'max_steps'?"),
        ("sft.max_steps=0", "greater than or equal to 1"),
        ("sft.max_steps", "expected SECTION.KEY=VALUE"),
        ("sft.=1", "expected SECTION.KEY=VALUE"),
        ("sft.max_steps=[1", "not valid YAML"),
        ("evaluate.judge.name=rules", "must be evaluated by another one"),
    ],
)
def test_a_wrong_setting_is_named_with_its_mend(root: Path, setting: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_profile(root, "tiny", [setting])
    assert says in str(caught.value)
    assert "--set" in str(caught.value)


def test_an_unknown_profile_suggests_the_nearest(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'tiny'"):
        write_params(root, "tinny")


def test_a_value_keeps_its_yaml_type() -> None:
    assert parse_setting("a.b=1e-3") == {"a": {"b": 1e-3}}
    assert parse_setting("a.b=null") == {"a": {"b": None}}
    assert parse_setting("a.b=x=y") == {"a": {"b": "x=y"}}


def test_what_is_written_loads_back_as_the_same_parameters(root: Path) -> None:
    written = write_params(root, "tiny", ["rules.at=2027-01-01", "compute.threads=1"])
    assert load_params(root / "params.yaml") == written


def test_without_profile_and_settings_the_file_is_left_alone(root: Path) -> None:
    (root / "params.yaml").write_text("sft: {max_steps: 3}  # mine\n")
    assert write_params(root, None).sft.max_steps == 3
    assert "# mine" in (root / "params.yaml").read_text()


def test_settings_add_up_over_the_profile_that_the_file_names(root: Path) -> None:
    write_params(root, "tiny", ["sft.batch_size=8"])
    params = write_params(root, None, ["sft.max_steps=9"])
    assert (params.sft.batch_size, params.sft.max_steps) == (8, 9)
    origin = read_origin(root)
    assert origin is not None
    assert origin.settings == ("sft.batch_size=8", "sft.max_steps=9")


def test_a_profile_replaces_what_another_profile_gave(root: Path) -> None:
    write_params(root, "tiny", ["sft.batch_size=8"])
    assert write_params(root, "large") == resolve_profile(root, "large")


def test_a_profile_never_replaces_hand_edits_that_are_in_no_commit(root: Path) -> None:
    write_params(root, "tiny")
    path = root / "params.yaml"
    edited = path.read_text().replace("max_steps: 7", "max_steps: 8")
    path.write_text(edited)
    with pytest.raises(ConfigError, match="--overwrite-params"):
        write_params(root, "large")
    assert path.read_text() == edited
    assert write_params(root, "large", overwrite=True) == resolve_profile(root, "large")


def test_a_profile_replaces_hand_edits_that_are_committed(root: Path) -> None:
    (root / "params.yaml").write_text("sft: {max_steps: 3}\n")
    subprocess.run(["git", "add", "."], cwd=root, check=True)
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"], cwd=root, check=True)
    assert write_params(root, "large") == resolve_profile(root, "large")


def test_settings_keep_hand_edits(root: Path) -> None:
    (root / "params.yaml").write_text("sft: {max_steps: 3}\n")
    params = write_params(root, None, ["sft.batch_size=8"])
    assert (params.sft.max_steps, params.sft.batch_size) == (3, 8)
    assert read_origin(root) is None
