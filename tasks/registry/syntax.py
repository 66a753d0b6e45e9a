"""What a Python file means, apart from how it is written: its syntax tree without comments, docstrings, layout and the order of imports."""

from __future__ import annotations

import ast
import functools
import threading
from collections.abc import Iterator
from itertools import groupby

from ascl_core.artifacts import sha256_bytes
from ascl_core.errors import ConfigError

_SILENT = frozenset({"kind", "type_comment", "type_ignores"})
"""Fields of nodes without a meaning: the prefix of `u"…"`, and comments about types."""
_IMPORTS = (ast.Import, ast.ImportFrom)
_PARSING = threading.Lock()
"""Python 3.11.7 and older count the depth of trees for all threads together, and fail if two make one at the same time (gh-106905)."""


def code_digest(path: str, content: bytes) -> str:
    """Return the SHA-256 of what a file of code means: of Python its syntax tree, of any other file its bytes.

    Two versions of a file with the same digest differ at most in comments, docstrings, formatting and the order of imports. The digest is
    the same under each version of Python that the project supports. `ConfigError` names the line of a syntax error.
    """
    return sha256_bytes(content) if not path.endswith(".py") else _python_digest(path, content)


@functools.lru_cache(maxsize=4096)  # one file is code of many stages
def _python_digest(path: str, content: bytes) -> str:
    try:
        with _PARSING:
            tree = ast.parse(content)
    except (SyntaxError, ValueError) as error:
        raise ConfigError(f"cannot be parsed: {error}", file=path, hint="correct the syntax") from None
    return sha256_bytes(_dump(tree).encode(errors="surrogatepass"))


def _dump(value: object) -> str:
    """Return a text of a node, like `ast.dump`, without positions, empty fields and what has no effect.

    `ast.dump` differs between versions: 3.12 adds `type_params` to every function and class, and 3.13 omits empty lists.
    """
    if isinstance(value, list):
        return f"[{','.join(map(_dump, _statements(value) if value and isinstance(value[0], ast.stmt) else value))}]"
    if not isinstance(value, ast.AST):
        return f"{type(value).__name__}:{value!r}"
    fields = [(name, field) for name, field in ast.iter_fields(value) if name not in _SILENT and field is not None and field != []]
    if isinstance(value, ast.JoinedStr):
        fields = [("values", _joined(value))]
    return f"{type(value).__name__}({','.join(f'{name}={_dump(field)}' for name, field in fields)})"


def _statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return the statements of a block: no texts that stand alone, such as docstrings, and each run of imports name by name, sorted."""
    effective = [one for one in body if not _is_text(one)] or [ast.Pass()]
    found: list[ast.stmt] = []
    for is_import, run in groupby(effective, key=lambda one: isinstance(one, _IMPORTS)):
        statements = list(run)
        found += sorted((single for one in statements for single in _single_imports(one)), key=_dump) if is_import else statements
    return found


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and isinstance(statement.value.value, str)


def _single_imports(statement: ast.stmt) -> Iterator[ast.stmt]:
    if isinstance(statement, ast.Import):
        yield from (ast.Import(names=[alias]) for alias in statement.names)
    elif isinstance(statement, ast.ImportFrom):
        yield from (ast.ImportFrom(module=statement.module, names=[alias], level=statement.level) for alias in statement.names)


def _joined(text: ast.JoinedStr) -> list[ast.expr]:
    """Return the parts of an f-string, adjacent texts as one and none that is empty: versions of Python cut them differently."""
    found: list[ast.expr] = []
    for part in text.values:
        before = found[-1] if found else None
        if isinstance(part, ast.Constant) and isinstance(before, ast.Constant):
            found[-1] = ast.Constant(before.value + part.value)  # type: ignore[operator]
        elif not (isinstance(part, ast.Constant) and part.value == ""):
            found.append(part)
    return found
