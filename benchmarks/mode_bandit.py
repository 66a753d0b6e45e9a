"""Show what each rebalancing rule does to the consult rate in the two-mode bandit: `python benchmarks/mode_bandit.py [--seeds 5]`.

The first table has the final consult rate on benign and on harmful prompts after 400 steps from 0.50 and 0.80: the mean over the seeds
and, in brackets, the smallest and largest. The second shows how well a rule still holds consulting back if benign prompts are nearly
always answered rightly, so that all rewards of a group are equal and nothing is rebalanced; prompts that only the rules decide pay 0.97
for consulting and 0.50 without, from rates of 0.60 and 0.55, 300 steps. The third has the expected push of IFPO on consulting, divided
by GRPO's.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from statistics import mean

from bandit import BanditConfig, final_consult_rates, push_ratio
from rich.console import Console
from rich.table import Table

from ascl_core.config.ifpo import STRATEGIES

_RIGHT = (0.90, 0.95, 0.97, 0.99)
_MEMORISED = BanditConfig(harmful_pay=(0.5, 0.97), harmful_start=0.6, benign_start=0.55, steps=300)


def main() -> None:
    """Run every strategy under every seed and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    table = Table("rebalance", "benign", "harmful", title=f"consult rate after 400 steps, {seeds} seeds")
    for name in STRATEGIES:
        rates = [final_consult_rates(name, seed) for seed in range(seeds)]
        table.add_row(name, *(f"{mean(r):.2f} [{min(r):.2f}, {max(r):.2f}]" for r in zip(*rates, strict=True)))
    Console().print(table)
    Console().print(_when_most_is_right(seeds))
    Console().print(_pushes())


def _when_most_is_right(seeds: int) -> Table:
    names = ("none", "ifpo", "one_sided", "reward")
    table = Table("benign right", "group size", "groups of one reward", *names, title="benign / rule-decided consult rate")
    for right in _RIGHT:
        for size in (8, 16):
            config = replace(_MEMORISED, benign_pay=(right, right), group_size=size, groups=256 // size)
            rates = {name: [final_consult_rates(name, seed, config) for seed in range(seeds)] for name in names}
            shown = (" / ".join(f"{mean(rate):.2f}" for rate in zip(*rates[name], strict=True)) for name in names)
            table.add_row(f"{right:.2f}", str(size), f"{right**size + (1 - right) ** size:.2f}", *shown)
    return table


def _pushes() -> Table:
    taus = (0.5, 1.0)
    table = Table("consult rate", *(f"tau {tau}" for tau in taus), title="push of IFPO on consulting / push of GRPO")
    for share in (0.5, 0.8, 0.9):
        table.add_row(f"{share}", *(f"{push_ratio(share, tau):.2f}" for tau in taus))
    return table


if __name__ == "__main__":
    main()
