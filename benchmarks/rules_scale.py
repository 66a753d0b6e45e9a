"""Measure `ascl rules check` and `ascl rules diff` on many rules: `python benchmarks/rules_scale.py`.

The rules are made: their words follow Zipf's law, as those of texts do, and each has its own title, query and examples. `alike` are the
live rules over and over, each with a few words of its own, so that most of them are almost the text of another. A diff compares them with a
copy in which every tenth rule has another policy. Each command is a process of its own, on one core. The target is 5 s at 10,000 rules.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from side_by_side import parser

from ascl_core.rules.loading import TAXONOMY_FILE, load_folder

ROOT = Path(__file__).resolve().parents[1]
LIVE = ROOT / "data" / "rules"
TARGET_S = 5.0
_IN_A_FILE = 500
_VOCABULARY = 20_000
_POLICIES = ("comply", "refuse_explain", "hard_refuse")


def main() -> None:
    """Make the rules at every size and print the processor time of each command."""
    options = parser(__doc__, repeats=1)
    options.add_argument("--sizes", type=int, nargs="+", default=[1_000, 5_000, 10_000], help="numbers of rules")
    options.add_argument("--kinds", nargs="+", choices=("varied", "alike"), default=["varied", "alike"], help="how the rules are made")
    options.add_argument("--keep", type=Path, help="leave the rules in this folder")
    given = options.parse_args()
    print(f"{'rules':>7} {'kind':<7} {'command':<8} {'cpu s':>7} {'wall s':>7}   the target is {TARGET_S:g} s at 10,000")
    with tempfile.TemporaryDirectory() as scratch:
        for kind in given.kinds:
            for size in given.sizes:
                before = write_rules((given.keep or Path(scratch)) / f"{kind}-{size}", kind, size)
                after = write_changed(before, kind)
                for name, arguments in (("check", ["--folder", str(before)]), ("diff", [str(before), str(after)])):
                    cpu_s, wall_s = min(timed(name, arguments) for _ in range(given.repeats))
                    print(f"{size:>7} {kind:<7} {name:<8} {cpu_s:>7.2f} {wall_s:>7.2f}", flush=True)


def timed(command: str, arguments: list[str]) -> tuple[float, float]:
    """Return the processor time and the wall time of a command of `ascl rules`, in seconds."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "rules", command, *arguments], cwd=ROOT, env=environment, capture_output=True, check=False
    )
    wall_s, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1) or b"error" in done.stderr:
        raise SystemExit(done.stderr.decode())
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall_s


def write_rules(folder: Path, kind: str, size: int) -> Path:
    """Write that many rules with the live taxonomy; return the folder."""
    folder.mkdir(parents=True)
    shutil.copy(LIVE / TAXONOMY_FILE, folder)
    live = [located.rule.model_dump(mode="json", exclude_none=True) for located in load_folder(LIVE).rules]
    draw = random.Random(size)
    words = [f"{draw.choice('bdfgklmnprst')}{draw.choice('aeiou')}{draw.choice('bdklmnrst')}{number:x}" for number in range(_VOCABULARY)]
    weights = [1 / rank for rank in range(1, _VOCABULARY + 1)]
    made = [_rule(live[number % len(live)], number, draw, words, weights, varied=kind == "varied") for number in range(size)]
    for start in range(0, size, _IN_A_FILE):
        _write(folder / f"made-{start:06d}.yaml", made[start : start + _IN_A_FILE])
    return folder


def _rule(
    live: dict[str, Any], number: int, draw: random.Random, words: list[str], weights: list[float], *, varied: bool
) -> dict[str, Any]:
    def some(count: int) -> str:
        return " ".join(draw.choices(words, weights, k=count))

    own = {**live, "id": f"{live['category']}-{1000 + number}", "title": f"{some(3)} {number}", "query": f"{some(3)[:40]} {number}"}
    own["text"] = f"Do not help with {some(12)} and give what is {some(12)}." if varied else f"{live['text']} {some(2)} {number}"
    own["examples"] = [{**example, "prompt": f"{example['prompt']} {some(2)} {number}"} for example in live["examples"]]
    return {name: value for name, value in own.items() if name not in ("topic", "supersedes", "see_also")}


def write_changed(folder: Path, kind: str) -> Path:
    """Write the rules of a folder beside it, every tenth changed; return that folder.

    Of `alike` rules the texts change: with another policy they would contradict each other.
    """
    changed = folder.with_name(f"{folder.name}-changed")
    shutil.copytree(folder, changed)
    for path in sorted(changed.glob("made-*.yaml")):
        rules = yaml.load(path.read_text(), yaml.CSafeLoader)["rules"]
        for rule in rules[::10]:
            rule["version"] = "2.0.0"
            if kind == "alike":
                rule["text"] += " Say so."
                continue
            rule["policy"] = next(policy for policy in _POLICIES if policy != rule["policy"])
            rule.pop("safe_completion", None)
        _write(path, rules)
    return changed


def _write(path: Path, rules: list[dict[str, Any]]) -> None:
    plain = json.loads(json.dumps(rules))  # no two values are one object, which YAML would write as an alias
    path.write_text(yaml.dump({"rules": plain}, Dumper=yaml.CSafeDumper, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    main()
