"""Run the stage `curate` on 1 million prompts: `python benchmarks/curation_scale.py [--rows N] [--workers 1 2] [--dask]`.

The prompts are made of public ones (`made_prompts.py`). Each engine runs the stage in its own process on the same file, and must write
the same bytes. `memory` is the peak resident memory of this process and its workers together, sampled five times a second.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from made_prompts import made_prompts, public_prompts, write_rows
from side_by_side import parser, write

from ascl_core.artifacts import read_json, sha256_file, write_json
from ascl_core.config.curate import CurateConfig
from ascl_core.config.engine import EngineConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.contracts import StageContext
from ascl_core.data.curate import curate
from ascl_core.rules.compile import check_folder
from ascl_core.rules.corpus import Corpus
from tasks.execution.engine import on_engine
from tasks.host.environment import prepare

LIMIT_GIB = 4.0
_ROOT = Path(__file__).resolve().parents[1]
_HELD_OUT = 2_000


def main() -> None:
    """Run every engine in turn, and print the peak of memory first."""
    options = parser(__doc__, repeats=1)
    options.add_argument("--rows", type=int, default=1_000_000, help="how many prompts (default: %(default)s)")
    options.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="processes of the local engine (default: 1 2)")
    options.add_argument("--dask", action="store_true", help="two Dask workers through Prefect's task runner, too")
    given = options.parse_args()
    engines = [EngineConfig(workers=workers) for workers in given.workers]
    engines += [EngineConfig(name="dask", workers=2)] if given.dask else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder, given.rows, given.seed)
        rows = [measure(folder, engine, given.rows) for engine in engines]
    worst = max(row["memory_gib"] for row in rows)
    same = len({(row["prompts_sha256"], row["counts_sha256"]) for row in rows}) == 1
    lines = [
        f"ratio {LIMIT_GIB / worst:.1f}: the limit of {LIMIT_GIB:g} GiB by the most that any engine held, {worst:.2f} GiB",
        f"all engines wrote the same bytes: {'yes' if same else 'NO'}",
        "",
        f"{'engine':<6} {'workers':>7} {'rows':>10} {'seconds':>8} {'rows/s':>8} {'memory GiB':>10}  kept by step",
    ]
    lines += [
        f"{r['engine']:<6} {r['workers']:>7} {r['rows']:>10,} {r['seconds']:>8.1f} {r['rows'] / r['seconds']:>8,.0f}"
        f" {r['memory_gib']:>10.2f}  {' '.join(f'{kept:,}' for kept in r['kept'])}"
        for r in rows
    ]
    write(given.json, {"limit_gib": LIMIT_GIB, "same_bytes": same, "rows": rows}, lines)


def build(folder: Path, rows: int, seed: int) -> None:
    """Write the source, the corpus and the evaluation prompts."""
    public = public_prompts(rules())
    evaluation = public[:: len(public) // _HELD_OUT or 1]
    write_rows(folder / "rows.jsonl", made_prompts(rows, public, evaluation, seed))
    write_json(folder / "texts.json", evaluation)
    write_json(folder / "corpus.json", rules().to_json())


def rules() -> Corpus:
    """Return the frozen rules."""
    corpus = check_folder(_ROOT / "tests/corpus/rules", RulesConfig()).corpus
    assert corpus is not None
    return corpus


def measure(folder: Path, engine: EngineConfig, rows: int) -> dict[str, Any]:
    """Run the stage in its own process, and return its figures."""
    out = folder / f"{engine.name}{engine.workers}"
    command = [sys.executable, __file__, "--stage", str(out), engine.model_dump_json()]
    started, most = time.perf_counter(), 0
    with subprocess.Popen(command, cwd=_ROOT, env={**os.environ, "PYTHONPATH": str(_ROOT)}) as process:
        while process.poll() is None:
            most = max(most, resident(process.pid))
            time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"the stage ended with status {process.returncode}")
    return {
        "engine": engine.name,
        "workers": engine.workers,
        "rows": rows,
        "seconds": time.perf_counter() - started,
        "memory_gib": most / 2**30,
        "kept": [step["kept"] for step in read_json(out / "counts.json")["steps"]],
        "prompts_sha256": sha256_file(out / "prompts.parquet"),
        "counts_sha256": sha256_file(out / "counts.json"),
    }


def resident(pid: int) -> int:
    """Return the resident bytes of a process and of all its descendants."""
    total = 0
    try:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            total += process.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def run_stage(out: Path, engine: EngineConfig) -> None:
    """Run the stage as the runner does in the stage's process."""
    folder = out.parent
    (out / "state").mkdir(parents=True)
    prepare(out)
    source = {"name": "made", "format": "rows", "path": str(folder / "rows.jsonl"), "answer_column": "answer", "licence": "made"}
    curate(
        curate=CurateConfig.model_validate({"sources": [source]}),
        engine=engine,
        rules=RulesConfig(),
        raw=folder,
        corpus=folder / "corpus.json",
        evaluation=folder / "texts.json",
        prompts=out / "prompts.parquet",
        counts=out / "counts.json",
        context=StageContext(state=out / "state", map=on_engine),
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--stage"]:
        run_stage(Path(sys.argv[2]), EngineConfig.model_validate_json(sys.argv[3]))
    else:
        main()
