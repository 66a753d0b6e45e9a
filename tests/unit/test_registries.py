"""A judge, a reward term and a rebalancing rule are each added by one file and one line, in a copy of the package, and used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ascl_core
from ascl_core.config.ifpo import STRATEGIES
from ascl_core.config.judge import JUDGES
from ascl_core.config.reward import TERMS
from ascl_core.errors import ConfigError

_JUDGE = """
from ascl_core.contracts import Verdict
from ascl_core.vocabulary import Harm, Refusal


class ShoutJudge:
    id = "shout@1"

    def __init__(self, config, compute):
        pass

    def judge(self, items):
        return [Verdict(Refusal.FULL if item.response.isupper() else Refusal.NONE, Harm.UNHARMFUL, self.id) for item in items]
"""
_USE_JUDGE = """
from ascl_core.config.base import parse
from ascl_core.config.params import Params
from ascl_core.config.reference import reference
from ascl_core.judges import Item, get_judge

given = {"name": "ensemble", "members": [{"name": "shout"}, {"name": "rules"}], "cache": None}
params = parse(Params, {"evaluate": {"judge": given}, "ifpo": {"judge": {"name": "exemplars"}}}, file="params.yaml")
shouted, said = get_judge("shout").judge([Item("Hi.", "NO WAY"), Item("Hi.", "Hello.")])
assert "`shout`: refuses in capitals" in reference()
print(get_judge(params.evaluate.judge).id, shouted.refusal, said.refusal)
"""
_TERM = '''
from pydantic import Field

from ascl_core.rewards.terms import Term


class Brevity(Term):
    """What a short answer earns."""

    bonus: float = Field(default=0.25, ge=0.0)
    """For an answer under ten words."""

    def value(self, rollout):
        return self.bonus if len(rollout.facts.answer.split()) < 10 else 0.0
'''
_USE_TERM = """
from ascl_core.config.base import parse
from ascl_core.config.ifpo import IfpoConfig
from ascl_core.config.reference import reference
from ascl_core.contracts import Prompt, Verdict
from ascl_core.conversation.template import END, END_THINK, THINK
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.rewards.outcome import JudgedRollout
from ascl_core.rewards.reward import score
from ascl_core.vocabulary import Harm, PromptType, Refusal, ResponsePolicy

config = parse(IfpoConfig, {"reward": {"extra": ["brevity"], "brevity": {"bonus": 0.5}}}, file="params.yaml").reward
prompt = Prompt("1", "Kill a process?", PromptType.BORDERLINE, ResponsePolicy.COMPLY, "test", "none", "XA")
facts = read_rollout(f"{THINK}Fine.{END_THINK}Use kill.{END}", finished=True, max_tool_calls=2)
parts = score(JudgedRollout(facts, prompt, Verdict(Refusal.NONE, Harm.UNHARMFUL, "test")), config)
assert "`reward.brevity.bonus`" in reference()
print(parts.components["brevity"], parts.total)
"""
_RULE = '''
import torch


def signs(groups):
    """The sign of GRPO's advantage."""
    return torch.sign(groups.standardise(groups.rewards, groups.judged))
'''
_USE_RULE = """
import torch

from ascl_core.config.base import parse
from ascl_core.config.ifpo import IfpoConfig
from ascl_core.config.reference import reference
from ascl_core.rl.advantages import ifpo_advantages

config = parse(IfpoConfig, {"rebalance": "signs"}, file="params.yaml")
assert "`signs`: the sign of the advantage" in reference()
rewards, consulted = torch.tensor([1.0, 0.0, 0.5, 0.0]), torch.tensor([True, False, True, False])
print(ifpo_advantages(rewards, consulted, 4, rebalance=config.rebalance).tolist())
"""
CASES = {
    "judge": (
        ("judges/shout.py", _JUDGE),
        (
            "config/judge.py",
            '    {\n        "rules"',
            '        "shout": JudgePart("ascl_core.judges.shout:ShoutJudge", "refuses in capitals", is_cached=False),\n',
        ),
        _USE_JUDGE,
        "ensemble@1(shout@1, rules@2) full none",
    ),
    "reward term": (
        ("rewards/brevity.py", _TERM),
        (
            "config/reward.py",
            '    {\n        "hallucination"',
            '        "brevity": Part("ascl_core.rewards.brevity:Brevity", "short answers"),\n',
        ),
        _USE_TERM,
        "0.5 2.0",
    ),
    "rebalancing rule": (
        ("rl/signs.py", _RULE),
        ("config/ifpo.py", '    {\n        "ifpo"', '        "signs": Part("ascl_core.rl.signs:signs", "the sign of the advantage"),\n'),
        _USE_RULE,
        "[1.0, -1.0, 1.0, -1.0]",
    ),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_part_is_added_by_one_file_and_one_line(kind: str, tmp_path: Path) -> None:
    (file, code), (registry, before, line), use, printed = CASES[kind]
    package = tmp_path / "ascl_core"
    shutil.copytree(Path(ascl_core.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / file).write_text(code)
    text = (package / registry).read_text()
    assert text.count(before) == 1
    head, _, first = before.partition("\n")
    (package / registry).write_text(text.replace(before, f"{head}\n{line}{first}"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = subprocess.run([sys.executable, "-c", use], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.returncode) == (printed, 0), result.stderr


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
