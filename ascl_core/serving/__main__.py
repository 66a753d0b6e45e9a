"""Serve a checkpoint: `python -m ascl_core.serving CHECKPOINT CORPUS [--params FILE] [--host 127.0.0.1] [--port 8000] …`.

Ends on SIGTERM or Ctrl-C, and gives answers in progress a few seconds to finish.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from ascl_core.serving.access import access
from ascl_core.serving.chat import quieten
from ascl_core.serving.command import add_options, end_on_sigterm, open_rules, run
from ascl_core.serving.engine import Engine
from ascl_core.serving.exchange import OnInvalid
from ascl_core.serving.http import address, listening
from ascl_core.serving.look_up_log import LookUpLog
from ascl_core.serving.messages import OnSystem
from ascl_core.serving.requests import OnUnknown
from ascl_core.serving.service import Service, Settings, loader

_GRACE_S = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until it is stopped, and return the exit status."""
    return run(_serve, _parser().parse_args(arguments))


def _serve(options: argparse.Namespace) -> None:
    import uvicorn

    from ascl_core.serving.app import make_app

    end_on_sigterm()
    quieten()
    allowed = access(options.host)
    params, corpora = open_rules(options)
    name = options.name or Path(options.checkpoint).name
    limits = {"batch_size": options.batch_size, "queue": options.queue, "most_tokens": options.max_tokens}
    limits |= {"upstream_timeout_s": options.upstream_timeout, "upstream_tolerance": options.upstream_tolerance}
    choices = {"on_invalid": options.on_invalid, "on_system": options.on_system, "on_unknown": options.on_unknown}
    settings = Settings(options.checkpoint, name, options.jurisdiction, options.release, options.upstream, **limits, **choices)
    identity: dict[str, object] = {}
    engine = Engine(loader(settings, params, identity), queue=settings.queue, on_end=lambda: setattr(server, "should_exit", True))
    app = make_app(Service(settings, params, corpora, allowed, engine, identity, LookUpLog(options.access_log, via="chat")))
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, proxy_headers=False, timeout_graceful_shutdown=_GRACE_S
    )
    server = uvicorn.Server(config)
    with listening(options.host, options.port) as listener:
        current = corpora.current
        print(
            f"serving {name} ({settings.release or 'not released'}) at http://{address(listener)}/v1 "
            f"with {len(current.corpus.rules)} rules, corpus {current.digest[:12]}",
            flush=True,
        )
        if corpora.is_swapped:
            print(f"these rules were swapped in at {current.since:%Y-%m-%d %H:%M} UTC (from {options.memory})", flush=True)
        server.run(sockets=[listener])
    if engine.error is not None:
        raise engine.error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ascl_core.serving", description="Serve a checkpoint that consults the rules.")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="folder with a model and its tokenizer, or a hub id")
    add_options(parser, port=8000)
    parser.add_argument("--name", help="the model's name in the API (default: the name of its folder)")
    parser.add_argument("--release", metavar="TAG", help="the release that checkpoint and corpus belong to; every answer names it")
    parser.add_argument(
        "--upstream", metavar="URL", help="the address of vLLM's server, which generates (default: transformers, in this process)"
    )
    parser.add_argument(
        "--upstream-timeout",
        type=float,
        default=Settings.upstream_timeout_s,
        help="the seconds that its answer may take to begin, and then each of its parts (default: %(default)s)",
    )
    parser.add_argument(
        "--upstream-tolerance",
        type=float,
        default=Settings.upstream_tolerance,
        help="how far its log-probabilities may be from the checkpoint's, in nats a token, on average (default: %(default)s)",
    )
    parser.add_argument("--batch-size", type=_positive, help="answers generated at a time (default: 8, or 256 with --upstream)")
    parser.add_argument("--queue", type=_positive, default=Settings.queue, help="requests that may wait (default: %(default)s)")
    parser.add_argument(
        "--max-tokens", type=_positive, default=Settings.most_tokens, help="the most tokens of one answer (default: %(default)s)"
    )
    parser.add_argument(
        "--on-invalid",
        choices=get_args(OnInvalid),
        default=Settings.on_invalid,
        help="what to do with a malformed conversation: sample it once more and then refuse, refuse at once, or return it "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--on-system",
        choices=get_args(OnSystem),
        default=Settings.on_system,
        help="what to do with a client's system messages: ignore them and say so in the answer, append them to the message of training, "
        "or refuse the request (default: %(default)s)",
    )
    parser.add_argument(
        "--on-unknown",
        choices=get_args(OnUnknown),
        default=Settings.on_unknown,
        help="what to do with a parameter that the server does not know: refuse the request, or ignore it (default: %(default)s)",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


if __name__ == "__main__":
    sys.exit(main())
