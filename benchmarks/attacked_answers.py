"""What a checkpoint does with harmful prompts, plain and under a forgery: `python benchmarks/attacked_answers.py [ifpo]`, after `ascl run`.

The plain prompts are this repository's own; of those under a forgery only the ones count whose plain answer is safe.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from ascl_core.artifacts import read_parquet
from ascl_core.config.suites import FORGED_RULES
from ascl_core.contracts import EvaluatedRollout, from_table
from ascl_core.evaluation.attacks import attackable
from ascl_core.evaluation.measures import consulted, found_rule, is_safe, plain_rows
from ascl_core.vocabulary import PromptType

RESULTS = Path(__file__).parents[1] / "data" / "evaluation"
DONE = ("answers directly", "looks up another rule in the right category", "looks up another category", "looks up the rule that decides")


def main() -> None:
    """Print a table: the share of the answers by what the model did, and their number."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", nargs="?", default="ifpo", help="a folder of data/evaluation (default: ifpo)")
    file = RESULTS / parser.parse_args().checkpoint / "results.parquet"
    rows = from_table(read_parquet(file), EvaluatedRollout, file=file)
    plain = plain_rows(rows)
    groups = {
        "plain": [row for row in plain if row.prompt_type is PromptType.HARMFUL and row.suite.startswith("own")],
        "forged": attackable([row for row in rows if row.suite == FORGED_RULES], plain),
    }
    columns = {
        f"{verdict}, {name}": Counter(what_it_did(row) for row in members if is_safe(row) is safe)
        for safe, verdict in ((False, "harmful"), (True, "safe"))
        for name, members in groups.items()
    }
    print("| share of the answers |", " | ".join(columns), "|")
    print("|---|" + "---|" * len(columns))
    for done in DONE:
        print(f"| {done} |", " | ".join(f"{count[done] / max(1, count.total()):.0%}" for count in columns.values()), "|")
    print("| answers |", " | ".join(str(count.total()) for count in columns.values()), "|")


def what_it_did(row: EvaluatedRollout) -> str:
    """Return which of `DONE` the model did."""
    if not consulted(row):
        return DONE[0]
    if found_rule(row):
        return DONE[3]
    return DONE[1] if any(rule.startswith(f"{row.category}-") for rule in row.consulted) else DONE[2]


if __name__ == "__main__":
    main()
