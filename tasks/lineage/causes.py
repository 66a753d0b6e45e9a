"""What differs between what two artifacts were made from: stages, rules, parameters, rows, seeds, code, packages, machines.

Each difference names the stages that met it, so that `diff` can say which of them reached the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

from ascl_core.artifacts import sha256_file
from ascl_core.rules.corpus import Corpus, load_corpus
from ascl_core.rules.diff import ChangeClass, RuleDiff, diff_corpora
from tasks.evidence.graph import Found, Node, lock_text
from tasks.evidence.snapshot import Snapshot
from tasks.host.packages import pins
from tasks.lineage.pairs import Pairs
from tasks.lineage.row_counts import KEYS, count_rows
from tasks.registry.code import PACKAGE
from tasks.registry.parameters import changed, flat
from tasks.registry.stages import RELEASED, RULES, VALIDATE_RULES, ArtifactKind, paths_of

CORPORA = tuple(paths_of(ArtifactKind.CORPUS))[::-1]
_MACHINE_SECTIONS = ("compute", "parallel")
"""Sections that say on what a stage runs, which hardly changes what it makes."""


class Kind(StrEnum):
    """Kinds of difference, ordered by how likely they are to move a metric."""

    STAGE = "stage"
    RULE = "rule"
    PARAMETER = "parameter"
    ROWS = "rows"
    SOURCE = "source"
    WORDING = "wording of a rule"
    SEED = "seed"
    CODE = "code"
    PACKAGE = "package"
    MACHINE = "machine"
    CHANCE = "chance"

    @property
    def rank(self) -> int:
        """The position in that order."""
        return list(Kind).index(self)


@dataclass(frozen=True)
class Cause:
    """One thing that differs."""

    kind: Kind
    what: str
    """A rule's id, a dotted key, a path, a package."""
    before: Any
    after: Any
    met_by: tuple[str, ...]
    """The pairs of stages that met it."""
    description: str = ""
    """What it means, if more is known than before and after."""
    weight: int = 0
    """Its size among differences of its kind: verdicts that flip, rows that changed."""
    details: tuple[str, ...] = ()


def causes(pairs: Pairs, missing: list[str]) -> Iterator[Cause]:
    """Yield everything that differs, in no order; add what could not be compared, as its bytes are not available, to `missing`."""
    yield from _stages(pairs)
    yield from _rules(pairs, missing)
    yield from _rows(pairs, missing)
    yield from _records(pairs, missing)


def _stages(pairs: Pairs) -> Iterator[Cause]:
    for name, pair in pairs.by_name.items():
        if pair.both is None:
            description = f"only upstream of the {'first' if pair.old else 'second'}"
            yield Cause(Kind.STAGE, name, pair.old and pair.old.stage.name, pair.new and pair.new.stage.name, (name,), description)


def _rules(pairs: Pairs, missing: list[str]) -> Iterator[Cause]:
    """Yield each changed rule once, met by all that read a corpus in which it changed in the same way."""
    merged: dict[str, tuple[Cause, list[str]]] = {}
    for path in CORPORA:
        before, after = (_output(one, path) for one in (pairs.old, pairs.new))
        readers = pairs.readers(path)
        if not readers or before == after:
            continue
        old, new = (_corpus(one.snapshot, path) for one in (pairs.old, pairs.new))
        if old is None or new is None:
            missing.append(f"{path}: its bytes are not available here, so no rule can be named")
            listed = [Cause(Kind.RULE, path, before, after, ())]
        else:
            listed = list(_of_rules(diff_corpora(old, new, _day(pairs))))
        for cause in listed:
            _, met_by = merged.setdefault(f"{cause.what} {cause.before} {cause.after} {cause.description}", (cause, []))
            met_by.extend(readers)
    for cause, met_by in merged.values():
        yield replace(cause, met_by=tuple(dict.fromkeys(met_by)))


