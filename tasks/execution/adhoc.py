"""Evaluate any checkpoint with any rules, outside the pipeline's own outputs."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from ascl_core.errors import ModelError
from tasks.execution.child import ERROR
from tasks.execution.runner import explain_failure
from tasks.execution.serving import index_arguments
from tasks.execution.supervisor import OnEvent, supervise
from tasks.registry.dependencies import short
from tasks.registry.stages import CORPUS, EVALUATE, SUITES, SUITES_MANIFEST


def evaluate_checkpoint(
    root: Path,
    checkpoint: Path,
    folder: Path,
    corpus: Path | None,
    on_event: OnEvent,
    *,
    suites: Path | None = None,
    variant: str | None = None,
) -> Path:
    """Evaluate the checkpoint on the suites of the last run, or those under `suites`; the results go to `folder`.

    `variant` replaces `conversation.variant` for this evaluation only and makes no stage stale. The rules of the last run are searched in
    its index, those of another `corpus` in one that is made for the evaluation. Returns the path of the metrics.
    """
    if not checkpoint.is_dir():
        raise ModelError("is not a folder with a checkpoint", file=checkpoint, hint="give a folder with a model, such as data/models/ifpo")
    stage = EVALUATE["ifpo"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ERROR).unlink(missing_ok=True)
    asked = suites or root
    inputs = (checkpoint, asked / SUITES.path, asked / SUITES_MANIFEST.path, corpus or root / CORPUS.path)
    options = [*index_arguments(root, corpus or root / CORPUS.path), *(["--variant", variant] if variant else [])]
    command = [sys.executable, "-m", "ascl_core.evaluation", *map(str, inputs), str(folder), *options]
    status, log = supervise(
        command, root=root, name=f"eval-{short(str(folder))}", folder=folder, timeout_s=stage.timeout_s, on_event=on_event
    )
    if status != 0:
        raise explain_failure(replace(stage, name=f"the evaluation of {checkpoint.name}"), status, folder, log)
    return folder / "metrics.json"
