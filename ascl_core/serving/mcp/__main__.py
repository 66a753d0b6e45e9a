"""Serve the rules over MCP: `python -m ascl_core.serving.mcp CORPUS [--transport stdio|http] [--params FILE] …`.

Over stdio it ends with its input, over HTTP on SIGTERM or Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import anyio

from ascl_core.serving.access import access
from ascl_core.serving.command import add_options, end_on_sigterm, open_rules, run
from ascl_core.serving.look_up_log import LookUpLog
from ascl_core.serving.mcp.server import RuleServer


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until it is stopped, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ascl_core.serving.mcp", description="Serve the rules over MCP.")
    add_options(parser, port=8001)
    parser.add_argument("--transport", choices=("stdio", "http"), default="stdio", help="how clients connect (default: %(default)s)")
    return run(_serve, parser.parse_args(arguments))


def _serve(options: argparse.Namespace) -> None:
    params, corpora = open_rules(options)
    server = RuleServer(corpora, options.jurisdiction, params.conversation, LookUpLog(options.access_log, via="mcp"))
    if options.transport == "http":
        _serve_http(server, options)
    else:
        anyio.run(_serve_stdio, server)


async def _serve_stdio(server: RuleServer) -> None:
    from mcp.server.stdio import stdio_server

    built = server.build()
    async with stdio_server() as (reading, writing):
        await built.run(reading, writing, built.create_initialization_options())


def _serve_http(server: RuleServer, options: argparse.Namespace) -> None:
    import uvicorn

    from ascl_core.serving.http import address, listening
    from ascl_core.serving.mcp.http import PATH, make_mcp_app

    end_on_sigterm()
    app = make_mcp_app(server, access(options.host))
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, proxy_headers=False)
    with listening(options.host, options.port) as listener:
        current = server.corpora.current
        shown = f"{len(current.corpus.rules)} rules, corpus {current.digest[:12]}"
        print(f"serving the rules over MCP at http://{address(listener)}{PATH}: {shown}", flush=True)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    sys.exit(main())
