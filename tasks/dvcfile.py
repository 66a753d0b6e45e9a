"""`dvc.yaml`, rendered from the stage registry; nobody edits it by hand."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ascl_core.errors import WorkspaceError
from tasks.code import code_files
from tasks.stages import STAGES, Stage

FILE = "dvc.yaml"
_HEADER = "# Rendered from tasks/stages.py and the imports of ascl_core: ascl stages write\n"


def render(root: Path) -> str:
    """The text of `dvc.yaml`: for each stage its command, data and code dependencies, parameter sections and outputs."""
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 200
    text = StringIO()
    yaml.dump({"stages": {stage.name: _entry(root, stage) for stage in STAGES}}, text)
    return _HEADER + text.getvalue()


def check(root: Path) -> None:
    """`WorkspaceError` unless `dvc.yaml` is what the registry and the imports say."""
    path = root / FILE
    if not path.exists() or path.read_text(encoding="utf-8") != render(root):
        raise WorkspaceError("is not what tasks/stages.py and the imports of ascl_core say", file=FILE, mend="ascl stages write")


def _entry(root: Path, stage: Stage) -> dict[str, Any]:
    return {
        "desc": stage.summary,
        "cmd": f"exec python -m tasks {stage.name}",  # a shell in between would outlive a killed DVC, and the stage with it
        "deps": [*dict.fromkeys(artifact.path for artifact in stage.input_artifacts()), *code_files(root, stage)],
        "params": list(stage.sections),
        "outs": [artifact.path for artifact in (*stage.outputs.values(), stage.record)],
    }
