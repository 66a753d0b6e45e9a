"""`python -m ascl_core.backtest TRAFFIC FOLDER --old CORPUS --new CORPUS`: compare rules on recorded requests, with or without a model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ascl_core.artifacts import write_json, write_jsonl
from ascl_core.backtest.look_ups import LookedUp, differing_rules, look_up
from ascl_core.backtest.replay import Replayed, answer
from ascl_core.backtest.summary import changed_rows, summarise
from ascl_core.backtest.traffic import read_traffic
from ascl_core.config.params import Params, load_params
from ascl_core.errors import AsclError, dump_error
from ascl_core.generation import make_generator
from ascl_core.judges import get_judge
from ascl_core.rules.corpus import load_corpus
from ascl_core.rules.index import Indexer
from ascl_core.rules.retrieval import RuleIndex
from ascl_core.vocabulary import ANYWHERE


def main(arguments: Sequence[str] | None = None) -> int:
    """Write `backtest.json` into the folder, and the changed answers to `--out`; return the exit status."""
    given = _parser().parse_args(arguments)
    try:
        _backtest(given)
    except AsclError as error:
        return dump_error(error, given.folder / "error.json")
    return 0


def _backtest(given: argparse.Namespace) -> None:
    params = load_params(given.params)
    indexer = Indexer(params.retrieval)
    old = indexer.index(load_corpus(given.old), params.rules.at, given.index).rules
    new = indexer.index(load_corpus(given.new), params.rules.at).rules
    known = [ANYWHERE, *(name for name in old.corpus.jurisdictions if name in new.corpus.jurisdictions)]
    traffic = read_traffic(given.traffic, consented_by=given.consented_by, jurisdiction=given.jurisdiction, known=known)
    looked_up = look_up(traffic.requests, old, new, params.conversation.top_k)
    wanted = [one for one in looked_up if given.replay == "all" or one.is_changed]
    replayed = _replay(wanted, given.checkpoint, old, new, params) if given.checkpoint is not None and wanted else []
    differing = differing_rules(old.corpus, new.corpus)
    corpora = {"old": old.corpus.digest, "new": new.corpus.digest}
    write_json(given.folder / "backtest.json", {**corpora, "to_replay": len(wanted), **summarise(traffic, looked_up, replayed, differing)})
    if given.out is not None:
        write_jsonl(given.out, changed_rows(replayed, differing))


def _replay(wanted: Sequence[LookedUp], checkpoint: Path, old: RuleIndex, new: RuleIndex, params: Params) -> list[Replayed]:
    """Return the requests with both answers. A judge that reads the rules judges each answer by the rules that it was given with."""
    config = params.evaluate.judge
    generator = make_generator(checkpoint, params.compute)
    shared = None if config.needs_rules else get_judge(config, params.compute)
    requests = [one.request for one in wanted]
    sides = [answer(requests, generator, index, shared or get_judge(config, params.compute, index), params) for index in (old, new)]
    return [Replayed(*one) for one in zip(wanted, *sides, strict=True)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ascl_core.backtest", description="Compare two sets of rules on recorded requests.")
    parser.add_argument("traffic", help="a table with recorded requests")
    parser.add_argument("folder", type=Path, help="the folder of the result")
    parser.add_argument("--old", type=Path, required=True, help="the compiled rules that the requests met")
    parser.add_argument("--new", type=Path, required=True, help="the compiled rules to try")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="the parameters")
    parser.add_argument("--index", type=Path, help="the folder with the index of the old rules (default: built here)")
    parser.add_argument("--checkpoint", type=Path, help="the folder with the model; without it, only look-ups are compared")
    parser.add_argument("--replay", choices=("changed", "all"), default="changed", help="which requests the model answers")
    parser.add_argument("--consented-by", help="the column that marks consented rows; without it, all rows are taken")
    parser.add_argument("--jurisdiction", default=ANYWHERE, help="of requests that name none")
    parser.add_argument("--out", type=Path, help="a file of JSON lines for the changed answers")
    return parser


if __name__ == "__main__":
    sys.exit(main())
