"""`python -m ascl_core.evaluation CHECKPOINT SUITES MANIFEST CORPUS FOLDER [VARIANT]`: evaluate with the parameters of params.yaml.

VARIANT replaces `conversation.variant`.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from ascl_core.artifacts import digest, sha256_json
from ascl_core.config.base import parse
from ascl_core.config.params import Params, load_params, merge
from ascl_core.contracts import StageContext
from ascl_core.errors import AsclError, leave
from ascl_core.evaluation.run import evaluate


def main() -> int:
    """Write `results.parquet` and `metrics.json` to the folder."""
    checkpoint, suites, manifest, corpus, folder = map(Path, sys.argv[1:6])
    try:
        params = _with_variant(load_params("params.yaml"), sys.argv[6:])
        state = _state(folder, params, checkpoint, suites, manifest, corpus)
        evaluate(
            evaluate=params.evaluate,
            conversation=params.conversation,
            rules=params.rules,
            compute=params.compute,
            checkpoint=checkpoint,
            suites=suites,
            suites_manifest=manifest,
            corpus=corpus,
            results=folder / "results.parquet",
            metrics=folder / "metrics.json",
            context=StageContext(state=state),
        )
        shutil.rmtree(state.parent)
    except AsclError as error:
        return leave(error, folder / "error.json")
    return 0


def _with_variant(params: Params, given: list[str]) -> Params:
    values = params.model_dump(mode="json")
    return parse(Params, merge(values, {"conversation": {"variant": given[0]}}), file="--variant") if given else params


def _state(folder: Path, params: Params, *inputs: Path) -> Path:
    """Where this evaluation, and no other one that wrote to the folder, resumes from."""
    sections = params.model_dump(mode="json", include={"evaluate", "conversation", "rules", "compute"})
    return folder / "state" / sha256_json([sections, *(digest(path) for path in inputs)])[:16]


if __name__ == "__main__":
    sys.exit(main())
