"""What a person sees of the catalogue: the reference page, `ascl suites`, and what a run says before it starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ascl_core.catalogue import names
from ascl_core.catalogue.page import page
from ascl_core.config.base import parse
from ascl_core.config.params import Params
from ascl_core.config.profiles import resolve_profile
from ascl_core.errors import ConfigError
from flows.cli import app
from tasks.host.preflight import source_checks

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str) -> str:
    """What a command prints."""
    result = CliRunner().invoke(app, ["suites", *words], env={"COLUMNS": "120"}, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_committed_page_is_what_the_catalogue_says() -> None:
    assert (ROOT / "docs" / "suites.md").read_text(encoding="utf-8") == page(), "run: ascl suites docs"
    assert all(f"### {name}\n" in page() for name in names())


def test_the_list_tells_what_each_is_with_its_terms_and_place() -> None:
    shown = run("list")
    assert all(name in shown for name in names())
    assert "ODC-By-1.0, gated, hub:allenai/wildguardmix" in shown
    assert "300 safe questions" in shown
    assert "xstest" not in run("list", "--kind", "utility")
    assert all(words in shown for words in ("safety suites", "utility suites", "training sources"))
    training = run("list", "--kind", "training")
    assert "salad_bench_attack" in training
    assert "strongreject" not in training


def test_a_suite_is_shown_with_everything_and_how_to_use_it() -> None:
    shown = run("show", "wildguardtest")
    assert "revision: d29c47f41c8b51348b5c8e8c81c039b3132b66d1" in shown
    assert "metric_version: 1" in shown
    assert "use it:  suites.external: [{format: wildguardtest}]" in shown
    assert "[{format: oktest}]" in run("show", "oktest")
    assert "[{format: wildchat, revision: …}]" in run("show", "wildchat")
    assert "curate.sources: [{format: mitre_frr}]" in run("show", "mitre_frr")
    assert "curate.sources: [{format: salad_bench}]" in run("show", "salad_bench")
    assert "curate.sources: [{format: safechain, revision: …}]" in run("show", "safechain")


def test_an_unknown_name_or_kind_is_one_error() -> None:
    with pytest.raises(ConfigError, match="did you mean 'gpqa_diamond'"):
        run("show", "gpqa")
    with pytest.raises(ConfigError, match="did you mean 'safety'"):
        run("list", "--kind", "safe")


def test_the_catalogue_is_read_without_a_heavy_library() -> None:
    code = (
        "import sys; from ascl_core.catalogue.page import page; page(); print(sorted({'torch', 'datasets', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_cannot_be_read_is_said_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASCL_EXTERNAL_DATA", str(tmp_path))
    external = [
        {"format": "gsm8k"},
        {"format": "wildchat"},
        {"format": "oktest", "required": True},
        {"format": "xstest", "path": str(tmp_path / "gone.csv")},
    ]
    checks = list(source_checks(parse(Params, {"suites": {"external": external}}, file="test")))
    assert [(check.name.split()[-1], check.level, check.found) for check in checks] == [
        ("data", "error", f"not in {tmp_path}: oktest; a run needs them"),
        ("wildchat", "warning", "hub:allenai/WildChat-1M-Full has no pinned revision; a run would report this suite as missing"),
        ("xstest", "warning", f"{tmp_path / 'gone.csv'} does not exist; a run would report this suite as missing"),
    ]


def test_a_set_of_the_hub_without_a_revision_stops_a_run_before_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASCL_EXTERNAL_DATA", str(tmp_path))
    unpinned = {check.name: check for check in source_checks(resolve_profile(ROOT, "paper")) if "revision" in check.found}
    assert {name: check.level for name, check in unpinned.items()} == {
        "params.yaml: build_sft.published star1_benign": "error",
        "params.yaml: build_sft.published safechain": "error",
        "params.yaml: suites.external wildchat": "warning",
    }
    check = unpinned["params.yaml: build_sft.published safechain"]
    assert check.found == "hub:UWNSL/SafeChain has no pinned revision; a run needs it"
    assert "https://huggingface.co/datasets/UWNSL/SafeChain/commits/main" in check.hint
    given = [{"format": "star1_benign", "revision": "c" * 40}, {"format": "safechain"}]
    (tmp_path / "safechain").mkdir()
    (tmp_path / "safechain" / "safechain.json").touch()
    assert not list(source_checks(parse(Params, {"build_sft": {"published": given}}, file="test")))
