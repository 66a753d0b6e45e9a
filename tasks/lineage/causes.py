"""What differs between what two artifacts were made from: stages, rules, parameters, rows, seeds, code, packages, machines.

Each difference names the stages that met it, so that `diff` can say which of them reached the end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

from ascl_core.rules.corpus import Corpus, load_corpus
from ascl_core.rules.diff import ChangeClass, RuleDiff, diff_corpora
from tasks.evidence.graph import Node
from tasks.evidence.packages import pins
from tasks.evidence.snapshot import Place
from tasks.lineage.package_locks import installed, lock_text
from tasks.lineage.pairs import EVALUATION, Pair, Pairs
from tasks.lineage.row_counts import KEYS, count_rows
from tasks.registry.code import PACKAGE
from tasks.registry.parameters import changed, flat
from tasks.registry.stages import CORPUS, RELEASED, RL_CORPUS, RULES, SFT_CORPUS, VALIDATE_RULES

CORPORA = (RL_CORPUS.path, SFT_CORPUS.path, CORPUS.path)
_OF_THE_MACHINE = ("compute", "parallel")
"""Sections that say on what a stage runs, and hardly what it makes."""
_MACHINE = ("python", "platform", "processor", "cores")


class Kind(StrEnum):
    """Kinds of difference; the order is that in which they are likely to move a metric."""

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
        """The place in that order."""
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
    told: str = ""
    """What it means, where more is known than before and after."""
    weight: int = 0
    """How much of it there is, among its like: verdicts that flip, rows that are not as they were."""
    details: tuple[str, ...] = ()


def causes(pairs: Pairs, missing: list[str]) -> Iterator[Cause]:
    """Everything that differs, in no order; what could not be compared, as its bytes are not at hand, is added to `missing`."""
    yield from _stages(pairs)
    yield from _rules(pairs, missing)
    yield from _parameters(pairs)
    yield from _rows(pairs, missing)
    yield from _sources(pairs)
    yield from _code(pairs)
    yield from _packages(pairs, missing)
    yield from _machine(pairs)
    yield from _chance(pairs)


def _stages(pairs: Pairs) -> Iterator[Cause]:
    for name, pair in pairs.by_name.items():
        if pair.both is None:
            told = f"only behind the {'first' if pair.old else 'second'}"
            yield Cause(Kind.STAGE, name, pair.old and pair.old.stage.name, pair.new and pair.new.stage.name, (name,), told)


def _rules(pairs: Pairs, missing: list[str]) -> Iterator[Cause]:
    """Every rule once, met by all that read a corpus in which it differs in the same way."""
    found: dict[str, tuple[Cause, list[str]]] = {}
    for path in CORPORA:
        shas = [found.graph.producers[path].outputs[path] if path in found.graph.producers else None for found in (pairs.old, pairs.new)]
        readers = pairs.readers(path)
        if not readers or shas[0] == shas[1]:
            continue
        old, new = (_corpus(found.place, path) for found in (pairs.old, pairs.new))
        if old is None or new is None:
            missing.append(f"{path}: its bytes are not at hand, so no rule can be named")
            listed = [Cause(Kind.RULE, path, shas[0], shas[1], ())]
        else:
            listed = list(_of_rules(diff_corpora(old, new, _day(pairs))))
        for cause in listed:
            _, met_by = found.setdefault(f"{cause.what} {cause.before} {cause.after} {cause.told}", (cause, []))
            met_by.extend(readers)
    for cause, met_by in found.values():
        yield Cause(**{**vars(cause), "met_by": tuple(dict.fromkeys(met_by))})


def _of_rules(diff: RuleDiff) -> Iterator[Cause]:
    for rule in diff.rules:
        kind = Kind.RULE if rule.change_class.reach >= ChangeClass.VERDICT.reach else Kind.WORDING
        fields = [f"{field.field}: {entry}" for field in rule.fields for entry in _entries(field.gone, field.new)]
        flips = [f"flips {flip.prompt!r} in {', '.join(flip.jurisdictions)}: {flip.before} → {flip.after}" for flip in rule.flips]
        told = rule.kind if rule.kind != "changed" else rule.reason
        yield Cause(*(kind, rule.rule_id, rule.version_before, rule.version_after, (), told, len(rule.flips)), details=(*flips, *fields))
    for category in diff.categories:
        kind = Kind.WORDING if category.kind == "renamed" else Kind.RULE
        yield Cause(kind, f"category {category.category}", category.before or None, category.after or None, (), category.kind)
    for word, places in (("added", diff.jurisdictions_added), ("removed", diff.jurisdictions_removed)):
        for place in places:
            yield Cause(Kind.RULE, f"jurisdiction {place}", None, None, (), word)


def _entries(gone: tuple[str, ...], new: tuple[str, ...]) -> list[str]:
    return [*(f"- {entry}" for entry in gone), *(f"+ {entry}" for entry in new)]


def _corpus(place: Place, path: str) -> Corpus | None:
    file = place.files(path).get("")
    return None if file is None else load_corpus(file)


def _day(pairs: Pairs) -> date:
    """The day whose verdicts count: that of the second artifact's rules."""
    node = pairs.new.graph.nodes.get(VALIDATE_RULES.name)
    return date.fromisoformat(str(node.record["parameters"]["rules"]["at"])) if node else date.today()


