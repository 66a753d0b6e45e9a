"""What a stage depends on, the record of it, and `dvc.yaml`: each difference counts, and nothing else does."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ascl_core.artifacts import read_yaml, sha256_file
from ascl_core.errors import ConfigError, WorkspaceError
from ascl_core.registry import REGISTRIES
from tasks.evidence.record import make_record
from tasks.registry import dvcfile
from tasks.registry.code import code_files
from tasks.registry.dependencies import read_dependencies
from tasks.registry.stages import CURATE, GATE, STAGES, VALIDATE_RULES, Stage, get_stage
from tests.pipeline.workspace import REPOSITORY, Workspace, edit


def test_every_input_has_one_maker_before_it_and_every_path_one_owner() -> None:
    made: list[str] = []
    for stage in STAGES:
        for artifact in stage.input_artifacts():
            assert artifact.source or artifact.path in made, f"{stage.name} reads {artifact.path} before it is made"
        made += [artifact.path for artifact in (*stage.outputs.values(), stage.record)]
    assert len(made) == len(set(made))
    assert not [(a, b) for a in made for b in made if b.startswith(f"{a}/")], "no output lies within another one"


def test_a_stage_that_does_not_exist_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"no such stage .*'curat'.*\n.*did you mean 'curate'\?"):
        get_stage("curat")


CHANGES = {
    "a byte of a file in a folder": ("data/rules/CYB.yaml", "data/rules", ("\n", "\n\n")),
    "a line of code": ("ascl_core/rules/compile.py", "ascl_core/rules/compile.py", ("\n_SHOWN", "\nADDED = 1\n_SHOWN")),
    "a parameter of its section": ("params.yaml", "rules", ("max_rule_tokens: 80", "max_rule_tokens: 81")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_dependency_that_moves_is_named_and_changes_the_digest(fresh: Workspace, change: str) -> None:
    path, named, replaced = CHANGES[change]
    before = read_dependencies(fresh.root, VALIDATE_RULES)
    edit(fresh.root / path, *replaced)
    after = read_dependencies(fresh.root, VALIDATE_RULES)
    assert before.differences(after) == after.differences(before) == [named]
    assert before.digest != after.digest


def test_a_file_that_comes_goes_or_is_renamed_in_a_folder_counts(fresh: Workspace) -> None:
    rules = fresh.root / "data/rules"
    digests = [read_dependencies(fresh.root, VALIDATE_RULES).digest]
    for change in (
        lambda: (rules / "notes.md").write_text(""),
        lambda: (rules / "notes.md").rename(rules / "others.md"),
        lambda: (rules / "CYB.yaml").unlink(),
    ):
        change()
        digests.append(read_dependencies(fresh.root, VALIDATE_RULES).digest)
    assert len(set(digests)) == 4


def test_what_no_stage_reads_does_not_count(fresh: Workspace) -> None:
    before = read_dependencies(fresh.root, VALIDATE_RULES)
    edit(fresh.root / "params.yaml", "max_steps: 24", "max_steps: 25")
    edit(fresh.root / "params.yaml", "rules:\n", "rules: # a comment\n")
    edit(fresh.root / "ascl_core/rl/advantages.py", "\n", "\n\n")
    edit(fresh.root / "tasks/execution/runner.py", "\n", "\n\n")
    (fresh.root / "ascl_core/rules/__pycache__").mkdir(exist_ok=True)
    (fresh.root / "ascl_core/rules/__pycache__/checks.pyc").write_text("compiled")
    after = read_dependencies(fresh.root, VALIDATE_RULES)
    assert before.differences(after) == []
    assert before.digest == after.digest


def test_another_function_is_other_work(fresh: Workspace) -> None:
    other = replace(VALIDATE_RULES, function="ascl_core.rules.compile:check_folder")
    assert read_dependencies(fresh.root, other).digest != read_dependencies(fresh.root, VALIDATE_RULES).digest


def test_an_input_that_is_missing_is_an_error_that_says_where_it_comes_from(fresh: Workspace) -> None:
    with pytest.raises(WorkspaceError, match=r"data/compiled/sft_corpus\.json: is missing, and curate needs it\n  hint: .*ascl run"):
        read_dependencies(fresh.root, CURATE)
    shutil.rmtree(fresh.root / "data/rules")
    with pytest.raises(
        WorkspaceError,
        match=r"data/rules: is missing, and validate_rules needs it\n  hint: ascl rules new ID TITLE; or git checkout -- data/rules",
    ):
        read_dependencies(fresh.root, VALIDATE_RULES)


def _imports(tree: ast.AST) -> Iterator[str]:
    """The names that a piece of code imports, those for type checkers apart."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        yield from _imports(node)


