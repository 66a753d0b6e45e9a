"""Measure how long "which checkpoints saw row Y, rule R" takes over 1 and 10 million rows: `python benchmarks/lineage_rows.py`.

The rows are random and go through the product's own writer of manifests; half of the data sets are prompts, half trajectories. Every run
has its own commit and read two of the data sets. `warm` asks in one process; `cold` starts `ascl lineage checkpoints` for each question.
`cpu` is the processor time of a question, which other work on the machine hardly changes. `--version` only imports the command line.
The target is 1 s.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from side_by_side import parser, write

from ascl_core.artifacts import sha256_bytes, write_text
from ascl_core.config.sft_data import SftData
from tasks.lineage.database import dump, insert
from tasks.lineage.manifests import BATCH_ROWS, MANIFESTS, schema, write_manifest
from tasks.lineage.reads import INDEX, STARTED_FROM, TRAINED_ON, TRAINED_UNDER, Read
from tasks.lineage.rows import checkpoints_of_row, checkpoints_of_rule
from tasks.registry.stages import IFPO, PROMPTS, RL_CORPUS, SFT, TRAJECTORIES, checkpoint_of
from tasks.repository.git import git

TARGET_S = 1.0
_RULES = [
    f"{category}-{number:02d}"
    for category in ("ADV", "CHI", "CYB", "DRG", "FRD", "HAT", "IPR", "NVC", "PRV", "SEX", "VIO")
    for number in range(6)
]
_NOBODY = {f"GIT_{who}_{what}": "a" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def main() -> None:
    """Build and ask at every size, and print the worst 95th percentile on the clock at the largest size first."""
    options = parser(__doc__, repeats=40)
    options.add_argument("--sizes", type=int, nargs="+", default=[1_000_000, 10_000_000], help="numbers of rows")
    options.add_argument("--data-sets", type=int, default=10, help="data sets that they are spread over (default: %(default)s)")
    options.add_argument("--runs", type=int, default=200, help="runs that read them (default: %(default)s)")
    options.add_argument("--cold", type=int, default=10, help="questions to new processes (default: %(default)s)")
    given = options.parse_args()
    rows = [row for size in given.sizes for row in measure(size, given)]
    worst = max(row["p95_s"] for row in rows if row["rows"] == max(given.sizes) and row["question"] != "--version")
    ratio = TARGET_S / worst
    lines = [f"ratio {ratio:.1f}: the target of {TARGET_S:g} s by the worst p95 at {max(given.sizes):,} rows, {worst:.2f} s", ""]
    lines += [
        f"{'rows':>10} {'question':<9} {'':<5} {'p50 s':>7} {'p95 s':>7} {'cpu s':>7} {'build s':>8} {'build MiB':>9} {'disk MiB':>8}"
    ]
    lines += [
        f"{r['rows']:>10,} {r['question']:<9} {r['process']:<5} {r['p50_s']:>7.3f} {r['p95_s']:>7.3f} {r['cpu_s']:>7.3f}"
        f" {r['build_s']:>8.1f} {r['build_mib']:>9.0f} {r['disk_mib']:>8.0f}"
        for r in rows
    ]
    write(given.json, {"ratio": ratio, "target_s": TARGET_S, "rows": rows}, lines)


def measure(size: int, given: Namespace) -> Iterator[dict[str, Any]]:
    """Time each question, in one process and in new ones."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        started = time.perf_counter()
        ids = build(root, size, given)
        built = {
            "rows": size,
            "build_s": time.perf_counter() - started,
            "build_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "disk_mib": sum(file.stat().st_size for file in (root / MANIFESTS).rglob("*.parquet")) / 2**20,
        }
        draw = random.Random(given.seed)
        questions: dict[str, tuple[list[str], Callable[[Path, str], Any]]] = {
            "row": (draw.choices(ids["prompts"], k=given.repeats), checkpoints_of_row),
            "its prompt": (draw.choices(ids["of trajectories"], k=given.repeats), checkpoints_of_row),
            "rule": (draw.choices(_RULES, k=given.repeats), checkpoints_of_rule),
        }
        yield {**built, "question": "--version", "process": "cold", **_timed(lambda _: _ascl(root, "--version"), [""] * given.cold)}
        for question, (values, ask) in questions.items():
            option = "--rule" if question == "rule" else "--row"
            yield {**built, "question": question, "process": "warm", **_timed(partial(_asked, root, ask), values)}
            yield {
                **built,
                "question": question,
                "process": "cold",
                **_timed(partial(_command, root, option), values[: given.cold]),
            }


def build(root: Path, size: int, given: Namespace) -> dict[str, list[str]]:
    """Make a repository in which that many rows were read; return ids to ask for."""
    write_text(root / "pyproject.toml", "")
    write_text(root / "data/rules/x.yaml", "")
    git(root, "init", "--quiet")
    each = size // given.data_sets
    ids: dict[str, list[str]] = {"prompts": [], "of trajectories": []}
    names = []
    for number in range(given.data_sets):
        draw, is_sft = np.random.default_rng([given.seed, size, number]), number % 2 == 1
        names.append((sha256_bytes(f"{size} {number}".encode()), is_sft))
        write_manifest(root, names[-1][0], _batches(draw, each, is_sft, ids["of trajectories" if is_sft else "prompts"]))
    _runs(root, names, given)
    return ids