def _parameters(pairs: Pairs) -> Iterator[Cause]:
    found: dict[tuple[str, str, str], tuple[Any, Any, list[str]]] = {}
    for name, old, new in _both(pairs):
        before, after = (flat(node.record["parameters"]) for node in (old, new))
        for key, was, now in changed(before, after):
            found.setdefault((key, str(was), str(now)), (was, now, []))[2].append(name)
    for (key, _, _), (was, now, met_by) in found.items():
        is_seed, section = key.rpartition(".")[2] == "seed", key.partition(".")[0]
        kind = Kind.SEED if is_seed else Kind.MACHINE if section in _OF_THE_MACHINE else Kind.PARAMETER
        yield Cause(kind, key, was, now, tuple(met_by))


def _rows(pairs: Pairs, missing: list[str]) -> Iterator[Cause]:
    ends = {path for end in pairs.ends for path in end.node.outputs}
    for path in KEYS:
        digests = [found.graph.producers[path].outputs[path] if path in found.graph.producers else None for found in (pairs.old, pairs.new)]
        readers = pairs.readers(path)
        if not readers or None in digests or digests[0] == digests[1] or path in ends:
            continue
        old, new = (found.place.files(path).get("") for found in (pairs.old, pairs.new))
        if old is None or new is None:
            missing.append(f"{path}: its bytes are not at hand, so its rows cannot be compared")
            yield Cause(Kind.ROWS, path, digests[0], digests[1], readers)
            continue
        counts = count_rows(old, new, path)
        details = tuple(f"{kind}: {', '.join(ids)}" for kind, ids in sorted(counts.examples.items()))
        told = str(counts) if counts.total else "the same rows in another order or another writing"
        yield Cause(Kind.ROWS, path, digests[0], digests[1], readers, told, counts.total, details)


def _sources(pairs: Pairs) -> Iterator[Cause]:
    """What people write: a file of a folder by itself. What differs in the rules is told rule by rule, unless no rule is another one."""
    found: dict[str, tuple[str, str, list[str]]] = {}
    for name, old, new in _both(pairs):
        for path in sorted({*old.inputs, *new.inputs}):
            is_source = path not in pairs.old.graph.producers and path not in pairs.new.graph.producers
            if is_source and old.inputs.get(path) != new.inputs.get(path):
                found.setdefault(path, (old.inputs.get(path, ""), new.inputs.get(path, ""), []))[2].append(name)
    for path, (was, now, met_by) in found.items():
        if path == RULES.path and VALIDATE_RULES.name in pairs.by_name and _corpora_moved(pairs):
            continue
        told = "what the rules are compared with" if path == RELEASED.path else ""
        yield Cause(Kind.SOURCE, path, was or None, now or None, tuple(met_by), told, details=_changed_files(pairs, path))


def _corpora_moved(pairs: Pairs) -> bool:
    return bool(pairs.moved(VALIDATE_RULES.name) & {"corpus", "sft_corpus", "rl_corpus"})


def _changed_files(pairs: Pairs, path: str) -> tuple[str, ...]:
    from ascl_core.artifacts import sha256_file

    if Path(path).is_absolute() or "://" in path:
        return ()
    old, new = ({name: sha256_file(file) for name, file in one.place.files(path).items() if file} for one in (pairs.old, pairs.new))
    words = {name: "added" if name not in old else "removed" if name not in new else "changed" for name in {*old, *new}}
    return tuple(f"{words[name]}: {name}" for name in sorted(words) if name and old.get(name) != new.get(name))


