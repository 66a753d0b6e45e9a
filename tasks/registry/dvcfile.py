"""`dvc.yaml`, rendered from the stage registry; nobody edits it by hand.

Only its prompt sources follow from the parameters and not from the code, so every command that writes `params.yaml`, and every run, updates
them. `ascl stages write` updates the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ascl_core.artifacts import read_yaml, write_text
from ascl_core.config.params import load_params
from ascl_core.errors import WorkspaceError
from tasks.registry import dvc_tools
from tasks.registry.code import code_files
from tasks.registry.paths import DVC_YAML, PARAMETERS, STAGE_SCRIPT
from tasks.registry.sources import source_paths
from tasks.registry.stages import STAGES, Stage

_HEADER = "# Rendered from tasks/registry/stages.py and the imports of ascl_core: ascl stages write\n"
Sources = Mapping[str, Sequence[str]]
"""The paths of the prompt sources by the name of the stage, for each stage that has any."""


def render(root: Path, sources: Sources | None = None) -> str:
    """Return the text of `dvc.yaml`: for each stage its command, data and code dependencies, parameter sections and outputs.

    After the stages come the figures, plots and checkpoints that DVC's own commands show.

    The default of `sources` are those that `params.yaml` names and that exist.
    """
    sources = _wanted(root) if sources is None else sources
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 200
    text = StringIO()
    stages = {stage.name: _entry(root, stage, sources.get(stage.name, ())) for stage in STAGES}
    yaml.dump({"stages": stages, **dvc_tools.sections()}, text)
    return _HEADER + text.getvalue()


def check(root: Path, sources: Sources | None = None) -> None:
    """Raise `WorkspaceError` unless `dvc.yaml` agrees with the registry, the imports and the sources."""
    path = root / DVC_YAML
    if not path.exists() or path.read_text(encoding="utf-8") != render(root, sources):
        problem = "is not what tasks/registry/stages.py, the imports of ascl_core and the sources in params.yaml say"
        raise WorkspaceError(problem, file=DVC_YAML, hint="ascl stages write")


def follow_sources(root: Path) -> None:
    """Write the prompt sources that `params.yaml` names and that exist to `dvc.yaml`, if it names others.

    `WorkspaceError` if anything else in it is wrong as well, which a run does not change.
    """
    named, wanted = _named(root), _wanted(root)
    if named != wanted:
        check(root, named)
        write_text(root / DVC_YAML, render(root, wanted))


def check_sources(root: Path, stage: Stage) -> None:
    """Raise `WorkspaceError` unless `dvc.yaml` names the stage's current prompt sources: DVC would record the run without them."""
    if stage.sources is None:
        return
    named, wanted = _named(root).get(stage.name, ()), _wanted(root).get(stage.name, ())
    if named != wanted:
        raise WorkspaceError(
            f"does not name the sources of {stage.name} as they are now",
            file=DVC_YAML,
            field=stage.sources,
            value=", ".join(sorted({*named} ^ {*wanted})),
            hint="ascl stages write",
        )


def _entry(root: Path, stage: Stage, sources: Sequence[str]) -> dict[str, Any]:
    return {
        "desc": stage.summary,
        "cmd": f"exec sh {STAGE_SCRIPT} {stage.name}",
        "deps": [*_data(stage), *sources, *code_files(root, stage)],
        "params": list(stage.sections),
        "outs": [artifact.path for artifact in (*stage.outputs.values(), stage.record)],
    }


def _data(stage: Stage) -> list[str]:
    return list(dict.fromkeys(artifact.path for artifact in stage.input_artifacts()))


def _wanted(root: Path) -> Sources:
    params = load_params(root / PARAMETERS)
    return {stage.name: paths for stage in STAGES if (paths := source_paths(root, stage, params))}


def _named(root: Path) -> Sources:
    """Return the sources that the file names: the dependencies of a stage that are neither data nor code."""
    content = read_yaml(root / DVC_YAML) if (root / DVC_YAML).exists() else None
    named = {}
    for stage in STAGES:
        if stage.sources is not None:
            known = {*_data(stage), *code_files(root, stage)}
            named[stage.name] = tuple(path for path in _listed(content, "stages", stage.name, "deps") if path not in known)
    return {name: paths for name, paths in named.items() if paths}


def _listed(content: Any, *keys: str) -> list[Any]:
    """Return the list under these keys; empty if the content has another shape, which `check` reports."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, list) else []
