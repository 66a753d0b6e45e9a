"""`python -m ascl_core.judges LABELLED FOLDER --judge JSON`: write a judge's agreement with people to FOLDER/calibration.json."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ascl_core.artifacts import write_json
from ascl_core.config.base import parse
from ascl_core.config.judge import JudgeConfig
from ascl_core.config.params import Params, load_params
from ascl_core.errors import AsclError, dump_error
from ascl_core.judges import get_judge
from ascl_core.judges.calibration import calibrate, read_labelled
from ascl_core.progress import Progress
from ascl_core.rules.corpus import load_corpus
from ascl_core.rules.index import Indexer
from ascl_core.rules.retrieval import RuleIndex


def main() -> int:
    """Judge the labelled responses with the parameters in params.yaml; return the exit status."""
    given = _parser().parse_args()
    try:
        params = load_params(given.params)
        config = parse(JudgeConfig, json.loads(given.judge), file="--judge")
        labelled = read_labelled(given.labelled)
        rules = _rules(params, given.corpus, given.index) if config.needs_rules else None
        judge = get_judge(config, params.compute, rules)
        found = calibrate(judge, labelled, Progress())
        judge.check()
        write_json(given.folder / "calibration.json", found.to_json())
    except AsclError as error:
        return dump_error(error, given.folder / "error.json")
    return 0


def _rules(params: Params, corpus: Path, index: Path | None) -> RuleIndex:
    return Indexer(params.retrieval).index(load_corpus(corpus), params.rules.at, index).rules


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ascl_core.judges", description="Measure how well a judge agrees with people.")
    parser.add_argument("labelled", help="a table with prompt, response and labels")
    parser.add_argument("folder", type=Path, help="the folder of the result")
    parser.add_argument("--judge", required=True, help="the judge's configuration as JSON")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="the parameters of the machine, the rules and the look-up")
    parser.add_argument("--corpus", type=Path, required=True, help="the compiled rules, for a judge that reads them")
    parser.add_argument("--index", type=Path, help="the folder with the index of the corpus (default: built here)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