def _code(pairs: Pairs) -> Iterator[Cause]:
    files: dict[tuple[str, str | None, str | None], list[str]] = defaultdict(list)
    revisions: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, old, new in _both(pairs):
        moved = old.record["code"]["digest"] != new.record["code"]["digest"]
        revision = (_commit(old), _commit(new))
        if revision[0] != revision[1]:
            revisions[revision].extend([name] if moved else [])
        if moved:
            before, after = (one.place.code_of(name) for one, name in ((pairs.old, old.stage.name), (pairs.new, new.stage.name)))
            others = list(changed(before, after)) or [(PACKAGE, old.record["code"]["digest"], new.record["code"]["digest"])]
            for other in others:
                files[other].append(name)
    for (path, was, now), met_by in files.items():
        yield Cause(Kind.CODE, path, was, now, tuple(met_by), "added" if was is None else "removed" if now is None else "")
    for (before_text, after_text), met_by in revisions.items():
        yield Cause(Kind.CODE, "git revision", before_text, after_text, tuple(met_by))


def revision_of(node: Node) -> str:
    """The commit of the code that wrote the record, and whether something in it was not committed."""
    git = node.record["git"]
    return f"{git['revision'] or 'no commit'}{' + changes ' + str(git['diff'])[:12] if git['dirty'] else ''}"


def _commit(node: Node) -> str:
    """The commit of the code, whatever was changed beside it."""
    git = node.record["git"]
    return f"{str(git['revision'] or 'no commit')[:12]}{' + changes' if git['dirty'] else ''}"


def _packages(pairs: Pairs, missing: list[str]) -> Iterator[Cause]:
    """Of the lock that was installed, where the records say which; else of all of them."""
    found: dict[tuple[str, str | None, str | None], tuple[list[str], list[str]]] = {}
    for name, old, new in _both(pairs):
        before, after = old.record.get("packages", {}), new.record.get("packages", {})
        of_use = {lock for lock in (installed(old.record), installed(new.record)) if lock}
        for lock in sorted({*before, *after}):
            if before.get(lock) != after.get(lock) and (not of_use or lock in of_use):
                for change in _pins_changed(pairs, old, new, lock, missing):
                    met_by, locks = found.setdefault(change, ([], []))
                    met_by.append(name)
                    locks.append(lock)
        if len(of_use) > 1:
            found.setdefault(("the installed lock", installed(old.record), installed(new.record)), ([], []))[0].append(name)
    for (package, was, now), (met_by, locks) in found.items():
        yield Cause(Kind.PACKAGE, package, was, now, tuple(dict.fromkeys(met_by)), ", ".join(sorted(set(locks))))


def _pins_changed(pairs: Pairs, old: Node, new: Node, lock: str, missing: list[str]) -> list[tuple[str, str | None, str | None]]:
    digests = tuple(node.record.get("packages", {}).get(lock) for node in (old, new))
    texts = [lock_text(one.place, node, lock) if sha else "" for one, node, sha in zip((pairs.old, pairs.new), (old, new), digests)]
    if texts[0] is None or texts[1] is None:
        told = f"{lock}: no commit has the bytes of the record, so no package can be named"
        missing.extend([told] if told not in missing else [])
        return [(lock, digests[0], digests[1])]
    return list(changed(pins(texts[0]), pins(texts[1])))


def _machine(pairs: Pairs) -> Iterator[Cause]:
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for name, old, new in _both(pairs):
        before, after = (_machine_of(node) for node in (old, new))
        for key in before:
            if before[key] != after[key] and "not recorded" not in (before[key], after[key]):
                found[key, before[key], after[key]].append(name)
    for (key, was, now), met_by in found.items():
        yield Cause(Kind.MACHINE, key, was, now, tuple(met_by))


def _machine_of(node: Node) -> dict[str, str]:
    gpus = node.record.get("gpus")
    told = "not recorded" if gpus is None else ", ".join(gpus) or "none"
    return {**{key: str(node.record["machine"].get(key, "not recorded")) for key in _MACHINE}, "gpus": told}


def _chance(pairs: Pairs) -> Iterator[Cause]:
    """A stage that made other bytes of the same data, code and parameters."""
    for name, old, new in _both(pairs):
        if old.record["digest"] == new.record["digest"] and pairs.moved(name) and old.sha256 != new.sha256:
            why = "sampling or rounding" if not new.stage.deterministic else "although it is deterministic: look into it"
            told = f"other bytes from the same inputs: {why}"
            yield Cause(Kind.CHANCE, name, old.record["ended"], new.record["ended"], (name,), told)


def _both(pairs: Pairs) -> Iterator[tuple[str, Node, Node]]:
    for name, pair in pairs.by_name.items():
        if pair.both:
            yield name, *pair.both


def told_stage(name: str, pair: Pair) -> str:
    """The stages of a pair by name."""
    return " and ".join(pair.stage_names) if name == EVALUATION else name
