"""What both servers have on their command lines: the rules, the address, and how they end."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from ascl_core.config.params import Params, load_params
from ascl_core.errors import AsclError
from ascl_core.rules.corpus import load_corpus
from ascl_core.rules.index import Indexer
from ascl_core.serving.corpora import ServedCorpora
from ascl_core.vocabulary import ANYWHERE


def add_options(parser: argparse.ArgumentParser, *, port: int) -> None:
    """Add the options for the served rules and for the address."""
    parser.add_argument("corpus", metavar="CORPUS", type=Path, help="the compiled rules, such as data/compiled/corpus.json")
    parser.add_argument("--params", metavar="FILE", type=Path, help="take the parameters from this params.yaml (default: the defaults)")
    parser.add_argument("--jurisdiction", default=ANYWHERE, help="the jurisdiction of requests that name none (default: %(default)s)")
    parser.add_argument("--index", metavar="FOLDER", type=Path, help="the index of these rules (default: built at the start)")
    parser.add_argument("--memory", metavar="FILE", type=Path, help="keep swapped rules in this file, for restarts and for other servers")
    parser.add_argument("--access-log", metavar="FILE", type=Path, help="append a line of JSON for each look-up")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=port, help="the port to listen on (default: %(default)s)")


def open_rules(options: argparse.Namespace) -> tuple[Params, ServedCorpora]:
    """Return the parameters and the served rules that the options name."""
    params = load_params(options.params) if options.params else Params()
    corpus, indexer = load_corpus(options.corpus), Indexer(params.retrieval)
    return params, ServedCorpora(corpus, params.rules, options.jurisdiction, options.memory, indexer=indexer, index=options.index)


def run(serve: Callable[[argparse.Namespace], None], options: argparse.Namespace) -> int:
    """Serve to the end or Ctrl-C; return 0, or the status of an error after its message on stderr."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger().handlers[0].setLevel(logging.WARNING)
    try:
        serve(options)
    except AsclError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        pass
    return 0


def end_on_sigterm() -> None:
    """Exit with status 0 on SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
