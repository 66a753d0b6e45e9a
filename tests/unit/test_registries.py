"""The registries: every part is where they say, and part of the code of the stages that use it. `test_extending` adds parts."""

from __future__ import annotations

from pathlib import Path

import pytest

import ascl_core
from ascl_core.config.ifpo import STRATEGIES
from ascl_core.config.judge import JUDGES
from ascl_core.config.reward import TERMS
from ascl_core.errors import ConfigError


@pytest.mark.parametrize("registry", [JUDGES, TERMS, STRATEGIES], ids=lambda registry: registry.kind)
def test_every_part_is_where_its_registry_says(registry: dict) -> None:
    assert all(callable(registry.load(name)) for name in registry)  # type: ignore[attr-defined]


def test_a_name_that_is_in_no_registry_is_one_clear_error() -> None:
    with pytest.raises(ConfigError) as caught:
        JUDGES.find("wildgard", field="judge")
    assert (caught.value.field, caught.value.value) == ("judge", "wildgard")
    assert "did you mean 'wildguard'?" in str(caught.value.hint)


def test_the_code_of_every_judge_is_code_of_the_stages_that_judge() -> None:
    from tasks.registry.code import code_files
    from tasks.registry.stages import get_stage

    root = Path(ascl_core.__file__).parent.parent
    files = {name: set(code_files(root, get_stage(name))) for name in ("build_sft", "ifpo", "evaluate_ifpo", "report")}
    for name in ("build_sft", "ifpo", "evaluate_ifpo"):
        assert {f"ascl_core/judges/{judge}.py" for judge in ("rules", "exemplars", "model", "endpoint")} <= files[name]
    assert {"ascl_core/rewards/terms.py", "ascl_core/rl/advantages.py"} <= files["ifpo"]
    assert not {"ascl_core/judges/model.py", "ascl_core/rl/advantages.py"} & files["report"], "naming a part is not using it"
