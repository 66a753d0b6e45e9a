"""The checks of a rule corpus: each is one function of a `CorpusUnderCheck` with the decorator `@check`, in a module of this package."""

from ascl_core.rules.checks import contents, coverage, structure, texts, versions
from ascl_core.rules.checks.registry import CorpusUnderCheck, check, run_checks

__all__ = ["CorpusUnderCheck", "check", "contents", "coverage", "run_checks", "structure", "texts", "versions"]
