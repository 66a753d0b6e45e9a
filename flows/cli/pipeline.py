"""`ascl run`, `ascl plan` and `ascl status`: the pipeline, what it would do, and how it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from flows.cli.console import COLOURS, out, print_table, repository_root, shown
from flows.cli.parameters import Overwrite, Profile, Settings

if TYPE_CHECKING:
    from tasks.execution.plan import Plan
    from tasks.runs.summary import Decision

GATE_SAID_NO = 3
Force = Annotated[list[str] | None, typer.Option("--force", "-f", metavar="STAGE", help="Run this stage even where it is up to date.")]
Parallel = Annotated[int | None, typer.Option(min=1, max=16, help="Stages at a time; as many as the cores carry if not given.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (run, plan, status):
        app.command()(command)


def run(
    profile: Profile = None,
    setting: Settings = None,
    force: Force = None,
    parallel: Parallel = None,
    overwrite: Overwrite = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with status 3 where the gate does not pass.")] = False,
) -> None:
    """Run the pipeline: from the rules to a gated checkpoint and its report; what is up to date is reused.

    Examples:  ascl run   |   ascl run --profile tiny-public   |   ascl run --set sft.max_steps=100   |   ascl run --force ifpo
    """
    import os

    from tasks.host.environment import prepare
    from tasks.registry.parameters import write_params
    from tasks.registry.stages import get_stage
    from tasks.runs.summary import report_page

    root = repository_root()
    prepare(root, debug="ASCL_DEBUG" in os.environ)
    forced = [get_stage(name).name for name in force or ()]
    write_params(root, profile, setting or (), overwrite=overwrite)

    from flows.cli.watching import watched
    from tasks.host import preflight
    from tasks.repository.git import is_uncommitted

    preflight.require_now(root)
    with watched(root):
        from flows.post_train import post_train

        result = post_train(force=forced, max_parallel=parallel)
    ran = sum(outcome.action == "ran" for outcome in result.outcomes)
    out.print(f"\n{ran} of {len(result.outcomes)} stages ran, the others were up to date")
    _print_decision(result.decision)
    out.print(f"report: {shown(report_page(root), root)}", soft_wrap=True)
    if is_uncommitted(root, "dvc.lock"):
        what = "dvc.lock records this run: which inputs gave which outputs. Commit it with your changes: git add dvc.lock && git commit"
        out.print(what, soft_wrap=True)
    if strict and not result.decision.passed:
        raise typer.Exit(GATE_SAID_NO)


def plan(
    profile: Profile = None,
    setting: Settings = None,
    force: Force = None,
    gpu: Annotated[str | None, typer.Option("--gpu", help="Reckon memory and hours for this GPU, such as H100 or A100-40.")] = None,
    rules: Annotated[
        str | None,
        typer.Option("--rules", metavar="NEW", help="Plan for these rules: a git revision, a folder, or a compiled corpus.json."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON, without what it needs of a GPU.")] = False,
) -> None:
    """Say which stages would run, why, how long they took the last time, and what they need of a GPU; runs and writes nothing.

    Of a change of the rules, edited under data/rules or named by --rules, it says the class and which stages that class runs.

    Examples:  ascl plan --rules my/rules   |   ascl plan --set ifpo.rebalance=none   |   ascl plan --profile full --gpu A100-80
    """
    import json
    from pathlib import Path

    from ascl_core.config.base import parse
    from ascl_core.config.params import Params
    from flows.cli.needs import print_needs
    from flows.cli.rules import rules_at
    from tasks.execution.plan import make_plan, plan_to_json
    from tasks.registry.parameters import planned_values
    from tasks.registry.stages import get_stage

    here = Path.cwd()
    root = repository_root()
    forced = frozenset(get_stage(name).name for name in force or ())
    values = planned_values(root, profile, setting or ())
    new = None if rules is None else rules_at(rules, here, root, parse(Params, values, file=root / "params.yaml").rules)
    planned = make_plan(root, forced, values, new)
    if as_json:
        out.print_json(json.dumps(plan_to_json(planned)))
        return
    _print_plan(planned)
    print_needs(root, values, gpu)


def _print_plan(planned: Plan) -> None:
    if planned.change is not None:
        found = planned.change
        out.print(f"[bold]{found.change_class}[/]: {found.change_class.work}")
        for reason in found.reasons:
            out.print(f"  {escape(reason)}", soft_wrap=True)
        out.print()
    print_table(
        ("stage", "would", "why", "last time"),
        [
            (s.stage, s.action, "; ".join(s.reasons), "" if s.seconds == 0 else "unknown" if s.seconds is None else s.seconds)
            for s in planned.steps
        ],
    )
    unknown = sum(step.seconds is None for step in planned.to_run)
    more = f", and {unknown} stages that never ran here" if unknown else ""
    out.print(
        f"\n{len(planned.to_run)} of {len(planned.steps)} stages would run: {planned.seconds:.0f} s of work by their last times{more}"
        if planned.to_run
        else "\nnothing would run"
    )


def status() -> None:
    """Say how the pipeline stands: which outputs are up to date, what the gate decided, where the report is.

    Example:  ascl status
    """
    from tasks.registry.stages import RELEASED, STAGES
    from tasks.repository import cache, released
    from tasks.repository.staleness import staleness
    from tasks.runs.summary import last_run, read_decision, report_page

    root = repository_root()
    with released.released_folder(root) as folder:
        stale = staleness(root, list(STAGES), inputs={RELEASED.path: cache.md5(folder)})
    rows = [(s.name, "stale" if stale[s.name] else "ok", *last_run(root, s), "; ".join(stale[s.name].reasons)) for s in STAGES]
    print_table(("stage", "state", "last run", "took", "why"), rows)
    out.print()
    if report_page(root).exists():
        _print_decision(read_decision(root))
        out.print(f"report: {shown(report_page(root), root)}", soft_wrap=True)
    else:
        out.print("no finished run yet: ascl run")
    out.print(f"released: {released.released_tag(root) or 'nothing yet'}")
    if hint := released.tracked_hint(root):
        out.print(f"hint: {hint}", soft_wrap=True)


def _print_decision(decision: Decision) -> None:
    colour = COLOURS["ok" if decision.passed else "error"]
    out.print(f"gate: [{colour}]{'passed' if decision.passed else 'not passed'}[/]: {escape(decision.summary)}", soft_wrap=True)
    for line in decision.failing:
        out.print(f"  [red]✗[/] {escape(line)}", soft_wrap=True)
