"""The frozen corpus: rules and prompt seeds that tests, the demonstration and benchmarks use instead of `data/rules` and `data/raw`.

Those two folders belong to whoever has the repository, and change with every rule; the copies here change only together with
the tests that read them. What must hold of any corpus is a finding of `ascl rules check`, and no test of its own.
"""

from __future__ import annotations

from pathlib import Path

from ascl_core.config.rules import RulesConfig
from ascl_core.rules.compile import check_folder
from ascl_core.rules.corpus import Corpus

RULES = Path(__file__).parent / "rules"
RAW = Path(__file__).parent / "raw"


def frozen_corpus() -> Corpus:
    """The frozen rules, compiled."""
    result = check_folder(RULES, RulesConfig())
    assert result.corpus is not None, [str(finding) for finding in result.errors]
    return result.corpus