def _of_rules(diff: RuleDiff) -> Iterator[Cause]:
    for rule in diff.rules:
        kind = Kind.RULE if rule.change_class.reach >= ChangeClass.VERDICT.reach else Kind.WORDING
        flips = [f"flips {flip.prompt!r} in {', '.join(flip.jurisdictions)}: {flip.before} → {flip.after}" for flip in rule.flips]
        fields = [
            f"{one.field}: {sign} {entry}" for one in rule.fields for sign, each in (("-", one.gone), ("+", one.new)) for entry in each
        ]
        description = rule.kind if rule.kind != "changed" else rule.reason
        yield Cause(kind, rule.rule_id, rule.version_before, rule.version_after, (), description, len(rule.flips), (*flips, *fields))
    for category in diff.categories:
        kind = Kind.WORDING if category.kind == "renamed" else Kind.RULE
        yield Cause(kind, f"category {category.category}", category.before or None, category.after or None, (), category.kind)
    for word, jurisdictions in (("added", diff.jurisdictions_added), ("removed", diff.jurisdictions_removed)):
        yield from (Cause(Kind.RULE, f"jurisdiction {one}", None, None, (), word) for one in jurisdictions)


def _output(found: Found, path: str) -> str | None:
    """Return the SHA-256 of a path as its producer recorded it."""
    producer = found.graph.producers.get(path)
    return producer.outputs[path] if producer else None


def _corpus(snapshot: Snapshot, path: str) -> Corpus | None:
    file = snapshot.files(path).get("")
    return None if file is None else load_corpus(file)


def _day(pairs: Pairs) -> date:
    """Return the day for which verdicts are compared: that of the second artifact's rules."""
    node = pairs.new.graph.nodes.get(VALIDATE_RULES.name)
    return date.fromisoformat(str(node.record.parameters["rules"]["at"])) if node else date.today()


def _rows(pairs: Pairs, missing: list[str]) -> Iterator[Cause]:
    ends = {path for end in pairs.ends for path in end.node.outputs}
    for path in KEYS:
        before, after = (_output(one, path) for one in (pairs.old, pairs.new))
        readers = pairs.readers(path)
        if not readers or before is None or after is None or before == after or path in ends:
            continue
        old, new = (one.snapshot.files(path).get("") for one in (pairs.old, pairs.new))
        if old is None or new is None:
            missing.append(f"{path}: its bytes are not available here, so its rows cannot be compared")
            yield Cause(Kind.ROWS, path, before, after, readers)
            continue
        counts = count_rows(old, new, path)
        details = tuple(f"{kind}: {', '.join(ids)}" for kind, ids in sorted(counts.examples.items()))
        description = str(counts) if counts.total else "the same rows in another order or format"
        yield Cause(Kind.ROWS, path, before, after, readers, description, counts.total, details)


def _records(pairs: Pairs, missing: list[str]) -> Iterator[Cause]:
    """Yield what differs between the two records of a stage, once for all stages that met it."""
    found: dict[tuple[str, ...], tuple[Cause, list[str], set[str]]] = {}
    for name, pair in pairs.by_name.items():
        for cause in _between(pairs, name, *pair.both, missing) if pair.both else ():
            key = (cause.kind, cause.what, str(cause.before), str(cause.after))
            _, met_by, descriptions = found.setdefault(key, (cause, [], set()))
            met_by.extend(cause.met_by)
            descriptions.add(cause.description)
    for cause, met_by, descriptions in found.values():
        details = _changed_files(pairs, cause.what) if cause.kind is Kind.SOURCE else ()
        description = ", ".join(sorted(descriptions - {""}))
        yield replace(cause, met_by=tuple(dict.fromkeys(met_by)), description=description, details=details)