def _batches(draw: np.random.Generator, rows: int, is_sft: bool, ids: list[str]) -> Iterator[pa.RecordBatch]:
    for start in range(0, rows, BATCH_ROWS):
        number = min(BATCH_ROWS, rows - start)
        row_ids, rules = _hex(draw, number, 8), draw.integers(len(_RULES), size=number)
        prompt_ids = _hex(draw, number, 8) if is_sft else row_ids
        columns = {
            "row_id": row_ids,
            "prompt_id": prompt_ids,
            "content_sha256": _hex(draw, number, 32),
            "source": ["own"] * number,
            "licence": ["Apache-2.0"] * number,
            "rules_are": ["consulted" if is_sft else "decides"] * number,
            "rule_ids": [[_RULES[rule]] for rule in rules],
            "generator": ["templated@1" if is_sft else None] * number,
            "seed": [0 if is_sft else None] * number,
            "kept": ["well-formed, refuses" if is_sft else "length, exact duplicates, near-duplicates, decontamination"] * number,
            "split": [None if is_sft else ("rl", "train", "validation")[rule % 3] for rule in rules],
        }
        ids.append(str((prompt_ids if is_sft else row_ids)[0]))
        yield pa.RecordBatch.from_pydict(columns, schema=schema())


def _hex(draw: np.random.Generator, number: int, size: int) -> pa.Array:
    """Return random hexadecimal texts of that many bytes."""
    offsets = np.arange(number + 1, dtype=np.int32) * (2 * size)
    return pa.Array.from_buffers(pa.string(), number, [None, pa.py_buffer(offsets), pa.py_buffer(draw.bytes(number * size).hex().encode())])


def _runs(root: Path, names: list[tuple[str, bool]], given: Namespace) -> None:
    """Make commits of runs, and the cache of what their records say."""
    import duckdb

    tree = git(root, "mktree")
    draw, reads, corpus = random.Random(given.seed), [], sha256_bytes(b"corpus")
    for number in range(given.runs):
        commit = git(root, "commit-tree", tree, "-m", f"run {number}", environment=_NOBODY)
        git(root, "update-ref", f"refs/heads/runs/run-{number:04d}", commit)
        sft, ifpo = sha256_bytes(f"sft {number}".encode()), sha256_bytes(f"ifpo {number}".encode())
        chosen = {is_sft: draw.choice([name for name, of_sft in names if of_sft is is_sft]) for is_sft in (True, False)}
        of_sft, of_ifpo = (commit, SFT.name, checkpoint_of(SFT).path, sft), (commit, IFPO.name, checkpoint_of(IFPO).path, ifpo)
        reads += [
            (*of_sft, TRAINED_ON, TRAJECTORIES[SftData.ASCL].path, chosen[True]),
            (*of_ifpo, TRAINED_ON, PROMPTS.path, chosen[False]),
            (*of_ifpo, STARTED_FROM, checkpoint_of(SFT).path, sft),
            (*of_ifpo, TRAINED_UNDER, RL_CORPUS.path, corpus),
        ]
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE reads ({', '.join(f'{name} VARCHAR' for name in Read.__dataclass_fields__)})")
        insert(connection, "reads", reads)
        dump(connection, "reads", root / INDEX / "reads.parquet")
        connection.execute(
            "CREATE TABLE corpora (sha256 VARCHAR, rule_id VARCHAR, version VARCHAR, rule_sha256 VARCHAR, jurisdictions VARCHAR[])"
        )
        insert(connection, "corpora", [(corpus, rule, "1.0.0", sha256_bytes(rule.encode()), ["XA", "XB"]) for rule in _RULES])
        dump(connection, "corpora", root / INDEX / "corpora.parquet")


def _timed(ask: Callable[[str], object], values: list[str]) -> dict[str, float]:
    """Return the seconds on the clock, and the mean processor seconds of this process and of those that it started."""
    taken, before = [], sum(os.times()[:4])
    for value in values:
        started = time.perf_counter()
        ask(value)
        taken.append(time.perf_counter() - started)
    p50, p95 = np.percentile(taken, [50, 95])
    return {"p50_s": float(p50), "p95_s": float(p95), "cpu_s": (sum(os.times()[:4]) - before) / len(values)}


def _command(root: Path, option: str, value: str) -> None:
    if not json.loads(_ascl(root, "lineage", "checkpoints", option, value, "--json"))["found"]:
        raise SystemExit(f"{value} was not found")


def _ascl(root: Path, *arguments: str) -> bytes:
    command = [sys.executable, "-c", "import sys; from flows.cli import main; sys.exit(main())", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, check=True).stdout


def _asked(root: Path, ask: Callable[[Path, str], Any], value: str) -> None:
    _check(ask(root, value))


def _check(answer: Any) -> None:
    if not answer.found:
        raise SystemExit(f"{answer.asked} was not found")


if __name__ == "__main__":
    main()
