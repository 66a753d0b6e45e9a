"""The digest of a file of code counts what it means and not how it is written."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from ascl_core.errors import ConfigError
from tasks.registry.syntax import code_digest

ROOT = Path(__file__).parents[2]
CODE = '''"""A module."""

from __future__ import annotations

import json
from pathlib import Path

LIMIT = 3


class Problem(Exception):
    """A problem."""


def read(path: Path, limit: int = LIMIT) -> str:
    """Return the text."""
    return f"{json.loads(path.read_text())} of {limit}"
'''


def same(changed: str, code: str = CODE) -> bool:
    assert changed != code
    return code_digest("a.py", changed.encode()) == code_digest("a.py", code.encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "# a limit\nLIMIT = 3  # of three"),
        ('"""A module."""', '"""Another text."""'),
        ('"""Return the text."""', ""),
        ('    """A problem."""', "    pass"),
        ("LIMIT = 3\n", 'LIMIT = 3\n"""A limit."""\n'),
        ("import json\nfrom pathlib import Path", "from pathlib import Path\nimport json"),
        ("path: Path, limit: int = LIMIT", "\n    path: Path,\n    limit: int = LIMIT,\n"),
        ('f"{json.loads(path.read_text())} of {limit}"', """(f'{json.loads(path.read_text())} ' f'of {limit}')"""),
        ("LIMIT = 3", "LIMIT = 0x3"),
    ],
)
def test_comments_docstrings_layout_and_the_order_of_imports_do_not_count(old: str, new: str) -> None:
    assert same(CODE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("LIMIT = 3", "LIMIT = 3.0"),
        ("LIMIT = 3", "LIMIT = '3'"),
        ("import json", "import json as j"),
        ("import json", "import json, os"),
        (" of {limit}", " of  {limit}"),
        ("{limit}", "{limit!r}"),
        ("limit: int = LIMIT", "limit: int = 3"),
        ("limit: int", "limit: float"),
        ("class Problem(Exception)", "class Problem(ValueError)"),
        ("    return", "    limit += 1\n    return"),
    ],
)
def test_everything_else_counts(old: str, new: str) -> None:
    assert not same(CODE.replace(old, new))


def test_an_import_does_not_move_across_a_statement() -> None:
    assert not same("x = 1\nimport a\n", "import a\nx = 1\n")


def test_of_a_file_that_is_not_python_every_byte_counts() -> None:
    assert code_digest("a.yaml", b"a: 1\n") != code_digest("a.yaml", b"a: 1 # one\n")


def test_a_file_that_cannot_be_parsed_is_an_error_that_names_the_line() -> None:
    with pytest.raises(ConfigError, match=r"a\.py.*line 2") as found:
        code_digest("a.py", b"x = 1\ndef f(:\n")
    assert found.value.hint


def test_the_digest_does_not_depend_on_the_version_of_python() -> None:
    # computed with 3.11.7, and the same with 3.12.1, where every function has type_params
    assert code_digest("a.py", CODE.encode()) == DIGEST


DIGEST = "eb3482ea192bf4228e2e9efc67137de84a39020cd4172c37f72adffcb5101277"


def test_no_stage_reads_a_docstring() -> None:
    """A docstring may change without a stage running again only because no stage's code reads one."""
    reads = {"__doc__", "getdoc", "cleandoc", "get_json_schema"}
    found = {}
    for file in (ROOT / "ascl_core").rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        stored = {id(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and id(node) not in stored}
        names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        if names & reads:
            found[str(file.relative_to(ROOT))] = names & reads
    of_the_reference = {"ascl_core/config/reference.py", "ascl_core/config/reward.py"}  # for docs/configuration.md alone
    assert set(found) <= of_the_reference, found
