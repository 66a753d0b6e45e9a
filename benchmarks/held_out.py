"""Count how much of the project's own suites training asks for in other words: `python benchmarks/held_out.py`.

It counts with the suites as they are held out, and as if only whole sentences were held out.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from ascl_core.artifacts import read_yaml
from ascl_core.config.profiles import resolve_profile
from ascl_core.data.raw_prompt import RawPrompt, content_fraction
from ascl_core.data.seeds import own_prompts
from ascl_core.rules.compile import check_folder

ROOT = Path(__file__).parents[1]
Text = Callable[[RawPrompt], str]


def main() -> None:
    """Print, for safety and utility prompts, how many held-out ones ask what a training prompt asks."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    params = resolve_profile(ROOT, "tiny")
    corpus = check_folder(ROOT / "tests/corpus/rules", params.rules).corpus
    assert corpus is not None, "ascl rules check"
    rows = own_prompts(ROOT / "tests/corpus/raw", corpus)
    safety = [row for row in rows if row.family is not None]
    utility = [row for row in rows if row.answer is not None]
    fraction, asked = params.suites.own_fraction, _question(read_yaml(ROOT / "tests/corpus/raw/utility.yaml")["frames"])
    print("held out, and asked in training in other words:")
    print(f"  safety, by family          {_overlap(safety, _family, _family, fraction)}")
    print(f"  safety, if by sentence     {_overlap(safety, _sentence, _family, fraction)}")
    print(f"  utility, by sentence       {_overlap(utility, _sentence, asked, fraction)}")


def _overlap(rows: Sequence[RawPrompt], held_out_by: Text, asks: Text, fraction: float) -> str:
    held_out = [row for row in rows if content_fraction(held_out_by(row), "suite") < fraction]
    kept = {row.prompt for row in held_out}
    trained = {asks(row) for row in rows if row.prompt not in kept}
    shared = sum(asks(row) in trained for row in held_out)
    return f"{shared} of {len(held_out)} ({shared / len(held_out):.0%})"


def _family(row: RawPrompt) -> str:
    return str(row.family)


def _sentence(row: RawPrompt) -> str:
    return row.prompt


def _question(frames: dict[str, list[str]]) -> Text:
    """Return the question without the sentence around it."""
    longest_first = sorted((frame for family in frames.values() for frame in family), key=len, reverse=True)
    patterns = [re.compile(re.escape(frame).replace(r"\{x\}", "(.+)"), re.DOTALL) for frame in longest_first]

    def question(row: RawPrompt) -> str:
        return next((found[1].casefold() for pattern in patterns if (found := pattern.fullmatch(row.prompt))), row.prompt)

    return question


if __name__ == "__main__":
    main()
