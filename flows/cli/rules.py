"""`ascl rules`: check, show, list, compare, lock and serve the rules under `data/rules`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ascl_core.config.params import load_params
from ascl_core.config.rules import RulesConfig
from ascl_core.errors import RuleError
from ascl_core.report.rules_diff import markdown
from ascl_core.rules.checks.look_ups import check_look_ups
from ascl_core.rules.compile import check_folder
from ascl_core.rules.corpus import Corpus
from ascl_core.rules.diff import ChangeClass, RuleDiff, diff_corpora
from ascl_core.rules.lock import write_lock
from flows.cli.console import COLOURS, counted, out, print_line, print_table, print_yaml, repository_root, shown
from tasks.execution.serving import served_corpus, swap_corpus
from tasks.repository.released import released_commit
from tasks.runs.rule_sources import compiled, read_rules

app = typer.Typer(help="Check, show, list, compare, lock and swap the safety rules.", no_args_is_help=True)
Folder = Annotated[Path | None, typer.Option("--folder", help="Another folder with rule files; data/rules by default.")]


@app.command()
def check(folder: Folder = None) -> None:
    """Check every rule, and print file, line, rule and fix of each finding; exit status 1 if there is an error.

    Example:  ascl rules check
    """
    folder, root = _folder(folder)
    config = _config(root)
    result = check_look_ups(check_folder(folder, config))
    for finding in result.findings:
        out.print(f"[{COLOURS[finding.severity]}]{finding.severity}[/] {escape(str(finding))}", soft_wrap=True)
    warnings = counted(len(result.findings) - len(result.errors), "warning")
    if result.corpus is None:
        out.print(f"[red]{counted(len(result.errors), 'error')}[/], {warnings} in {shown(folder, root)}")
        raise typer.Exit(1)
    out.print(f"[green]{len(result.corpus.rules)} rules are fine[/], {warnings}; corpus {result.corpus.digest[:12]}")


@app.command()
def show(rule_id: Annotated[str, typer.Argument(metavar="ID", help="A rule id, such as CYB-03.")], folder: Folder = None) -> None:
    """Show one rule with all its fields.

    Example:  ascl rules show DRG-02
    """
    corpus = _corpus(*_folder(folder))
    rule = corpus.rule(rule_id)
    print_yaml({name: value for name, value in rule.model_dump(mode="json").items() if value not in (None, [], ())})
    out.print(f"sha256: {rule.sha256}")
    if others := [other.id for other in corpus.variants(rule) if other.id != rule.id]:
        out.print(f"variants of the same topic: {', '.join(others)}")


@app.command(name="list")
def list_rules(
    category: Annotated[str | None, typer.Option(help="Only this category, such as CYB.")] = None,
    areas: Annotated[bool, typer.Option("--areas", help="Count the rules in force by area and category instead.")] = False,
    folder: Folder = None,
) -> None:
    """List the rules, one on each line, or count them by area.

    Examples:  ascl rules list --category DRG   |   ascl rules list --areas
    """
    folder, root = _folder(folder)
    corpus = _corpus(folder, root)
    only = category.upper() if category else None
    if only and only not in corpus.categories:
        raise RuleError("no such category", field="--category", value=category, hint=f"one of {', '.join(sorted(corpus.categories))}")
    if areas:
        counts = corpus.count_by_area(_config(root).at)
        found = [(corpus.taxonomy.areas[area], key, number) for area, numbers in counts.items() for key, number in numbers.items()]
        print_table(("area", "category", "rules"), [row for row in found if only in (None, row[1])])
        return
    print_table(
        ("id", "policy", "jurisdictions", "version", "title"),
        [
            (rule.id, rule.policy, ",".join(rule.jurisdictions), rule.version, rule.title)
            for rule in corpus.rules
            if only in (None, rule.category)
        ],
    )


@app.command()
def diff(
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="Git revision, released, folder with rule files, s3:// prefix, corpus.json.")
    ] = "HEAD",
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same; the rules of the working tree by default.")] = "data/rules",
    as_json: Annotated[bool, typer.Option("--json", help="Print the diff as JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the diff as Markdown.")] = False,
) -> None:
    """Say what a change of the rules means: fields, verdicts that flip, and the class that decides what must run again.

    Exit status 1 if a version does not match its change, such as a flipped verdict without a major bump.

    Examples:  ascl rules diff   |   ascl rules diff released   |   ascl rules diff v1 HEAD   |   ascl rules diff HEAD~1 --markdown
    """
    here, root = Path.cwd(), repository_root()
    config = _config(root)
    before, after = (rules_at(source, here, root, config) for source in (old, new))
    found = diff_corpora(before, after, config.at)
    if as_json:
        out.print_json(json.dumps(found.to_json()))
    elif as_markdown:
        print_line(markdown(found, f"Rules: {old} to {new}"))
    else:
        _print_diff(found)
        if found.change_class.reach and released_commit(root) is None:
            print_line("nothing is released yet, so ascl plan counts this as structural: see ascl release alone --help")
    if found.problems:
        raise typer.Exit(1)


def rules_at(source: str, here: Path, root: Path, config: RulesConfig) -> Corpus:
    """Return the rules at a source; a path is relative to `here`, the folder of the person who named it."""
    return read_rules(root, str(here / source) if source and (here / source).exists() else source, config)


def _print_diff(found: RuleDiff) -> None:
    for category in found.categories:
        print_line(f"category {category.category} {category.kind}: {category.before} → {category.after}")
    for word, jurisdictions in (("added", found.jurisdictions_added), ("removed", found.jurisdictions_removed)):
        for jurisdiction in jurisdictions:
            print_line(f"jurisdiction {jurisdiction} {word}")
    for rule in found.rules:
        out.print(f"[bold]{rule.rule_id}[/] {rule.kind} {rule.versions}: {escape(rule.title)}", soft_wrap=True)
        for field in rule.fields:
            out.print(f"  {field.field.replace('_', ' ')}")
            for sign, colour, entries in (("-", "red", field.gone), ("+", "green", field.new)):
                for entry in entries:
                    out.print(f"    [{colour}]{sign} {escape(entry)}[/]", soft_wrap=True)
        for flip in rule.flips:
            verdicts = f"{flip.prompt!r} in {', '.join(flip.jurisdictions)}: {flip.before} → {flip.after}"
            out.print(f"  [yellow]flips[/] {escape(verdicts)}", soft_wrap=True)
        if rule.problem:
            out.print(f"  [red]error[/] {escape(rule.problem)}\n    hint: {escape(rule.hint)}", soft_wrap=True)
    if found.change_class.reach:
        out.print()
    for name, number in found.in_force.items():
        print_line(f"rules in force, {name}: {number.before} → {number.after}")
    kinds = ", ".join(f"{len(found.of_kind(kind))} {kind}" for kind in ("added", "removed", "changed"))
    tokens = found.tokens.after - found.tokens.before
    out.print(f"rules: {kinds}; {counted(len(found.flips), 'flip')}; {tokens:+} tokens; corpus {found.new_digest[:12]}")
    out.print(f"[bold]{found.change_class}[/]: {found.change_class.work}")


@app.command()
def lock(folder: Folder = None) -> None:
    """Write the lock with each rule's version and digest; commit it with the rules.

    Example:  ascl rules lock
    """
    folder, root = _folder(folder)
    out.print(f"{len(write_lock(folder))} rules locked in {shown(folder, root)}")


@app.command()
def swap(
    new: Annotated[
        str, typer.Argument(metavar="NEW", help="Git revision, folder with rule files, or compiled corpus.json.")
    ] = "data/rules",
    url: Annotated[str, typer.Option(help="The address of the server.")] = "http://127.0.0.1:8000",
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Swap even rules that the served model was not trained and evaluated for.")
    ] = False,
) -> None:
    """Give a running `ascl serve` other rules, and say what the change means; running answers keep the rules they started with.

    A change beyond wording is refused: it needs `ascl run` and its checkpoint. So is one whose versions do not match the change.

    Examples:  ascl rules swap   |   ascl rules swap v2 --url http://127.0.0.1:8001   |   ascl rules swap HEAD~1 --anyway
    """
    here, root = Path.cwd(), repository_root()
    config = _config(root)
    path = here / new if (here / new).exists() else root / new
    own = path.resolve() == root / "data" / "rules"
    after = compiled(path, config, new, against_lock=True) if own else rules_at(new, here, root, config)
    before = served_corpus(url)
    if after.digest == before.digest:
        out.print(f"corpus {before.digest[:12]} is served already")
        return
    found = diff_corpora(before, after, config.at)
    _print_diff(found)
    if not anyway and found.change_class.reach > ChangeClass.WORDING.reach:
        problem = f"the change is of the class {found.change_class}: the served model was neither trained nor evaluated for it"
        raise RuleError(problem, file=new, hint=f"{found.change_class.work} (ascl run), and serve that checkpoint; or swap with --anyway")
    if not anyway and found.problems:
        raise RuleError(f"{found.problems[0].rule_id}: {found.problems[0].problem}", file=new, hint=found.problems[0].hint)
    swap_corpus(url, after, instead_of=before.digest)
    out.print(f"[green]swapped[/]: corpus {before.digest[:12]} → {after.digest[:12]}")


def _folder(folder: Path | None) -> tuple[Path, Path]:
    """Return the folder with the rules and the repository's root; a given folder is relative to the working directory."""
    given = folder.resolve() if folder else None
    root = repository_root()
    return given or root / "data" / "rules", root


def _config(root: Path) -> RulesConfig:
    return load_params(root / "params.yaml").rules


def _corpus(folder: Path, root: Path) -> Corpus:
    return compiled(folder, _config(root), str(folder), against_lock=True)
