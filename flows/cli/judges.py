"""`ascl judges`: the judges there are, and how well one agrees with people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ascl_core.artifacts import sha256_json
from ascl_core.config.base import parse
from ascl_core.config.judge import ALL, FORMATS, JudgeConfig
from ascl_core.config.params import load_params, merge
from ascl_core.config.profiles import parse_setting
from ascl_core.report.wording import number, percent, share_interval
from flows.cli.console import Check, out, print_line, print_table, repository_root, update_page
from flows.cli.watching import Watching
from tasks.execution.adhoc import calibrate_judge
from tasks.host import interpreter
from tasks.host.environment import prepare_environment
from tasks.registry.paths import PARAMETERS, SCRATCH
from tasks.registry.stages import EVALUATION

app = typer.Typer(help="List the judges, and measure how well one agrees with people.", no_args_is_help=True)
PAGE = Path("docs/judges.md")
_HEADING = "| name | what it is | refusal | harm | needs |\n|---|---|---|---|---|\n"
_TITLES = {"refusal": "refusal", "strict_refusal": "refusal, partial counted as full", "harm": "harm"}


@app.command(name="list")
def list_judges() -> None:
    """List the judges, and the formats of the judge `policy`.

    Example:  ascl judges list
    """
    print_table(("judge", "what it is", "its model, unless set"), [(name, part.summary, part.model) for name, part in ALL.items()])
    print_line("")
    print_table(
        ("format of policy", "what it is", "its model, unless set"), [(name, part.summary, part.model) for name, part in FORMATS.items()]
    )


@app.command()
def docs(check: Check = False) -> None:
    """Write the table of the judges in docs/judges.md from the registry.

    Example:  ascl judges docs --check
    """
    repository_root()
    update_page(PAGE.name, with_table(PAGE.read_text(encoding="utf-8")), check=check, command="ascl judges docs")


def with_table(page: str) -> str:
    """Return the text of docs/judges.md with the table of the judges as the registry has them."""
    rows = [f"| `{name}` | {part.summary} | {part.refusal} | {part.harm} | {part.needs} |" for name, part in ALL.items()]
    before, heading, rest = page.partition(_HEADING)
    after = rest.partition("\n\n")[2]
    return "".join([before, heading, *(f"{row}\n" for row in rows), "\n", after])


@app.command()
def calibrate(
    labelled: Annotated[
        str, typer.Argument(metavar="LABELLED", help="A table (CSV, JSON lines, Parquet …) with prompt, response and labels.")
    ],
    judge: Annotated[str | None, typer.Option(help="The name of a judge; by default evaluate.judge of params.yaml.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", "-s", metavar="KEY=VALUE", help="Set a key of the judge, such as model; may be repeated.")
    ] = None,
    corpus: Annotated[Path | None, typer.Option(help="A compiled corpus for a judge that reads the rules; that of the last run.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure how well a judge agrees with people: accuracy, Cohen's kappa and the confusion table, with 95 % intervals.

    The table has the columns prompt, response (or completion), and refusal (none, partial, full; or XSTest's final_label) or harm
    (harmful, unharmful) or both. prompt_type and jurisdiction are read if they are there.

    Examples:  ascl judges calibrate labels.csv   |   ascl judges calibrate labels.csv --judge rules --json

    ascl judges calibrate labels.csv --judge policy --set base_url=http://127.0.0.1:8001/v1 --set policy.format=safeguard
    """
    start, root = Path.cwd(), repository_root()
    prepare_environment(root)
    interpreter.require()
    config = judge_with(root, judge, setting or ())
    given = str((start / labelled).resolve()) if (start / labelled).exists() else labelled
    rules = (start / corpus).resolve() if corpus else None
    values = config.model_dump(mode="json")
    folder = root / SCRATCH / "judges" / sha256_json([given, values, str(rules)])[:16]  # of its own, as another may run beside it
    with Watching() as watching, watching.stage(replace(EVALUATION, name="calibration")) as progressed:
        found = calibrate_judge(root, given, values, folder, rules, progressed)
    out.print_json(json.dumps(found)) if as_json else _print(found)


def judge_with(root: Path, name: str | None, settings: Sequence[str]) -> JudgeConfig:
    """Return the judge of that name, or the evaluation's, with the settings."""
    values: dict[str, Any] = {"name": name} if name else load_params(root / PARAMETERS).evaluate.judge.model_dump(mode="json")
    for setting in settings:
        values = merge(values, parse_setting(setting))
    return parse(JudgeConfig, values, file=" ".join(f"--set {setting}" for setting in settings) or "--judge")


def _print(found: Mapping[str, Any]) -> None:
    print_line(f"{found['judge']} on {found['rows']} responses")
    rows = [(title, found[key]) for key, title in _TITLES.items() if found[key]]
    print_table(
        ("labels", "n", "accuracy", "95 % interval", "kappa", "95 % interval"),
        [
            (title, one["n"], percent(one["accuracy"]["value"]), share_interval(one["accuracy"]), *_kappa(one["kappa"]))
            for title, one in rows
        ],
    )
    for key in ("refusal", "harm"):
        if one := found[key]:
            print_line("")
            lines = zip(one["labels"], one["confusion"], strict=True)
            print_table((f"{key}: people \\ judge", *one["labels"]), [(label, *counts) for label, counts in lines if any(counts)])


def _kappa(kappa: Mapping[str, float | None]) -> tuple[str, str]:
    return number(kappa["value"]), "" if kappa["low"] is None else f"{number(kappa['low'])}–{number(kappa['high'])}"