def _file_of(module: str) -> Path | None:
    module_path = REPOSITORY.joinpath(*module.split("."))
    files = (module_path.with_suffix(".py"), module_path / "__init__.py")
    return next((file for file in files if file.is_file()), None) if module.startswith("ascl_core") else None


def _reached(stage: Stage) -> set[str]:
    """The files that a stage's function reaches, and the packages that they are in: an import graph of the test's own."""
    found: set[Path] = set()
    names = {stage.function.partition(":")[0]}
    while names:
        file = _file_of(names.pop())
        if file and file not in found:
            found.add(file)
            names |= set(_imports(ast.parse(file.read_text(encoding="utf-8"))))
            names |= {
                part.target.partition(":")[0]
                for registry in REGISTRIES
                if _file_of(registry.loaded_by) == file
                for part in registry.values()
            }
    packages = {folder / "__init__.py" for file in found for folder in file.parents if (folder / "__init__.py").is_file()}
    return {str(file.relative_to(REPOSITORY)) for file in found | packages}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_code_of_a_stage_is_what_its_imports_reach(stage: Stage) -> None:
    assert {path for path in code_files(REPOSITORY, stage) if path.endswith(".py")} == _reached(stage)


def test_a_stage_without_its_module_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"tasks/registry/stages\.py: gate: names a module that does not exist"):
        code_files(REPOSITORY, replace(GATE, function="ascl_core.evaluation.gaet:gate"))


def test_dvc_yaml_has_for_each_stage_its_data_its_code_its_parameters_and_its_outputs(fresh: Workspace) -> None:
    stages = read_yaml(fresh.root / "dvc.yaml")["stages"]
    assert list(stages) == [stage.name for stage in STAGES]
    for stage in STAGES:
        entry = stages[stage.name]
        assert entry["cmd"] == f"exec sh tasks/stage.sh {stage.name}"
        assert {artifact.path for artifact in stage.input_artifacts()} | set(code_files(fresh.root, stage)) == set(entry["deps"])
        assert len(entry["deps"]) == len(set(entry["deps"]))
        assert entry["params"] == list(stage.sections)
        assert entry["outs"] == [artifact.path for artifact in (*stage.outputs.values(), stage.record)]


@pytest.mark.parametrize("change", ["a line more", "a stage less", "gone"])
def test_a_dvc_yaml_that_is_not_what_the_code_says_is_an_error(fresh: Workspace, change: str) -> None:
    file = fresh.root / "dvc.yaml"
    dvcfile.check(fresh.root)
    text = file.read_text(encoding="utf-8")
    file.write_text({"a line more": text + "# edited\n", "a stage less": text.partition("  report:")[0], "gone": text}[change])
    if change == "gone":
        file.unlink()
    with pytest.raises(WorkspaceError, match=r"dvc\.yaml: is not what .* say\n  hint: ascl stages write"):
        dvcfile.check(fresh.root)
    assert dvcfile.render(fresh.root) == text


def test_a_record_says_who_made_it_from_what_and_how(fresh: Workspace) -> None:
    dependencies = read_dependencies(fresh.root, VALIDATE_RULES)
    record = make_record(fresh.root, VALIDATE_RULES, dependencies, {"out": "0" * 64}, {"rules": 60}, datetime.now(UTC))
    assert record.stage == "validate_rules"
    assert record.function == VALIDATE_RULES.function
    assert record.digest == dependencies.digest
    assert record.outputs == {"out": "0" * 64}
    assert record.metrics == {"rules": 60}
    assert record.parameters["rules"]["max_rule_tokens"] == 80
    assert record.git.model_dump() == {"revision": fresh.run("git", "rev-parse", "HEAD").strip(), "dirty": False, "diff": None}
    assert record.packages["cpu.lock"] == sha256_file(REPOSITORY / "requirements/cpu.lock")
    assert record.started <= record.ended
    assert record.seconds >= 0


def test_a_record_of_edited_code_tells_one_edit_from_another_and_names_no_commit_where_there_is_none(fresh: Workspace) -> None:
    def git() -> dict[str, object]:
        record = make_record(fresh.root, VALIDATE_RULES, read_dependencies(fresh.root, VALIDATE_RULES), {}, {}, datetime.now(UTC))
        return record.git.model_dump()

    diffs = []
    for word in ("one", "two"):
        (fresh.root / "README.md").write_text(word)
        assert git()["dirty"] is True
        diffs.append(git()["diff"])
    assert len({*diffs, None}) == 3
    shutil.rmtree(fresh.root / ".git")
    assert git() == {"revision": None, "dirty": False, "diff": None}
