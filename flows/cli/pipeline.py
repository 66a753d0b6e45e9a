"""`ascl run`, `ascl plan`, `ascl status` and `ascl doctor`: the pipeline, what it would do, its state, and this machine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ascl_core.config.base import parse
from ascl_core.config.params import Params
from ascl_core.report.advice import advise
from ascl_core.text import counted
from flows.cli.console import out, print_gate, print_line, print_ran, print_table, refreshed_root, repository_root, shown
from flows.cli.needs import print_needs
from flows.cli.parameters import Overwrite, Profile, Settings
from flows.cli.rules import RULES_SOURCE, rules_at
from flows.cli.watching import watched
from tasks.execution.plan import Plan, make_plan, plan_to_json
from tasks.host import preflight
from tasks.host.environment import prepare_environment
from tasks.registry.parameters import planned_values
from tasks.registry.paths import DVC_LOCK, PARAMETERS
from tasks.registry.stages import GATE, RELEASED, STAGES, get_stage, upstream_stages
from tasks.repository import cache, released
from tasks.repository.git import is_uncommitted
from tasks.repository.params_file import write_params
from tasks.repository.remotes import Remote, read_remote
from tasks.repository.staleness import staleness
from tasks.runs.summary import Decision, last_run, read_decision, report_page, shortened

GATE_NOT_PASSED = 3
Force = Annotated[list[str] | None, typer.Option("--force", "-f", metavar="STAGE", help="Run this stage even if it is up to date.")]
Parallel = Annotated[int | None, typer.Option(min=1, max=16, help="Stages in parallel; by default as many as the cores allow.")]


def run(
    profile: Profile = None,
    setting: Settings = None,
    force: Force = None,
    parallel: Parallel = None,
    overwrite: Overwrite = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with status 3 if the gate does not pass.")] = False,
    no_push: Annotated[bool, typer.Option("--no-push", help="Leave what it makes on this machine, although a remote is set.")] = False,
) -> None:
    """Run the pipeline: from the rules to a gated checkpoint and its report; what is up to date is reused.

    What it makes is pushed to the remote that ascl remote set names, if there is one; --no-push leaves that to ascl push.

    With ASCL_TRACKING=tensorboard, mlflow, wandb or trackio it is reported to that experiment tracker, too.

    Examples:  ascl run   |   ascl run --profile tiny-public   |   ascl run --set sft.max_steps=100   |   ascl run --force ifpo
    """
    root = refreshed_root()
    prepare_environment(root, debug="ASCL_DEBUG" in os.environ)
    forced = [get_stage(name).name for name in force or ()]
    write_params(root, profile, setting or (), overwrite=overwrite)
    preflight.require(root)
    outside = None if no_push else _announced_remote(root)
    with watched(root):
        from flows.post_train import post_train

        result = post_train(force=forced, max_parallel=parallel, push=not no_push)
    print_ran([outcome.action for outcome in result.outcomes])
    _print_decision(root, result.decision)
    print_line(f"report: {shown(report_page(root), root)}")
    if outside and result.pushed:
        print_line(f"{counted(result.pushed, 'file')} pushed to {outside}")
    if is_uncommitted(root, DVC_LOCK):
        print_line(
            "dvc.lock records this run: which inputs gave which outputs. Commit it with your changes: git add dvc.lock && git commit"
        )
    if strict and not result.decision.passed:
        raise typer.Exit(GATE_NOT_PASSED)


def _announced_remote(root: Path) -> Remote | None:
    """Return the remote that a run pushes to, after saying so; None if there is none, or copies stay in the repository's own folder."""
    remote = read_remote(root)
    if remote is None or not remote.is_outside(root):
        return None
    print_line(f"what this run makes will be pushed to the remote that is set here, {remote}; --no-push leaves it on this machine")
    return remote


