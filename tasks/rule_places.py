"""Rules from wherever a person names them: a folder of rule files, a compiled corpus, or a git revision."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ascl_core.config.rules import RulesConfig
from ascl_core.errors import RuleError
from ascl_core.rules.compile import check_folder
from ascl_core.rules.corpus import Corpus, load_corpus
from tasks.git import commit_of, export
from tasks.stages import RULES


def read_rules(root: Path, place: str, config: RulesConfig) -> Corpus:
    """The corpus at `place`: a folder, a compiled `corpus.json`, or a revision of this repository, whose `data/rules` it is.

    A path counts before a revision of the same name. `RuleError` where it is none of these, or does not compile.
    """
    path = Path(place)
    if place and path.is_dir():
        return compiled(path, config, place)
    if path.is_file():
        return load_corpus(path)
    commit = commit_of(root, place)
    if commit is None:
        mend = "give a folder with rule files, a compiled corpus.json, or a git revision such as HEAD~1"
        raise RuleError("no such folder, file or git revision", field="rules", value=place, mend=mend)
    with tempfile.TemporaryDirectory() as folder:
        return compiled(export(root, commit, Path(RULES.path), Path(folder)), config, f"{place}:{RULES.path}")


def compiled(folder: Path, config: RulesConfig, named: str, *, against_lock: bool = False) -> Corpus:
    """The rules of a folder; `RuleError` with the first problem, said of the place as it was named, where they do not compile."""
    result = check_folder(folder, config, against_lock=against_lock)
    if result.corpus is None:
        raise RuleError(f"the rules do not compile: {result.errors[0]}", file=named, mend="ascl rules check lists every problem")
    return result.corpus
