"""`ascl backtest`: what a change of the rules would have done to recorded traffic, before anything is trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ascl_core.artifacts import sha256_json, write_json
from ascl_core.config.params import load_params
from ascl_core.errors import ConfigError
from ascl_core.text import counted, fold_line
from ascl_core.vocabulary import ANYWHERE
from flows.cli.checkpoints import Jurisdiction
from flows.cli.console import out, print_line, print_table, root_for
from flows.cli.rules import RULES_SOURCE, rules_at
from flows.cli.watching import Watching
from tasks.execution.adhoc import Backtest, measured_speed
from tasks.execution.adhoc import backtest as run_backtest
from tasks.host import interpreter
from tasks.host.environment import prepare_environment
from tasks.registry.paths import PARAMETERS, SCRATCH
from tasks.registry.stages import CHECKPOINT, EVALUATION, RULES
from tasks.releases.checkpoint import named_checkpoint

_FORMS = {"prompt": "plain prompt", "chat": "OpenAI chat request", "spans": "OpenTelemetry span"}
_DIRECTIONS = {"help_to_refusal": "help → refusal", "refusal_to_help": "refusal → help"}
_SHOWN_CHARS = 160


def backtest(
    traffic: Annotated[
        str, typer.Argument(metavar="TRAFFIC", help="A table of recorded requests (JSON lines, Parquet …), a folder of them, or s3://….")
    ],
    rules: Annotated[str, typer.Option(help=f"The new rules: {RULES_SOURCE}.")] = RULES.path,
    old: Annotated[
        str | None, typer.Option(help="The old rules, named likewise; by default the checkpoint's: of its release, or of the last run.")
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="The model that answers: a folder, or a release, such as release/1.")] = CHECKPOINT,
    which: Annotated[
        Literal["changed", "all"], typer.Option("--replay", help="Replay the requests whose look-up changed, or all of them.")
    ] = "changed",
    jurisdiction: Jurisdiction = ANYWHERE,
    consented_by: Annotated[str, typer.Option(metavar="COLUMN", help="The column that marks the rows that may be used.")] = "consented",
    all_consented: Annotated[bool, typer.Option("--all-consented", help="State that the authors of all rows agreed to their use.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compare look-ups and estimate the replay; use no model.")] = False,
    file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the changed answers to this file, as JSON lines.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures and examples as JSON.")] = False,
) -> None:
    """Say what new rules would have done to recorded requests: look-ups and answers that change, rule by rule, with examples.

    TRAFFIC is recognised by its columns: prompt; messages of OpenAI chat requests; or OpenTelemetry spans with gen_ai.input.messages.
    Only rows with consented: true are read, and personal data is removed before anything else. The last message of the user is asked
    again, without the turns before it.

    Examples:  ascl backtest traffic.jsonl --dry-run   |   ascl backtest s3://logs/week.parquet --rules HEAD --out changed.jsonl

    ascl backtest traffic.jsonl --checkpoint release/1 --rules ../new-rules --all-consented --json
    """
    if dry_run and file is not None:
        raise ConfigError("a dry run has no answers to write", field="--out", value=str(file), hint="leave out --out or --dry-run")
    start = Path.cwd()
    root = root_for(checkpoint, rules, old or "")
    prepare_environment(root)
    interpreter.require()
    found = named_checkpoint(root, start, checkpoint, None)
    config = load_params(root / PARAMETERS).rules
    sources = {"new": rules} if old is None else {"new": rules, "old": old}
    corpora = {name: rules_at(source, start, root, config) for name, source in sources.items()}
    traffic = str((start / traffic).resolve()) if (start / traffic).exists() else traffic
    digests = {name: corpus.digest for name, corpus in corpora.items()}
    inputs = [traffic, digests, found.model, which, jurisdiction, consented_by, all_consented, dry_run]
    folder = root / SCRATCH / "backtest" / sha256_json(inputs)[:16]  # of its own, as another one may run at the same time
    paths = {name: folder / f"{name}.json" for name in corpora}
    for name, corpus in corpora.items():
        write_json(paths[name], corpus.to_json())
    asked = Backtest(
        traffic=traffic,
        old=paths.get("old", found.corpus),
        new=paths["new"],
        jurisdiction=jurisdiction,
        consented_by=None if all_consented else consented_by,
        replay_all=which == "all",
        index=None if old else found.index,
    )
    figures = _run(root, asked, folder, None, None)
    estimate = _estimate(root, figures["to_replay"])
    if not as_json:
        _print_traffic(figures)
        _print_estimate(estimate)
    if not dry_run:
        figures = _run(root, asked, folder, Path(found.model), (start / file).resolve() if file else None)
    if as_json:
        out.print_json(json.dumps({**figures, "estimate": estimate}))
    else:
        _print_figures(figures, dry_run)


def _run(root: Path, asked: Backtest, folder: Path, checkpoint: Path | None, file: Path | None) -> dict[str, Any]:
    with Watching() as watching, watching.stage(replace(EVALUATION, name="backtest")) as progressed:
        return run_backtest(root, asked, folder, checkpoint, file, progressed)


def _estimate(root: Path, requests: int) -> dict[str, Any]:
    """Return how much the replay has to do: each request is answered twice. Tokens and minutes are None before an evaluation."""
    speed = measured_speed(root)
    tokens = None if speed is None else round(2 * requests * speed[0])
    return {
        "requests": requests,
        "tokens": tokens,
        "minutes": None if speed is None or tokens is None else round(tokens / speed[1] / 60, 1),
    }


def _print_traffic(figures: Mapping[str, Any]) -> None:
    forms = ", ".join(counted(number, _FORMS[form]) for form, number in figures["forms"].items())
    print_line(f"recognised: {forms}; {counted(figures['distinct'], 'different prompt')}")
    left_out = f"{figures['not_consented']} without consent, {figures['without_text']} without text of a user"
    print_line(f"left out: {left_out}; personal data removed from {counted(figures['redacted'], 'request')}")


def _print_estimate(estimate: Mapping[str, Any]) -> None:
    cost = "tokens and minutes unknown before an evaluation"
    if estimate["tokens"] is not None:
        cost = f"about {estimate['tokens']} tokens and {estimate['minutes']} minutes at the speed of the last evaluation"
    print_line(f"to replay: {counted(estimate['requests'], 'prompt')} under both sets of rules, {cost}")


def _print_figures(figures: Mapping[str, Any], dry_run: bool) -> None:
    print_line(f"rules: {figures['old'][:12]} → {figures['new'][:12]}")
    total = figures["requests"]
    print_line(f"look-ups that changed: {figures['look_ups_changed']} of {counted(total, 'request')}")
    if not dry_run:
        moved = ", ".join(f"{figures[key]} {title}" for key, title in _DIRECTIONS.items())
        print_line(f"answers that changed: {figures['answers_changed']}; {moved}; {figures['not_judged']} not judged")
    if figures["rules"]:
        keys = ("look_ups_changed",) if dry_run else ("look_ups_changed", "answers_changed", *_DIRECTIONS)
        titles = ("look-ups changed",) if dry_run else ("look-ups changed", "answers changed", *_DIRECTIONS.values())
        print_line("")
        print_table(("rule", *titles), [(row["rule"] or "none", *(row[key] for key in keys)) for row in figures["rules"]])
    for row in figures["rules"]:
        for example in row["examples"]:
            change = _DIRECTIONS.get(example["change"], "other words")
            print_line(f"\n{row['rule'] or 'no rule'}, {change}, {counted(example['requests'], 'request')}: {_short(example['prompt'])}")
            for side in ("old", "new"):
                print_line(f"  {side}: {_short(example[side]['answer']) or 'not well-formed'}")


def _short(text: str) -> str:
    line = fold_line(text)  # without control characters, which a terminal would obey
    return line if len(line) <= _SHOWN_CHARS else f"{line[:_SHOWN_CHARS]} …"
