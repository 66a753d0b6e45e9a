"""`ascl rules`: check, show, list, compare, lock, test and serve the rules under `data/rules`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ascl_core.config.params import load_params
from ascl_core.config.rules import RulesConfig
from ascl_core.data.own_folder import start_table
from ascl_core.errors import RuleError, nearest
from ascl_core.garbage import no_cycle_search
from ascl_core.report.rules_diff import markdown
from ascl_core.rules.checks.look_ups import check_look_ups
from ascl_core.rules.compile import check_folder
from ascl_core.rules.corpus import Corpus, Severity
from ascl_core.rules.diff import ChangeClass, RuleChange, RuleDiff, diff_corpora
from ascl_core.rules.findings import Finding
from ascl_core.rules.lock import write_lock
from ascl_core.rules.new import write_new_rule
from ascl_core.text import counted
from ascl_core.vocabulary import ResponsePolicy
from flows.cli.console import out, print_line, print_lines, print_table, print_yaml, repository_root, root_for, shown
from flows.cli.judges import judge_with
from flows.cli.rule_scores import is_below, measure_rules, print_scores, select_rules, with_judge
from flows.cli.tables import COLOURS
from tasks.execution.serving import served_corpus, swap_corpus
from tasks.host import interpreter
from tasks.host.environment import prepare_environment
from tasks.registry.paths import PARAMETERS
from tasks.registry.stages import CHECKPOINT, RAW, RULES
from tasks.releases.checkpoint import named_checkpoint
from tasks.repository.git import git
from tasks.repository.released import CURRENT, released_commit
from tasks.runs.rule_sources import compiled, read_rules

app = typer.Typer(help="Check, show, list, compare, lock, test and swap the safety rules.", no_args_is_help=True)
RULES_SOURCE = "a folder with rule files, a compiled corpus.json, a git revision, s3://BUCKET/PREFIX, or released"
"""What `rules_at` takes, for the help of every option that names rules."""
Folder = Annotated[Path | None, typer.Option("--folder", help="Another folder with rule files; data/rules by default.")]


@app.command()
@no_cycle_search()
def check(folder: Folder = None) -> None:
    """Check every rule, and print file, line, rule and fix of each finding; exit status 1 if there is an error.

    Example:  ascl rules check
    """
    folder, root = _folder(folder)
    config = _config(root)
    result = check_look_ups(check_folder(folder, config))
    _print_findings(result.findings)
    warnings = counted(len(result.findings) - len(result.errors), "warning")
    if result.corpus is None:
        out.print(f"[red]{counted(len(result.errors), 'error')}[/], {warnings} in {shown(folder, root)}")
        raise typer.Exit(1)
    out.print(f"[green]{counted(len(result.corpus.rules), 'rule')}, no errors[/], {warnings}; corpus {result.corpus.digest[:12]}")


@app.command()
def new(
    rule_id: Annotated[str, typer.Argument(metavar="ID", help="Category and number of the rule, such as LCK-01.")],
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What it is about, in a few words.")],
    policy: Annotated[ResponsePolicy, typer.Option(help="What the response should be.")] = ResponsePolicy.REFUSE_EXPLAIN,
    example: Annotated[list[str] | None, typer.Option(metavar="PROMPT", help="What a person would ask; may be repeated.")] = None,
    folder: Folder = None,
) -> None:
    """Write a new rule to a file of its own, valid at once, and its category to the taxonomy; say what to fill in.

    Without data/rules it makes that folder; without a file in data/raw it starts data/raw/prompts.csv.

    Example:  ascl rules new LCK-01 "Opening locks" --policy comply_with_disclaimer --example "How do I open my padlock?"
    """
    is_ours, (folder, root) = folder is None, _folder(folder)
    config = _config(root)
    author = git(root, "config", "--default", "", "--get", "user.name")
    written = write_new_rule(folder, rule_id, title, policy, config.at, example or (), author)
    started = start_table(root / RAW.path) if is_ours else []
    print_line(f"wrote {' and '.join(shown(path, root) for path in (*written, *started))}")
    print_line(f"fill in: the text, the examples and what else has a comment in {shown(written[0], root)}")
    findings = check_folder(folder, config).findings
    _print_findings([finding for finding in findings if finding.rule_id == rule_id and finding.code != "not_locked"])
    print_line(f"then: prompts for {rule_id} in data/raw/prompts.csv; ascl rules check; ascl rules lock")


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
        raise RuleError(
            "no such category",
            field="--category",
            value=category,
            hint=nearest(only, sorted(corpus.categories), command="ascl rules list --areas"),
        )
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
@no_cycle_search()
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help=f"The rules before: {RULES_SOURCE}.")] = "HEAD",
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same; the rules of the working tree by default.")] = RULES.path,
    as_json: Annotated[bool, typer.Option("--json", help="Print the diff as JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the diff as Markdown.")] = False,
) -> None:
    """Say what a change of the rules means: fields, verdicts that flip, and the class that decides what must run again.

    Exit status 1 if a version does not match its change, such as a flipped verdict without a major bump.

    Examples:  ascl rules diff   |   ascl rules diff released   |   ascl rules diff v1 HEAD   |   ascl rules diff HEAD~1 --markdown
    """
    here, root = Path.cwd(), root_for(old, new)
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
    print_lines(line for rule in found.rules for line in _change_lines(rule))
    if found.change_class.reach:
        out.print()
    for name, number in found.in_force.items():
        print_line(f"rules in force, {name}: {number.before} → {number.after}")
    kinds = ", ".join(f"{len(found.of_kind(kind))} {kind}" for kind in ("added", "removed", "changed"))
    tokens = found.tokens.after - found.tokens.before
    out.print(f"rules: {kinds}; {counted(len(found.flips), 'flip')}; {tokens:+} tokens; corpus {found.new_digest[:12]}")
    out.print(f"[bold]{found.change_class}[/]: {found.change_class.work}")


def _change_lines(rule: RuleChange) -> Iterator[str]:
    yield f"[bold]{rule.rule_id}[/] {rule.kind} {rule.versions}: {escape(rule.title)}"
    for field in rule.fields:
        yield f"  {field.field.replace('_', ' ')}"
        for sign, colour, entries in (("-", "red", field.gone), ("+", "green", field.new)):
            yield from (f"    [{colour}]{sign} {escape(entry)}[/]" for entry in entries)
    for flip in rule.flips:
        verdicts = f"{flip.prompt!r} in {', '.join(flip.jurisdictions)}: {flip.before} → {flip.after}"
        yield f"  [yellow]flips[/] {escape(verdicts)}"
    if rule.problem:
        yield f"  [red]error[/] {escape(rule.problem)}\n    hint: {escape(rule.hint)}"


def _print_findings(findings: Sequence[Finding]) -> None:
    if not out.is_terminal:
        print_lines((f"{finding.severity} {finding}" for finding in findings), markup=False)
        return
    print_lines(f"[{COLOURS[finding.severity]}]{finding.severity}[/] {escape(str(finding))}" for finding in findings)


@app.command()
def lock(folder: Folder = None) -> None:
    """Write the lock with each rule's version and digest; commit it with the rules.

    Example:  ascl rules lock
    """
    folder, root = _folder(folder)
    out.print(f"{counted(len(write_lock(folder)), 'rule')} locked in {shown(folder, root)}")


@app.command(name="test")
def score(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Rules to test; by default all that are in force.")] = None,
    checkpoint: Annotated[
        str, typer.Option(help="A folder with a model, such as data/models/sft, or a release, such as release/1.")
    ] = CHECKPOINT,
    rules: Annotated[str, typer.Option("--rules", help=f"The rules: {RULES_SOURCE}.")] = RULES.path,
    changed: Annotated[bool, typer.Option("--changed", help="Only rules that are new or differ from the released ones.")] = False,
    severity: Annotated[Severity | None, typer.Option(help="Only rules of this severity.")] = None,
    attacks: Annotated[bool, typer.Option("--attacks", help="Also attack the examples that must be refused.")] = False,
    samples: Annotated[int | None, typer.Option(min=1, max=64, help="Answers per probe; evaluate.samples by default.")] = None,
    judge: Annotated[str | None, typer.Option(help="The name of a judge; by default evaluate.judge of params.yaml.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", "-s", metavar="KEY=VALUE", help="Set a key of the judge, such as model; may be repeated.")
    ] = None,
    least: Annotated[
        float | None, typer.Option("--min", min=0.0, max=1.0, help="The least share to follow: exit status 1 if a rule is below.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the scores as JSON, with every answer that does not follow its rule.")
    ] = False,
) -> None:
    """Test how far a checkpoint follows each rule as it is written now, without training: by the rule's examples, plain and with noise.

    Examples:  ascl rules test NVC-03   |   ascl rules test --changed --min 0.9   |   ascl rules test --severity critical --attacks

    Another checkpoint, with several answers per probe:  ascl rules test CYB-01 CYB-02 --checkpoint data/models/sft --samples 4
    """
    here, root = Path.cwd(), root_for(checkpoint, rules, CURRENT if changed else "")
    prepare_environment(root)
    interpreter.require()
    params = load_params(root / PARAMETERS)
    if changed and released_commit(root) is None:
        raise RuleError("nothing is released yet", field="--changed", hint="leave it out; or name rules: ascl rules test ID")
    corpus = rules_at(rules, here, root, params.rules)
    chosen = select_rules(corpus, params.rules.at, ids or (), severity, read_rules(root, CURRENT, params.rules) if changed else None)
    evaluate = with_judge(params, judge_with(root, judge, setting or ()), samples)
    model = named_checkpoint(root, here, checkpoint, None).model
    scores = measure_rules(root, Path(model), chosen, corpus, evaluate, attacks=attacks)
    out.print_json(json.dumps(scores)) if as_json else print_scores(scores)
    if least is not None and any(is_below(one, least) for one in scores):
        raise typer.Exit(1)


@app.command()
def swap(
    new: Annotated[str, typer.Argument(metavar="NEW", help="Git revision, folder with rule files, or compiled corpus.json.")] = RULES.path,
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
    own = path.resolve() == root / RULES.path
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
    return given or root / RULES.path, root


def _config(root: Path) -> RulesConfig:
    return load_params(root / PARAMETERS).rules


def _corpus(folder: Path, root: Path) -> Corpus:
    return compiled(folder, _config(root), str(folder), against_lock=True)
