"""`python -m ascl_core.evaluation CHECKPOINT SUITES MANIFEST CORPUS FOLDER`: evaluate with the parameters of params.yaml."""

from __future__ import annotations

import sys
from pathlib import Path

from ascl_core.config.params import load_params
from ascl_core.contracts import StageContext
from ascl_core.errors import AsclError, leave
from ascl_core.evaluation.run import evaluate


def main() -> int:
    """Write `results.parquet` and `metrics.json` to the folder."""
    checkpoint, suites, manifest, corpus, folder = map(Path, sys.argv[1:6])
    try:
        params = load_params("params.yaml")
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
            context=StageContext(state=folder / "state"),
        )
    except AsclError as error:
        return leave(error, folder / "error.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