def _between(pairs: Pairs, name: str, old: Node, new: Node, missing: list[str]) -> Iterator[Cause]:
    met_by = (name,)
    for key, was, now in changed(flat(old.record.parameters), flat(new.record.parameters)):
        is_seed, section = key.rpartition(".")[2] == "seed", key.partition(".")[0]
        kind = Kind.SEED if is_seed else Kind.MACHINE if section in _MACHINE_SECTIONS else Kind.PARAMETER
        yield Cause(kind, key, was, now, met_by)
    for path, was, now in changed(old.inputs, new.inputs):
        is_source = path not in pairs.old.graph.producers and path not in pairs.new.graph.producers
        if is_source and not (path == RULES.path and _are_rules_listed(pairs)):
            yield Cause(Kind.SOURCE, path, was, now, met_by, "what the rules are compared with" if path == RELEASED.path else "")
    yield from _code(pairs, name, old, new)
    for package, was, now, lock in _packages(pairs, old, new, missing):
        yield Cause(Kind.PACKAGE, package, was, now, met_by, lock)
    for key, was, now in changed(_machine(old), _machine(new)):
        if was is not None and now is not None:
            yield Cause(Kind.MACHINE, key, was, now, met_by)
    if old.record.digest == new.record.digest and pairs.moved(name) and old.sha256 != new.sha256:
        why = "sampling or rounding" if not new.stage.deterministic else "although it is deterministic: look into it"
        yield Cause(Kind.CHANCE, name, old.record.ended, new.record.ended, met_by, f"other bytes from the same inputs: {why}")


def _are_rules_listed(pairs: Pairs) -> bool:
    """Return whether changes of the rules are listed rule by rule."""
    return VALIDATE_RULES.name in pairs.by_name and bool(pairs.moved(VALIDATE_RULES.name) & {"corpus", "sft_corpus", "rl_corpus"})


def _changed_files(pairs: Pairs, path: str) -> tuple[str, ...]:
    if Path(path).is_absolute() or "://" in path:
        return ()
    old, new = ({name: sha256_file(file) for name, file in one.snapshot.files(path).items() if file} for one in (pairs.old, pairs.new))
    return tuple(f"{_word(before, after) or 'changed'}: {name}" for name, before, after in changed(old, new) if name)


def _word(before: object, after: object) -> str:
    return "added" if before is None else "removed" if after is None else ""


def _code(pairs: Pairs, name: str, old: Node, new: Node) -> Iterator[Cause]:
    """Yield the files of code that differ, and the commits, which count only if files do."""
    before, after = old.record.code.digest, new.record.code.digest
    if before != after:
        listed = list(changed(pairs.old.snapshot.code_of(old.stage.name), pairs.new.snapshot.code_of(new.stage.name)))
        comparable = old.record.code.form == new.record.code.form
        for path, was, now in listed or ([(PACKAGE, before, after)] if comparable else []):
            yield Cause(Kind.CODE, path, was, now, (name,), _word(was, now))
    commits = (old.record.git.label(12), new.record.git.label(12))
    if commits[0] != commits[1]:
        yield Cause(Kind.CODE, "git revision", *commits, (name,) if before != after else ())


def _packages(pairs: Pairs, old: Node, new: Node, missing: list[str]) -> Iterator[tuple[str, str | None, str | None, str]]:
    """Yield changed packages of the installed lock, if the records name it; else of all locks."""
    installed = {lock for lock in (old.record.installed, new.record.installed) if lock}
    for lock, before, after in changed(old.record.packages, new.record.packages):
        if installed and lock not in installed:
            continue
        old_text = lock_text(pairs.old.snapshot, old, lock) if before else ""
        new_text = lock_text(pairs.new.snapshot, new, lock) if after else ""
        if old_text is not None and new_text is not None:
            yield from ((*change, lock) for change in changed(pins(old_text), pins(new_text)))
            continue
        yield lock, before, after, lock
        problem = f"{lock}: no commit has the bytes of the record, so no package can be named"
        missing.extend([problem] if problem not in missing else [])
    if len(installed) > 1:
        yield "the installed lock", old.record.installed, new.record.installed, ""


def _machine(node: Node) -> dict[str, str]:
    machine, gpus = node.record.machine, node.record.gpus
    values = {"python": machine.python, "platform": machine.platform, "processor": machine.processor, "cores": str(machine.cores)}
    return values if gpus is None else {**values, "gpus": ", ".join(gpus) or "none"}
