"""The profile `small`: real prompts through the same stages, within its budgets; what is missing on a machine is named before it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from ascl_core.config.params import Params
from ascl_core.config.profiles import resolve_profile
from ascl_core.config.retrieval import RetrievalConfig
from ascl_core.generation.packages import PREFIX
from tasks.host.preflight import blocking_checks

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def params(monkeypatch: pytest.MonkeyPatch) -> Params:
    """The profile's, with public files that are not there."""
    monkeypatch.setenv("ASCL_EXTERNAL_DATA", "/nowhere")
    return resolve_profile(ROOT, "small")


def test_it_trains_and_evaluates_on_public_data(params: Params) -> None:
    assert [source.name for source in params.curate.sources] == ["own", "star1", "mitre_frr", "gsm8k"]
    assert [suite.name for suite in params.suites.external] == ["xstest", "gsm8k", "mmlu_pro"]
    read = [source.path for source in (*params.curate.sources, *params.suites.external) if source.path is not None]
    assert len(read) == len(set(read)), "training reads no file of a suite"
    assert str(params.base_model.path).startswith(PREFIX)


@pytest.mark.live
def test_what_a_machine_lacks_is_named_before_anything_runs(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = {check.name.removeprefix("params.yaml: "): check for check in blocking_checks(ROOT, params)}
    assert found["base_model.path"].level == "error"
    assert "make setup-small" in found["base_model.path"].hint
    assert "retrieval.model" not in found
    dense = params.model_copy(update={"retrieval": RetrievalConfig(backend="dense", model="package:all_minilm_l6_v2")})
    [missing] = [check for check in blocking_checks(ROOT, dense) if check.name == "params.yaml: retrieval.model"]
    assert "make setup-small" in missing.hint
    assert found["public data"].level == "error"
    assert found["public data"].found.startswith("not in /nowhere: gsm8k, mitre_frr, mmlu_pro, star1, xstest")
    assert "ascl data fetch" in found["public data"].hint
    assert not [name for name in found if name.startswith(("curate.sources", "suites.external"))], "they are in one message"
