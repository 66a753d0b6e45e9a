"""The GPU estimate of `ascl plan`: for each stage that uses one, its parameters, memory by part, tokens and hours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape

from ascl_core.config.base import parse
from ascl_core.config.params import Params
from ascl_core.errors import ModelError
from ascl_core.sizing.devices import DEFAULT, Device, get_device, recognise
from flows.cli.console import out, print_line, print_table
from tasks.host.estimate import Need, disk_of, estimate
from tasks.host.gpus import gpus
from tasks.registry.paths import PARAMETERS


def print_needs(root: Path, values: Mapping[str, Any], gpu: str | None) -> None:
    """Print the estimate if the parameters, this machine or the user name a GPU; nothing otherwise."""
    params, found = parse(Params, values, file=root / PARAMETERS), gpus()
    if gpu is None and (params.compute.device == "cpu" or (params.compute.device == "auto" and not found)):
        return
    device = get_device(gpu) if gpu else recognise(found) or get_device(DEFAULT)
    assumed = "" if gpu or recognise(found) else ", assumed: name another with --gpu"
    several = f", {params.parallel.processes} processes by {params.parallel.strategy}" if params.parallel.processes > 1 else ""
    out.print(f"\non {device.name} ({device.memory_gb} GB, {device.tflops:g} TFLOP/s){several}{assumed}; docs/gpu.md explains the estimate")
    try:
        needs = estimate(root, params, device)
    except ModelError as error:
        out.print(f"[yellow]memory and hours cannot be estimated:[/] {escape(str(error))}")
        return
    print_table(
        ("stage", "GPUs", "model", "GB on each", "of which", "tokens", "hours"),
        [
            (
                f"{n.stage} × {n.times}" if n.times > 1 else n.stage,
                n.gpus,
                _model(n),
                f"{n.memory.total / 1e9:.2f} {'too much' if n.problem else 'fits'}",
                ", ".join(f"{name} {size / 1e9:.2f}" for name, size in n.memory.parts.items() if size),
                "unknown yet" if n.tokens is None else f"≤ {_short(n.tokens)}",
                "unknown yet" if n.hours is None else f"≤ {n.hours:.2g}",
            )
            for n in needs
        ],
    )
    for need in needs:
        if need.problem:
            out.print(f"[red]{need.stage} does not fit:[/] {escape(need.problem)}\n  hint: {escape(need.hint)}")
    _print_sum(needs, device)
    parts = disk_of(params)
    of_which = ", ".join(f"{name} {size / 1e9:.1f}" for name, size in parts.items())
    print_line(f"at most {sum(parts.values()) / 1e9:.1f} GB on disk: {of_which}; data and logs add little")


def _print_sum(needs: list[Need], device: Device) -> None:
    known = sum((need.hours or 0.0) * need.gpus for need in needs)
    unknown = [need.stage for need in needs if need.hours is None]
    more = f", plus {' and '.join(unknown)}: known once curate, build_suites and build_sft have run" if unknown else ""
    out.print(f"at most {known:.1f} hours of one {device.name}{more}")


def _model(need: Need) -> str:
    share = f", {_short(need.trained)} trained" if 0 < need.trained < need.parameters else ""
    return f"{need.model}: {_short(need.parameters)}{share}"


def _short(number: float) -> str:
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.2f} {letter}"
    return f"{number:.0f}"
