"""Work outside the pipeline's own outputs: the evaluation of any checkpoint, with any rules."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ascl_core.errors import ModelError
from tasks.execution.child import ERROR
from tasks.execution.runner import failure
from tasks.execution.serving import index_arguments
from tasks.execution.supervisor import OnEvent, only_supervisor, run_supervised
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

    `variant` replaces `conversation.variant` for this evaluation alone; no stage becomes stale by it. The rules of the last run are looked
    up in its index, those in another `corpus` in one that is made for this.

    Returns the path of its metrics.
    """
    if not checkpoint.is_dir():
        raise ModelError("no checkpoint is there", file=checkpoint, hint="give a folder with a model, such as data/models/ifpo")
    stage = EVALUATE["ifpo"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ERROR).unlink(missing_ok=True)
    lock = root / ".ascl" / "locks" / f"eval-{short(str(folder))}.lock"
    log = root / ".ascl" / "logs" / "eval" / f"{datetime.now(UTC):%Y%m%dT%H%M%S}.log"
    asked = suites or root
    inputs = (checkpoint, asked / SUITES.path, asked / SUITES_MANIFEST.path, corpus or root / CORPUS.path)
    options = [*index_arguments(root, corpus or root / CORPUS.path), *(["--variant", variant] if variant else [])]
    with only_supervisor(lock, wait_s=stage.timeout_s):
        status = run_supervised(
            [sys.executable, "-m", "ascl_core.evaluation", *map(str, inputs), str(folder), *options],
            lock=lock,
            cwd=root,
            log=log,
            progress=folder / "progress.jsonl",
            timeout_s=stage.timeout_s,
            on_event=on_event,
        )
    if status != 0:
        raise failure(replace(stage, name=f"the evaluation of {checkpoint.name}"), status, folder, log)
    return folder / "metrics.json"
