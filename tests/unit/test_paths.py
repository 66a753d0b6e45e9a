"""The files and folders of a repository are named in one module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.registry import paths
from tasks.registry.stages import ArtifactKind, paths_of

ROOT = Path(__file__).parents[2]
NAMED = {str(value) for name, value in vars(paths).items() if name.isupper()}
ARTIFACTS = set(paths_of(*ArtifactKind))
WORDS = {name for name in NAMED if name.isalpha()}
"""Names that are also words, such as `data`: only as a part of a path they are one."""
DEFINING = [ROOT / "tasks/registry" / name for name in ("paths.py", "stages.py")]
CODE = [file for room in ("flows", "tasks") for file in (ROOT / room).rglob("*.py") if file not in DEFINING]


def spelled(source: str) -> Iterator[str]:
    """Yield each text of the code that is the path of a file or folder of the repository, or begins with one."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    joined = [(node.left, node.right) for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)]
    calls = [node.args for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Path"]
    parts = {id(part) for group in (*joined, *calls) for part in group}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in docstrings or " " in node.value:
            continue
        text = node.value
        begins = any(text.startswith(f"{name}/") for name in NAMED)
        if begins or text in ARTIFACTS | (NAMED - WORDS) or (id(node) in parts and text in WORDS):
            yield text


@pytest.mark.parametrize("file", CODE, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_other_module_spells_a_path_of_the_repository(file: Path) -> None:
    assert list(spelled(file.read_text(encoding="utf-8"))) == [], "name it in tasks/registry/paths.py, or ask tasks/registry/stages.py"


@pytest.mark.parametrize("code", ['root / "data"', 'Path(".ascl")', 'f(file="params.yaml")', 'f"requirements/{lock}"', 'x = "data/rules"'])
def test_a_path_that_is_spelled_is_found(code: str) -> None:
    assert len(list(spelled(code))) == 1


@pytest.mark.parametrize("code", ['"""In data/rules."""', 'hint = "see params.yaml and run it"', 'f(filter="data")', "root / PARAMETERS"])
def test_words_texts_and_names_are_none(code: str) -> None:
    assert not list(spelled(code))
