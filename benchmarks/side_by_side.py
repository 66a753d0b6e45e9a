"""Shared by the benchmarks: interleaved repeats, medians and ranges, the machine's line, and figures as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Timing:
    """The seconds of every repeat of one side."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Return the median of the repeats."""
        return median(self.seconds)

    def to_json(self) -> dict[str, Any]:
        """Return median and range, and every repeat."""
        return {"median_s": self.median, "min_s": min(self.seconds), "max_s": max(self.seconds), "seconds": list(self.seconds)}

    def __str__(self) -> str:
        return f"{self.median * 1e3:.1f} ms [{min(self.seconds) * 1e3:.1f}, {max(self.seconds) * 1e3:.1f}]"


def interleave(sides: Mapping[str, Callable[[], Any]], repeats: int, warmups: int = 1) -> dict[str, Timing]:
    """Time the sides one after the other, `repeats` times, so that other work on the machine affects all of them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(-warmups, repeats):
        for name, run in sides.items():
            started = time.perf_counter()
            run()
            if number >= 0:
                seconds[name].append(time.perf_counter() - started)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def ratios(timings: Mapping[str, Timing], ours: str, theirs: str) -> tuple[float, float, float]:
    """Return their seconds divided by ours, repeat by repeat: median, smallest and largest."""
    pairs = [b / a for a, b in zip(timings[ours].seconds, timings[theirs].seconds, strict=True)]
    return median(pairs), min(pairs), max(pairs)


def machine() -> dict[str, Any]:
    """Return cores, load, Python and, if it is loaded, torch with its threads."""
    import sys

    found: dict[str, Any] = {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": [round(x, 2) for x in os.getloadavg()],
        "architecture": platform.machine(),
        "python": platform.python_version(),
    }
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        found |= {"torch": torch.__version__, "threads": torch.get_num_threads()}
    return found


def machine_line() -> str:
    """Return one line about the machine, for the foot of every table."""
    return "machine: " + ", ".join(f"{name} {value}" for name, value in machine().items())


def parser(doc: str | None, repeats: int) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--repeats", type=int, default=repeats, help="timed repeats of each side (default: %(default)s)")
    made.add_argument("--seed", type=int, default=0, help="seed of everything that is drawn (default: %(default)s)")
    made.add_argument("--json", type=Path, metavar="PATH", help="write the figures to this file")
    return made


def write(path: Path | None, figures: Mapping[str, Any], lines: Sequence[str]) -> None:
    """Print the lines and the machine's; write the figures with it if a path is given."""
    for line in (*lines, machine_line()):
        print(line)
    if path is not None:
        path.write_text(json.dumps({**figures, "machine": machine()}, indent=2) + "\n", encoding="utf-8")
