"""The examples of docs/extending.md work as they are printed: each is added to a copy of the code, and used there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READY = all((ROOT / path).exists() for path in ("ascl_core/registry.py", "ascl_core/rules/checks/registry.py", "tasks/registry/stages.py"))
pytestmark = pytest.mark.skipif(not READY, reason="the registries that the page describes are not in this tree")
PROGRAM = """
import torch

from ascl_core.arms import get_arm
from ascl_core.catalogue import names
from ascl_core.config.params import Params
from ascl_core.judges import Item, get_judge
from ascl_core.rewards.terms import Length
from ascl_core.rl.advantages import ifpo_advantages
from ascl_core.rules.checks.registry import CHECKS
from tasks.registry.stages import get_stage
from types import SimpleNamespace

sorry, sure = get_judge("apology").judge([Item(prompt="a", response="Sorry, no."), Item(prompt="b", response="Sure.")])
assert (sorry.refusal, sure.refusal) == ("full", "none")

ifpo = {"rebalance": "halfway", "reward": {"extra": ["length"]}}
params = Params.model_validate({"evaluate": {"judge": {"name": "apology"}}, "ifpo": ifpo})
assert "length" in params.ifpo.reward.terms
assert Length().value(SimpleNamespace(facts=SimpleNamespace(answer="word " * 200))) == -0.1  # 200 words at 0.05 each 100

rewards, consulted = torch.tensor([1.0, 0.0, 1.0, 0.0]), torch.tensor([True, True, True, False])
grpo, ifpo, halfway = (ifpo_advantages(rewards, consulted, 4, rebalance=name) for name in ("none", "ifpo", "halfway"))
assert torch.allclose(halfway, (grpo + ifpo) / 2)

assert "polite_requests" in names()
assert "short_titles" in [check.__name__ for check in CHECKS["corpus"]]
assert get_arm("ifpo_tau_1").values == {"ifpo": {"rebalance": "ifpo", "tau": 1.0}}
stage = get_stage("rule_usage")
assert stage.input_artifacts() == (get_stage("evaluate_ifpo").outputs["results"],)
print("all used")
"""


def examples() -> list[str]:
    """Return the code blocks of the page, in its order."""
    page = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    return re.findall(r"^```(?:python|yaml)\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)


def insert(file: Path, before: str, text: str) -> None:
    """Write a text into a file, in front of the first occurrence of another."""
    content = file.read_text(encoding="utf-8")
    assert before in content, f"{file.name} has no {before!r}"
    file.write_text(content.replace(before, f"{text}\n{before}", 1), encoding="utf-8")


def append(file: Path, text: str) -> None:
    file.write_text(f"{file.read_text(encoding='utf-8')}\n\n{text}", encoding="utf-8")


def test_what_the_page_adds_is_used(tmp_path: Path) -> None:
    for package in ("ascl_core", "tasks"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    core, stages = tmp_path / "ascl_core", tmp_path / "tasks/registry/stages.py"
    judge, judge_entry, term, term_entry, rule, rule_entry, suite, check, function, stage, arm = examples()
    (core / "judges/apology.py").write_text(judge, encoding="utf-8")
    insert(core / "config/judge.py", '        "rules": JudgePart', judge_entry)
    append(core / "rewards/terms.py", term)
    insert(core / "config/reward.py", '        "hallucination": Part', term_entry)
    append(core / "rl/advantages.py", rule)
    insert(core / "config/ifpo.py", '        "ifpo": Part', rule_entry)
    (core / "catalogue/polite_requests.yaml").write_text(suite, encoding="utf-8")
    append(core / "rules/checks/texts.py", check)
    (core / "evaluation/usage.py").write_text(function, encoding="utf-8")
    insert(stages, "REPORT = Stage(", stage)
    insert(stages, "    REPORT,\n)", "    RULE_USAGE,")
    insert(core / "arms.py", '    Arm("base"', f"{arm.strip()},")
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.stdout == "all used\n", done.stderr
