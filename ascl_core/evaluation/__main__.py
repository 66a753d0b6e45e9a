"""`python -m ascl_core.evaluation CHECKPOINT SUITES MANIFEST CORPUS FOLDER`: evaluate with the parameters in params.yaml."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from ascl_core.artifacts import digest, sha256_json
from ascl_core.config.base import parse
from ascl_core.config.params import Params, load_params
from ascl_core.contracts import StageContext
from ascl_core.errors import AsclError, dump_error
from ascl_core.evaluation.rule_probes import write_probes, write_scores
from ascl_core.evaluation.run import evaluate
from ascl_core.rules.corpus import load_corpus


def main() -> int:
    """Write `results.parquet` and `metrics.json` into the folder; return the exit status."""
    given = _parser().parse_args()
    checkpoint, suites, manifest, corpus, folder = given.paths
    try:
        params = _with_sections(load_params("params.yaml"), given.sections)
        loaded = load_corpus(corpus)
        rules = [loaded.rule(rule_id) for rule_id in given.rules or ()]
        if rules:
            missing = write_probes(rules, loaded, params.rules.at, suites, manifest, attacks=given.attacks)
        state = _state(folder, params, checkpoint, suites, manifest, corpus, *([given.index] if given.index else []))
        evaluate(
            evaluate=params.evaluate,
            conversation=params.conversation,
            rules=params.rules,
            retrieval=params.retrieval,
            compute=params.compute,
            checkpoint=checkpoint,
            suites=suites,
            suites_manifest=manifest,
            corpus=corpus,
            index=given.index,
            results=folder / "results.parquet",
            metrics=folder / "metrics.json",
            context=StageContext(state=state),
        )
        if rules:
            write_scores(rules, folder / "results.parquet", missing, folder / "scores.json")
        if state.parent.exists():  # without a prompt nothing is kept
            shutil.rmtree(state.parent)
    except AsclError as error:
        return dump_error(error, folder / "error.json")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ascl_core.evaluation", description="Evaluate a checkpoint with the parameters in params.yaml."
    )
    parser.add_argument("paths", nargs=5, type=Path, metavar="PATH", help="checkpoint, suites, their manifest, corpus, folder")
    parser.add_argument("--index", type=Path, help="the folder with the index of the corpus (default: built here)")
    parser.add_argument("--sections", type=json.loads, default={}, help="JSON: sections that replace those of params.yaml")
    parser.add_argument("--rules", nargs="+", metavar="ID", help="write probes of these rules as the suites, and scores.json")
    parser.add_argument("--attacks", action="store_true", help="also attack the probes of what must be refused")
    return parser


def _with_sections(params: Params, sections: dict[str, Any]) -> Params:
    return parse(Params, {**params.model_dump(mode="json"), **sections}, file="--sections") if sections else params


def _state(folder: Path, params: Params, *inputs: Path) -> Path:
    """Return the state folder from which exactly this evaluation resumes: its name is a digest of parameters and inputs."""
    sections = params.model_dump(mode="json", include={"evaluate", "conversation", "rules", "retrieval", "compute"})
    return folder / "state" / sha256_json([sections, *(digest(path) for path in inputs)])[:16]


if __name__ == "__main__":
    sys.exit(main())
