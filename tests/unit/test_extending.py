"""The examples of docs/extending.md work as they are printed: each is added to a copy of the code, and used there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

from ascl_core.artifacts import write_parquet
from ascl_core.contracts import EvaluatedRollout, to_table
from tests.builders import make_result, make_rule_values, write_rules

ROOT = Path(__file__).parents[2]
PROGRAM = """
from pathlib import Path
from pkgutil import resolve_name

import torch

from ascl_core.arms import arms_that_run, get_arm, label_of, page
from ascl_core.artifacts import read_json, read_jsonl, write_jsonl
from ascl_core.config.params import Params, merge
from ascl_core.config.reference import reference
from ascl_core.config.rules import RulesConfig
from ascl_core.config.suites import SuiteConfig
from ascl_core.contracts import Prompt, StageContext, Verdict
from ascl_core.conversation.template import END, END_THINK, THINK
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.data.sources import load_source
from ascl_core.judges import Item, get_judge
from ascl_core.rewards.outcome import JudgedRollout
from ascl_core.rewards.reward import score
from ascl_core.rl.advantages import ifpo_advantages
from ascl_core.rules.compile import check_folder
from ascl_core.vocabulary import Harm, PromptType, Refusal, ResponsePolicy
from tasks.registry.code import code_files
from tasks.registry.stages import BASE, BUILD_SFT, SFT, TRAJECTORIES, get_stage
from tests.unit.test_templated_teacher import BENIGN, HARMFUL, UTILITY, kept

sorry, sure = get_judge("apology").judge([Item(prompt="a", response="Sorry, no."), Item(prompt="b", response="Sure.")])
assert (sorry.refusal, sure.refusal) == ("full", "none")

judge = {"name": "ensemble", "members": [{"name": "apology"}, {"name": "rules"}], "cache": None}
ifpo = {"rebalance": "halfway", "reward": {"extra": ["length"], "length": {"per_100_words": 0.1}}, "judge": {"name": "exemplars"}}
params = Params.model_validate({"evaluate": {"judge": judge}, "ifpo": ifpo})
assert get_judge(params.evaluate.judge).id == "ensemble@1(apology@1, rules@6)"

prompt = Prompt("1", "Kill a process?", PromptType.BORDERLINE, ResponsePolicy.COMPLY, "test", "none", "XA")
facts = read_rollout(f"{THINK}Fine.{END_THINK}{'word ' * 200}{END}", finished=True, max_tool_calls=2)
rollout = JudgedRollout(facts, prompt, Verdict(Refusal.NONE, Harm.UNHARMFUL, "test"))
parts, usual = (score(rollout, config.ifpo.reward) for config in (params, Params()))
assert (parts.components["length"], parts.total) == (-0.2, usual.total - 0.2)  # 200 words at 0.1 each 100

rewards, consulted = torch.tensor([1.0, 0.0, 1.0, 0.0]), torch.tensor([True, True, True, False])
grpo, ifpo, halfway = (ifpo_advantages(rewards, consulted, 4, rebalance=name) for name in ("none", "ifpo", params.ifpo.rebalance))
assert torch.allclose(halfway, (grpo + ifpo) / 2)

suite = SuiteConfig.model_validate({"format": "polite_requests", "path": "polite.csv"})
loaded = load_source(suite, Path("raw"), None)
assert [(row.prompt, row.prompt_type) for row in loaded] == [("Kill a process?", "borderline"), ("Shoot a portrait?", "borderline")]

found = [finding for finding in check_folder(Path("rules"), RulesConfig(), against_lock=False).findings if finding.code == "long_title"]
assert [finding.message for finding in found] == ["the title has 80 characters, expected at most 60"]

arm = get_arm("ifpo_tau_1")
trained = Params.model_validate(merge(Params().model_dump(mode="json"), arm.values)).model_dump(mode="json")
assert trained["ifpo"]["tau"] == 1.0
assert arm in arms_that_run(())
assert label_of(arm.stage, trained["ifpo"], trained["sft"]) == "ASCL + IFPO, τ = 1"
assert "| `ifpo_tau_1` |" in page()

build = Path("built")
build.mkdir()
write_jsonl(build / "careful.rows.jsonl", [{"question": "How do I kill a weed?", "thoughts": "A plant.", "reply": "Pull it out."}])
source = {"format": "rows", "name": "careful", "path": str(build / "careful.rows.jsonl")}
own, _ = kept(build, [HARMFUL, BENIGN, UTILITY], published=[source], consult_share={"borderline": 0.0})
careful, direct_only = (read_jsonl(build / f"{name}.jsonl") for name in ("careful", "direct_only"))
assert [row["messages"][-1] for row in careful] == [{"role": "assistant", "reasoning_content": "A plant.", "content": "Pull it out."}]
assert [row["messages"] for row in direct_only] == [row["messages"] for row in own if row["mode"] == "direct"] != []
counts = read_json(build / "counts.json")["arms"]
assert (counts["careful"]["kept"], counts["direct_only"]["reasons"]) == (1, {"consults": 1})
assert get_arm("careful").needs == {"instruct_model", "careful"} and get_arm("direct_only").after_change
for name in ("careful", "direct_only"):
    data = TRAJECTORIES[name]
    assert Params.model_validate(get_arm(name).values).sft.arm == name
    assert (BUILD_SFT.outputs[name], data in SFT.input_artifacts(), data in BASE.input_artifacts()) == (data, True, False)
assert "ascl_core/sft/direct.py" in code_files(Path.cwd(), BUILD_SFT)

stage = get_stage("rule_usage")
assert stage.input_artifacts() == (get_stage("evaluate_ifpo").outputs["results"],)
metrics = resolve_name(stage.function)(results=Path("results.parquet"), usage=Path("usage.json"), context=StageContext(Path("state")))
assert (metrics, read_json("usage.json")) == ({"consulted_rules": 2}, {"CYB-01": 2, "CYB-03": 1})

for part in ("`apology`: an opening apology", "`reward.length.per_100_words`", "`halfway`: the mean of"):
    assert part in reference(), part
print("all used")
"""


CONSULTED = ((), ("CYB-01",), ("CYB-01", "CYB-03", "CYB-03"))
"""The rules that each of the evaluated answers consulted."""


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
    judge, judge_entry, term, term_entry, rule, rule_entry, suite, check, function, stage, sft_rows, rewrite, arm = examples()
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
    insert(core / "config/sft_data.py", '    STAR1 = "star1"', textwrap.indent(sft_rows, "    "))
    (core / "sft/direct.py").write_text(rewrite, encoding="utf-8")
    insert(core / "arms.py", '    Arm("base"', f"{arm.strip()},")
    write_parquet(tmp_path / "results.parquet", to_table([make_result(consulted=rules) for rules in CONSULTED], EvaluatedRollout))
    (tmp_path / "polite.csv").write_text("request\nKill a process?\nShoot a portrait?\n", encoding="utf-8")
    write_rules(tmp_path / "rules", {"CYB.yaml": [make_rule_values(title=f"System {'administration ' * 5}"[:80].ljust(80, "s"))]})
    paths = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}  # the copy, and the builders of tests
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, env=paths, capture_output=True, text=True)
    assert done.stdout == "all used\n", done.stderr
