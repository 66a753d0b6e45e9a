"""Many open streams at one server: `PYTHONPATH=. python benchmarks/serving.py [CHECKPOINT CORPUS] [--streams 200]`.

Starts `ascl_core.serving` with a small model that it teaches in seconds, or with the given checkpoint, opens all streams at once, and
lets one in ten read nothing until the others have ended. Prints the time to the first token, the time to the end, and how many
streams were complete, beside the load of the machine. The first token of a fail-closed server is that of the finished conversation.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.served_model import ANSWERS, QUESTION, make_consulting, write_corpus
from tests.services.model_server import ModelServer, model_server

_LIMIT_S = 120


@dataclass
class Stream:
    """What one client saw, in seconds since all streams were opened."""

    first_s: float = 0.0
    end_s: float = 0.0
    text: str = ""
    is_whole: bool = False


async def read(client: httpx.AsyncClient, server: ModelServer, start: float, before: asyncio.Event | None) -> Stream:
    """Read one stream to its end; one that waits for `before` reads nothing until then."""
    seen = Stream()
    async with client.stream("POST", "/v1/chat/completions", json=server.body(QUESTION, stream=True)) as response:
        response.raise_for_status()
        if before is not None:
            await before.wait()
        async for line in response.aiter_lines():
            if '"delta": {"content"' in line:
                seen.first_s = seen.first_s or time.monotonic() - start
                seen.text += line.split('"delta": {"content": "')[1].split('"}')[0]
            seen.is_whole = seen.is_whole or line == "data: [DONE]"
    seen.end_s = time.monotonic() - start
    return seen


async def open_all(server: ModelServer, streams: int) -> tuple[list[Stream], list[Stream]]:
    """Return what the reading clients saw, and what those saw that began to read when the others had ended."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=server.url, timeout=_LIMIT_S, limits=limits, trust_env=False) as client:
        start, ended = time.monotonic(), asyncio.Event()
        slow = [asyncio.create_task(read(client, server, start, ended)) for _ in range(streams // 10)]
        reading = await asyncio.gather(*(read(client, server, start, None) for _ in range(streams - len(slow))))
        ended.set()
        return reading, await asyncio.gather(*slow)


def main() -> None:
    """Measure, and print a row for each kind of client."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("served", nargs="*", type=Path, help="CHECKPOINT and CORPUS (default: a model that is taught here)")
    parser.add_argument("--streams", type=int, default=200, help="at least 20, so that two of them read last (default: %(default)s)")
    options = parser.parse_args()
    if len(options.served) not in (0, 2) or options.streams < 20:
        parser.error("give CHECKPOINT and CORPUS or neither, and at least 20 streams")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        params = work / "params.yaml"
        params.write_text("compute: {threads: 1}\n", encoding="utf-8")
        checkpoint, corpus = options.served or (make_consulting(work / "model"), write_corpus(work / "corpus.json", "allowed"))
        queue = str(options.streams)
        with model_server(checkpoint, corpus, "--queue", queue, "--params", str(params)) as server:
            server.ask(QUESTION)
            load = os.getloadavg()[0]
            reading, slow = asyncio.run(open_all(server, options.streams))
    print(f"load of the machine at the start: {load:.1f} on {os.cpu_count()} cores")
    print("| clients | streams | complete | first token p50 / p99 (s) | end p50 / p99 (s) |\n|---|---|---|---|---|")
    for name, seen in (("reading", reading), ("reading last", slow)):
        whole = sum(one.is_whole and (bool(options.served) or one.text == ANSWERS["allowed"]) for one in seen)
        figures = [_percentiles([getattr(one, at) for one in seen]) for at in ("first_s", "end_s")]
        print(f"| {name} | {len(seen)} | {whole} | {' | '.join(figures)} |")


def _percentiles(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return f"{cuts[49]:.1f} / {cuts[98]:.1f}"


if __name__ == "__main__":
    main()
