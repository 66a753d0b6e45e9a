"""Rules from wherever a person names them: a folder of rule files, a compiled corpus, a git revision, or a prefix on S3."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ascl_core.artifacts import digest, sha256_json
from ascl_core.config.rules import RulesConfig
from ascl_core.errors import RuleError
from ascl_core.rules.compile import check_folder
from ascl_core.rules.corpus import Corpus, load_corpus
from tasks.registry.stages import RULES
from tasks.repository.git import export, git, named
from tasks.repository.released import NOW, released_commit
from tasks.runs.rules_on_s3 import download_rules, is_on_s3, list_rules


def read_rules(root: Path, place: str, config: RulesConfig) -> Corpus:
    """The corpus at `place`: a folder, a compiled `corpus.json`, `s3://bucket/prefix`, a revision of this repository, or `released`.

    A path counts before a revision of the same name. `RuleError` where it is none of these, or does not compile.
    """
    if place and Path(place).is_file():
        return load_corpus(Path(place))
    with tempfile.TemporaryDirectory() as folder:
        return compiled(fetch_rules(root, place, Path(folder) / "rules"), config, _named(place))


def fetch_rules(root: Path, place: str, into: Path) -> Path:
    """A folder with the rule files at `place`: that folder itself, or for a git revision and a prefix on S3 one at or under `into`.

    `RuleError` where it is none of these; `DataError` where S3 does not give them, or gives what cannot be rules.
    """
    if is_on_s3(place):
        return download_rules(place, into)
    if place and Path(place).is_dir():
        return Path(place)
    commit = released_commit(root) if place == NOW else named(root, place)
    if commit is None and place == NOW:
        raise RuleError("nothing is released yet", field="rules", value=place, hint="name a git revision such as HEAD~1")
    if commit is None:
        hint = "give a folder with rule files, a compiled corpus.json, s3://BUCKET/PREFIX, or a git revision such as HEAD~1"
        raise RuleError("no such folder, file or git revision", field="rules", value=place, hint=hint)
    return export(root, commit, Path(RULES.path), into)


def digest_of_place(root: Path, place: str) -> str:
    """A digest that changes where the rule files at `place` do, without reading their content from git or S3.

    Two places with the same rules may have different ones: it is for comparing one place with itself at another time.
    """
    if is_on_s3(place):
        return sha256_json(sorted(list_rules(place).items()))
    if place and Path(place).exists():
        return digest(place)
    commit = named(root, place)
    if commit is None:
        raise RuleError("no such folder, file or git revision", field="rules", value=place, hint="git log --oneline")
    return git(root, "rev-parse", "--verify", f"{commit}:{RULES.path}")


def _named(place: str) -> str:
    """How a place is called in a message."""
    return place if is_on_s3(place) or Path(place).is_dir() else f"{place}:{RULES.path}"


def compiled(folder: Path, config: RulesConfig, named: str, *, against_lock: bool = False) -> Corpus:
    """The rules of a folder; `RuleError` with the first problem, said of the place as it was named, where they do not compile."""
    result = check_folder(folder, config, against_lock=against_lock)
    if result.corpus is None:
        raise RuleError(f"the rules do not compile: {result.errors[0]}", file=named, hint="ascl rules check lists every problem")
    return result.corpus
