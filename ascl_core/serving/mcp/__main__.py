"""Serve the rules over MCP: `python -m ascl_core.serving.mcp CORPUS [--transport stdio|http] [--params FILE] …`.

Over stdio it ends with its input, over HTTP on SIGTERM or Ctrl-C.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio

from ascl_core.config.params import Params, load_params
from ascl_core.errors import AsclError
from ascl_core.generation.chat import ANYWHERE
from ascl_core.rules.corpus import load_corpus
from ascl_core.rules.index import Indexer
from ascl_core.serving.access import access
from ascl_core.serving.corpora import ServedCorpora
from ascl_core.serving.look_up_log import LookUpLog
from ascl_core.serving.mcp.server import RuleServer


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until it is stopped; return 0, or 1 after an error with its message on stderr."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr, level=logging.WARNING)
    try:
        server = _rule_server(options)
        if options.transport == "http":
            _serve_http(server, options)
        else:
            anyio.run(_serve_stdio, server)
    except AsclError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        pass
    return 0


def _rule_server(options: argparse.Namespace) -> RuleServer:
    params = load_params(options.params) if options.params else Params()
    indexer = Indexer(params.retrieval)
    corpus = load_corpus(options.corpus)
    corpora = ServedCorpora(corpus, params.rules, options.jurisdiction, options.memory, indexer=indexer, index=options.index)
    return RuleServer(corpora, options.jurisdiction, params.conversation, LookUpLog(options.access_log, via="mcp"))


async def _serve_stdio(server: RuleServer) -> None:
    from mcp.server.stdio import stdio_server

    built = server.build()
    async with stdio_server() as (reading, writing):
        await built.run(reading, writing, built.create_initialization_options())


def _serve_http(server: RuleServer, options: argparse.Namespace) -> None:
    import uvicorn

    from ascl_core.serving.http import address, listening
    from ascl_core.serving.mcp.http import PATH, make_mcp_app

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    app = make_mcp_app(server, access(options.host))
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, proxy_headers=False)
    with listening(options.host, options.port) as listener:
        current = server.corpora.current
        shown = f"{len(current.corpus.rules)} rules, corpus {current.digest[:12]}"
        print(f"serving the rules over MCP at http://{address(listener)}{PATH}: {shown}", flush=True)
        uvicorn.Server(config).run(sockets=[listener])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ascl_core.serving.mcp", description="Serve the rules over MCP.")
    parser.add_argument("corpus", metavar="CORPUS", type=Path, help="the compiled rules, such as data/compiled/corpus.json")
    parser.add_argument("--transport", choices=("stdio", "http"), default="stdio", help="how clients connect (default: %(default)s)")
    parser.add_argument("--params", metavar="FILE", type=Path, help="take conversation, rules and retrieval from this params.yaml")
    parser.add_argument("--index", metavar="FOLDER", type=Path, help="the index of these rules (default: built at the start)")
    parser.add_argument("--jurisdiction", default=ANYWHERE, help="the jurisdiction of every look-up (default: %(default)s)")
    parser.add_argument("--memory", metavar="FILE", type=Path, help="serve the swapped rules in this file, also those of another server")
    parser.add_argument("--access-log", metavar="FILE", type=Path, help="append a line of JSON for each look-up")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on over HTTP (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8001, help="the port to listen on over HTTP (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
