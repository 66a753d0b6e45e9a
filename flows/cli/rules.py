"""`ascl rules`: check, show, list, compare, lock and serve the rules under `data/rules`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from ascl_core.errors import RuleError
from flows.cli.console import COLOURS, counted, out, print_table, repository_root, shown

if TYPE_CHECKING:
    from ascl_core.config.rules import RulesConfig
    from ascl_core.rules.corpus import Corpus
    from ascl_core.rules.diff import RuleDiff

app = typer.Typer(help="Check, show, list, compare, lock and swap the safety rules.", no_args_is_help=True)
Folder = Annotated[Path | None, typer.Option("--folder", help="Another folder with rule files; data/rules if not given.")]


@app.command()
def check(folder: Folder = None) -> None:
    """Check every rule and say file, line, rule and fix of each finding; exit status 1 where there is an error.

    Example:  ascl rules check
    """
    from ascl_core.config.params import load_params
    from ascl_core.rules.checks.look_ups import check_look_ups
    from ascl_core.rules.compile import check_folder

    folder, root = _place(folder)
    config = load_params(root / "params.yaml").rules
    result = check_look_ups(check_folder(folder, config))
    for finding in result.findings:
        out.print(f"[{COLOURS[finding.severity]}]{finding.severity}[/] {escape(str(finding))}", soft_wrap=True)
    errors = len(result.errors)
    warnings = len(result.findings) - errors
    if result.corpus is None:
        out.print(f"[red]{counted(errors, 'error')}[/], {counted(warnings, 'warning')} in {shown(folder, root)}")
        raise typer.Exit(1)
    out.print(f"[green]{len(result.corpus.rules)} rules are fine[/], {counted(warnings, 'warning')}; corpus {result.corpus.digest[:12]}")


@app.command()
def show(rule_id: Annotated[str, typer.Argument(metavar="ID", help="A rule id, such as CYB-03.")], folder: Folder = None) -> None:
    """Show one rule with everything it says.

    Example:  ascl rules show DRG-02
    """
    from ruamel.yaml import YAML

    corpus = _corpus(*_place(folder))
    rule = corpus.rule(rule_id)
    values = rule.model_dump(mode="json")
    YAML().dump({name: value for name, value in values.items() if value not in (None, [], ())}, out.file)
    out.print(f"sha256: {rule.sha256}")
    if others := [other.id for other in corpus.variants(rule) if other.id != rule.id]:
        out.print(f"variants of the same topic: {', '.join(others)}")


@app.command(name="list")
def list_rules(
    category: Annotated[str | None, typer.Option(help="Only this category, such as CYB.")] = None,
    areas: Annotated[bool, typer.Option("--areas", help="Count the rules in force by area and category instead.")] = False,
    folder: Folder = None,
) -> None:
    """List the rules, one a line, or how many each area has.

    Examples:  ascl rules list --category DRG   |   ascl rules list --areas
    """
    folder, root = _place(folder)
    corpus = _corpus(folder, root)
    if category is not None and category.upper() not in corpus.categories:
        raise RuleError("no such category", field="--category", value=category, hint=f"one of {', '.join(sorted(corpus.categories))}")
    if areas:
        _print_areas(corpus, root, category.upper() if category else None)
        return
    rules = [rule for rule in corpus.rules if category is None or rule.category == category.upper()]
    print_table(
        ("id", "policy", "where", "version", "title"),
        [(rule.id, rule.policy, ",".join(rule.jurisdictions), rule.version, rule.title) for rule in rules],
    )


def _print_areas(corpus: Corpus, root: Path, category: str | None) -> None:
    """Print one line per area and category; a category of two areas stands in both."""
    from ascl_core.config.params import load_params

    counts = corpus.count_by_area(load_params(root / "params.yaml").rules.at)
    rows = [
        (corpus.taxonomy.areas[area], key, number)
        for area, by_category in counts.items()
        for key, number in by_category.items()
        if category in (None, key)
    ]
    print_table(("area", "category", "rules"), rows)


@app.command()
def diff(
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="Git revision, released, folder with rule files, s3:// prefix, corpus.json.")
    ] = "HEAD",
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same; the rules as they are now if not given.")] = "data/rules",
    as_json: Annotated[bool, typer.Option("--json", help="Print the diff as JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the diff as Markdown.")] = False,
) -> None:
    """Say what a change of the rules means: fields, verdicts that flip, and the class from which the work follows.

    Exit status 1 where a version does not say what changed, such as a flipped verdict without a major bump.

    Examples:  ascl rules diff   |   ascl rules diff released   |   ascl rules diff v1 HEAD   |   ascl rules diff HEAD~1 --markdown
    """
    import json

    from ascl_core.config.params import load_params
    from ascl_core.rules.diff import diff_corpora
    from tasks.repository.released import released_commit

    here = Path.cwd()
    root = repository_root()
    config = load_params(root / "params.yaml").rules
    before, after = (rules_at(place, here, root, config) for place in (old, new))
    found = diff_corpora(before, after, config.at)
    if as_json:
        out.print_json(json.dumps(found.to_json()))
    elif as_markdown:
        from ascl_core.report.rules_diff import markdown

        out.print(markdown(found, f"Rules: {old} to {new}"), markup=False, soft_wrap=True)
    else:
        _print_diff(found)
        if found.change_class.reach and released_commit(root) is None:
            out.print("nothing is released yet, so ascl plan counts this as structural: see ascl release alone --help", soft_wrap=True)
    if found.problems:
        raise typer.Exit(1)


def rules_at(place: str, here: Path, root: Path, config: RulesConfig) -> Corpus:
    """The rules that a person named who stands in the folder `here`."""
    from tasks.runs.rule_sources import read_rules

    return read_rules(root, str(here / place) if place and (here / place).exists() else place, config)


def _print_diff(found: RuleDiff) -> None:
    for category in found.categories:
        out.print(escape(f"category {category.category} {category.kind}: {category.before} → {category.after}"), soft_wrap=True)
    for word, places in (("added", found.jurisdictions_added), ("removed", found.jurisdictions_removed)):
        for place in places:
            out.print(escape(f"jurisdiction {place} {word}"))
    for rule in found.rules:
        out.print(f"[bold]{rule.rule_id}[/] {rule.kind} {rule.versions}: {escape(rule.title)}", soft_wrap=True)
        for field in rule.fields:
            out.print(f"  {field.field.replace('_', ' ')}")
            for sign, colour, entries in (("-", "red", field.gone), ("+", "green", field.new)):
                for entry in entries:
                    out.print(f"    [{colour}]{sign} {escape(entry)}[/]", soft_wrap=True)
        for flip in rule.flips:
            said = f"{flip.prompt!r} in {', '.join(flip.jurisdictions)}: {flip.before} → {flip.after}"
            out.print(f"  [yellow]flips[/] {escape(said)}", soft_wrap=True)
        if rule.problem:
            out.print(f"  [red]error[/] {escape(rule.problem)}\n    hint: {escape(rule.hint)}", soft_wrap=True)
    if found.change_class.reach:
        out.print()
    for name, number in found.in_force.items():
        out.print(escape(f"rules in force, {name}: {number.before} → {number.after}"))
    kinds = ", ".join(f"{len(found.of_kind(kind))} {kind}" for kind in ("added", "removed", "changed"))
    tokens = found.tokens.after - found.tokens.before
    out.print(f"rules: {kinds}; {counted(len(found.flips), 'flip')}; {tokens:+} tokens; corpus {found.new_digest[:12]}")
    out.print(f"[bold]{found.change_class}[/]: {found.change_class.work}")


@app.command()
def lock(folder: Folder = None) -> None:
    """Write the lock that remembers each rule's version and content; commit it with the rules.

    Example:  ascl rules lock
    """
    from ascl_core.rules.lock import write_lock

    folder, root = _place(folder)
    out.print(f"{len(write_lock(folder))} rules locked in {shown(folder, root)}")


@app.command()
def swap(
    new: Annotated[
        str, typer.Argument(metavar="NEW", help="Git revision, folder with rule files, or compiled corpus.json.")
    ] = "data/rules",
    url: Annotated[str, typer.Option(help="Where the server listens.")] = "http://127.0.0.1:8000",
    anyway: Annotated[bool, typer.Option("--anyway", help="Swap also what the served model was not trained and evaluated for.")] = False,
) -> None:
    """Give a running `ascl serve` other rules, after saying what the change means; answers under way end with the rules they began with.

    A change beyond wording is refused: it asks for `ascl run` and its checkpoint. So is one whose versions do not say what changed.

    Examples:  ascl rules swap   |   ascl rules swap v2 --url http://127.0.0.1:8001   |   ascl rules swap HEAD~1 --anyway
    """
    from ascl_core.config.params import load_params
    from ascl_core.rules.diff import ChangeClass, diff_corpora
    from tasks.execution.serving import served_corpus, swap_corpus
    from tasks.runs.rule_sources import compiled, read_rules

    here = Path.cwd()
    root = repository_root()
    config = load_params(root / "params.yaml").rules
    place = here / new if new and (here / new).exists() else Path(new)
    own = place.resolve() == root / "data" / "rules"
    after = compiled(place, config, new, against_lock=True) if own else read_rules(root, str(place), config)
    before = served_corpus(url)
    if after.digest == before.digest:
        out.print(f"corpus {before.digest[:12]} is what is served already")
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


def _place(folder: Path | None) -> tuple[Path, Path]:
    """The folder with the rules and the repository's root; a folder that was given counts from where the person is."""
    given = folder.resolve() if folder else None
    root = repository_root()
    return given or root / "data" / "rules", root


def _corpus(folder: Path, root: Path) -> Corpus:
    from ascl_core.config.params import load_params
    from tasks.runs.rule_sources import compiled

    return compiled(folder, load_params(root / "params.yaml").rules, str(folder), against_lock=True)