def plan(
    profile: Profile = None,
    setting: Settings = None,
    force: Force = None,
    gpu: Annotated[str | None, typer.Option("--gpu", help="Estimate memory and hours for this GPU, such as H100 or A100-40.")] = None,
    rules: Annotated[
        str | None,
        typer.Option("--rules", metavar="NEW", help=f"Plan for these rules: {RULES_SOURCE}."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON, with every reason, without the GPU estimate.")] = False,
) -> None:
    """Say which stages would run, why, how long they took the last time, and what they need of a GPU; runs and writes nothing.

    For changed rules, edited under data/rules or named by --rules, it also says the class of the change.

    Examples:  ascl plan --rules my/rules   |   ascl plan --set ifpo.rebalance=none   |   ascl plan --profile full --gpu A100-80
    """
    here, root = Path.cwd(), refreshed_root()
    forced = frozenset(get_stage(name).name for name in force or ())
    values = planned_values(root, profile, setting or ())
    params = parse(Params, values, file=root / PARAMETERS)
    new = None if rules is None else rules_at(rules, here, root, params.rules)
    planned = make_plan(root, forced, values, new)
    if as_json:
        out.print_json(json.dumps(plan_to_json(planned)))
        return
    _print_plan(planned)
    for check in preflight.source_checks(params, profile):
        print_line(f"{check.name}: {check.found}\n  hint: {check.hint}")
    print_needs(root, values, gpu)


def _print_plan(planned: Plan) -> None:
    if (found := planned.change) and found.change_class.reach:
        out.print(f"[bold]{found.change_class}[/]: {found.change_class.work}")
        for reason in found.reasons:
            out.print(f"  {escape(reason)}")
        out.print()
    print_table(
        ("stage", "would", "why", "last time"),
        [
            (s.stage, s.action, shortened(s.reasons), "" if s.seconds == 0 else "unknown" if s.seconds is None else s.seconds)
            for s in planned.steps
        ],
    )
    print_line(f"\n{planned.summary}")


def status() -> None:
    """Say which outputs are up to date, what the gate decided, and where the report is.

    Example:  ascl status
    """
    root = refreshed_root()
    with released.released_folder(root) as folder:
        stale = staleness(root, list(STAGES), inputs={RELEASED.path: cache.md5(folder)})
    rows = [(s.name, "stale" if stale[s.name] else "ok", *last_run(root, s), shortened(stale[s.name].reasons)) for s in STAGES]
    print_table(("stage", "state", "last run", "took", "why"), rows)
    out.print()
    if report_page(root).exists():
        _print_decision(root, read_decision(root))
        if outdated := [one.name for one in upstream_stages(GATE) if stale[one.name]]:
            print_line(f"  that was the last run: the gate has not decided on what is here now; not up to date: {', '.join(outdated)}")
        print_line(f"report: {shown(report_page(root), root)}")
    else:
        out.print("no finished run yet: ascl run")
    tag = released.released_tag(root)
    out.print(f"released: {tag or 'nothing yet'}")
    if hint := released.tracked_hint(root):
        print_line(f"hint: {hint}")


def doctor() -> None:
    """Say what this machine has and lacks for a run; exit status 1 if something needed is missing.

    Example:  ascl doctor
    """
    checks = preflight.all_checks(repository_root())
    print_table(("check", "state", "found", "hint"), [(check.name, check.level, check.found, check.hint) for check in checks])
    if missing := sum(check.level == "error" for check in checks):
        out.print(f"\n[red]{missing} missing[/]: a run would fail")
        raise typer.Exit(1)
    out.print("\n[green]ready[/]: ascl run")


def _print_decision(root: Path, decision: Decision) -> None:
    print_gate(decision.passed, decision.summary, decision.failing)
    advice = advise(decision.failing, released=released.released_commit(root) is not None)
    for cause in advice.causes:
        print_line(f"  likely cause: {cause}")
    for step in advice.steps:
        print_line(f"  {step.explanation}:\n    {step.command}")
