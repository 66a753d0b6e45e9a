"""What runs outside the pipeline: evaluate or check a checkpoint, test rules, calibrate a judge, try rules on recorded requests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json, read_parquet, write_json
from ascl_core.config.base import Config
from ascl_core.config.evaluate import EvaluateConfig
from ascl_core.errors import ModelError
from ascl_core.rules.corpus import Corpus
from tasks.evidence.record import read_record
from tasks.execution.child import ERROR
from tasks.execution.runner import explain_failure
from tasks.execution.serving import index_arguments
from tasks.execution.supervisor import OnEvent, supervise
from tasks.host.interpreter import stage_python
from tasks.registry.dependencies import short
from tasks.registry.paths import PARAMETERS
from tasks.registry.stages import CORPUS, EVALUATION, SUITES, SUITES_MANIFEST


def evaluate_checkpoint(
    root: Path,
    checkpoint: Path,
    folder: Path,
    corpus: Path | None,
    on_event: OnEvent,
    *,
    suites: Path | None = None,
    sections: Mapping[str, Config] | None = None,
    index: Path | None = None,
    options: Sequence[str] = (),
) -> Path:
    """Evaluate the checkpoint on the suites of the last run, or those under `suites`; the results go to `folder`.

    `sections` replace those of the parameters for this evaluation only and make no stage stale. The rules of the last run are searched in
    its index, those of another `corpus` in `index`, or in one that is made for the evaluation. `options` are more options of
    `python -m ascl_core.evaluation`. Returns the path of the metrics.
    """
    require_folder(checkpoint)
    asked = suites or root
    inputs = (checkpoint, asked / SUITES.path, asked / SUITES_MANIFEST.path, corpus or root / CORPUS.path)
    given = [*index_arguments(root, corpus or root / CORPUS.path, index), *_section_arguments(sections or {})]
    command = ["ascl_core.evaluation", *map(str, inputs), str(folder), *given, *options]
    _run(root, command, folder, f"eval-{short(str(folder))}", f"the evaluation of {checkpoint.name}", on_event)
    return folder / "metrics.json"


def score_rules(
    root: Path,
    checkpoint: Path,
    rules: Sequence[str],
    corpus: Corpus,
    evaluate: EvaluateConfig,
    folder: Path,
    on_event: OnEvent,
    *,
    attacks: bool,
) -> list[dict[str, Any]]:
    """Have the checkpoint answer probes of these rules, and return `ascl_core.evaluation.rule_probes.RuleScore` of each as JSON values.

    Everything is written to `folder`: the probes, the rules of the corpus, the judged answers and the scores.
    """
    compiled = folder / "corpus.json"
    write_json(compiled, corpus.to_json())
    options = ("--rules", *rules, *(["--attacks"] if attacks else ()))
    evaluate_checkpoint(root, checkpoint, folder, compiled, on_event, suites=folder, sections={"evaluate": evaluate}, options=options)
    return list(read_json(folder / "scores.json"))


def calibrate_judge(
    root: Path, labelled: str, judge: Mapping[str, Any], folder: Path, corpus: Path | None, on_event: OnEvent
) -> dict[str, Any]:
    """Judge labelled responses with a judge, given as its configuration, and return its agreement with people.

    A judge that reads the rules has those of the last run, or of another `corpus`.
    """
    rules = corpus or root / CORPUS.path
    command = ["ascl_core.judges", labelled, str(folder), "--judge", json.dumps(judge), "--params", str(root / PARAMETERS)]
    command += ["--corpus", str(rules), *index_arguments(root, rules)]
    _run(root, command, folder, f"calibrate-{short(str(folder))}", f"the calibration with {labelled}", on_event)
    return dict(read_json(folder / "calibration.json"))


def check_portable(root: Path, checkpoint: Path, folder: Path) -> list[str]:
    """Check that other tools get a whole checkpoint, and return the options with which vLLM serves it; `folder` is for the answer."""
    command = ["ascl_core.sft.portable", str(checkpoint), str(folder)]
    _run(root, command, folder, f"export-{short(str(folder))}", "the check of the checkpoint", lambda event: None)
    return [str(word) for word in read_json(folder / "vllm.json")]


@dataclass(frozen=True)
class Backtest:
    """What `ascl backtest` was asked for."""

    traffic: str
    """A local path or a URL."""
    old: Path
    """The compiled rules that the requests met."""
    new: Path
    """The compiled rules to try."""
    jurisdiction: str
    """Of requests that name none."""
    consented_by: str | None
    """The column that marks consented rows; None takes all rows."""
    replay_all: bool = False
    """Whether requests are replayed for which a look-up finds the same."""
    index: Path | None = None
    """The index of the old rules, if there is one."""


def backtest(root: Path, asked: Backtest, folder: Path, checkpoint: Path | None, out: Path | None, on_event: OnEvent) -> dict[str, Any]:
    """Compare rules on recorded requests; return what `ascl_core.backtest.summary` says.

    Without a checkpoint only look-ups are compared. The changed answers are written to `out`, as JSON lines.
    """
    if checkpoint is not None:
        require_folder(checkpoint)
    command = ["ascl_core.backtest", asked.traffic, str(folder), "--old", str(asked.old), "--new", str(asked.new)]
    command += ["--params", str(root / PARAMETERS), *index_arguments(root, asked.old, asked.index), "--jurisdiction", asked.jurisdiction]
    command += ["--replay", "all"] if asked.replay_all else []
    options = {"--consented-by": asked.consented_by, "--checkpoint": checkpoint, "--out": out}
    command += [part for name, value in options.items() if value is not None for part in (name, str(value))]
    _run(root, command, folder, f"backtest-{short(str(folder))}", f"the backtest with {asked.traffic}", on_event)
    return dict(read_json(folder / "backtest.json"))


def measured_speed(root: Path) -> tuple[float, float] | None:
    """Return the tokens of an answer and the tokens per second of the last evaluation, loading and judging included; None before one."""
    record, results = read_record(root / EVALUATION.record.path), root / EVALUATION.outputs["results"].path
    if record is None or not results.is_file():
        return None
    tokens = read_parquet(results, ["num_tokens"])["num_tokens"].to_pylist()
    return (sum(tokens) / len(tokens), sum(tokens) / record.seconds) if sum(tokens) and record.seconds else None


def require_folder(checkpoint: Path) -> None:
    """Check that the checkpoint's folder exists; `ModelError` otherwise."""
    if not checkpoint.exists():
        raise ModelError("the checkpoint does not exist", file=checkpoint, hint="make it: ascl run; or give another folder with a model")
    if not checkpoint.is_dir():
        raise ModelError("is a file", file=checkpoint, hint="give the folder of the checkpoint, with its config.json and weights")


def _section_arguments(sections: Mapping[str, Config]) -> list[str]:
    values = {name: section.model_dump(mode="json") for name, section in sections.items()}
    return ["--sections", json.dumps(values)] if values else []


def _run(root: Path, command: Sequence[str], folder: Path, name: str, description: str, on_event: OnEvent) -> None:
    """Run a module of the science, with its arguments, as a supervised process; its own error is raised here."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ERROR).unlink(missing_ok=True)
    stage = replace(EVALUATION, name=description)
    whole = [stage_python(), "-m", *command]
    status, log = supervise(whole, root=root, name=name, folder=folder, timeout_s=stage.timeout_s, on_event=on_event)
    if status != 0:
        raise explain_failure(stage, status, folder, log)
