"""What each rebalancing does to the consult rate in the two-mode bandit: `python benchmarks/mode_bandit.py [--seeds 5]`.

Prints the final consult rate on benign and on harmful prompts after 400 steps from .50 and .80: mean over the seeds and,
in brackets, the smallest and largest.
"""

from __future__ import annotations

import argparse
from statistics import mean

from rich.console import Console
from rich.table import Table

from ascl_core.rl.advantages import STRATEGIES
from ascl_core.rl.bandit import final_consult_rates


def main() -> None:
    """Run every strategy under every seed and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    table = Table("rebalance", "benign", "harmful", title=f"consult rate after 400 steps, {seeds} seeds")
    for name in STRATEGIES:
        rates = [final_consult_rates(name, seed) for seed in range(seeds)]
        table.add_row(name, *(f"{mean(r):.2f} [{min(r):.2f}, {max(r):.2f}]" for r in zip(*rates, strict=True)))
    Console().print(table)


if __name__ == "__main__":
    main()
