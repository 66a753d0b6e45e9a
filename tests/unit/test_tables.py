"""Tables of the command line can be read on a wide terminal, on a narrow one, and in a file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

import flows.cli
from flows.cli.tables import table_lines

COLUMNS = ("stage", "would", "why", "last time")
ROWS = (
    ("evaluate_sft_context_distillation", "run", "; ".join(["data/compiled/corpus.json would change"] * 4), "60.4 s"),
    ("gate", "reuse", "nothing that it depends on changed", "2.5 s"),
)
_WORDS = st.lists(st.text("abc一", min_size=1, max_size=30), max_size=12).map(" ".join)


def lines(width: int | None, columns: tuple[str, ...] = COLUMNS, rows: tuple[tuple[str, ...], ...] = ROWS) -> list[str]:
    """The lines as they look."""
    return [line.plain for line in table_lines(columns, rows, width)]


def test_in_a_file_each_row_is_one_line_without_spaces_at_its_end() -> None:
    found = lines(None)
    assert len(found) == 1 + len(ROWS)
    assert all(cell.strip() in line for row, line in zip(ROWS, found[1:], strict=True) for cell in row)
    assert all(line == line.rstrip() for line in found)
    assert found == lines(400)


def test_a_narrow_terminal_wraps_long_cells_and_a_narrower_one_has_a_block_for_each_row() -> None:
    wrapped = lines(110)
    assert wrapped[0].split() == ["stage", "would", "why", "last", "time"]
    assert len(wrapped) > 1 + len(ROWS)
    blocks = lines(60)
    assert blocks[0] == ROWS[0][0]
    assert blocks[1].split() == ["would", "run"]
    assert "gate" in blocks


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 140])
@given(rows=st.lists(st.tuples(st.text("abc", min_size=1, max_size=8), _WORDS, _WORDS), max_size=4))
def test_no_word_is_lost_or_broken_and_no_line_is_wider_than_it_must_be(width: int, rows: list[tuple[str, ...]]) -> None:
    found = lines(width, ("id", "text", "more"), tuple(rows))
    words = [word for row in rows for cell in row for word in cell.split()]
    assert not set(words) - set(" ".join(found).split())
    longest = max(map(cell_len, words), default=0)
    assert all(cell_len(line) <= max(width, longest + len("text") + 4) for line in found)


def test_every_command_prints_tables_in_this_way() -> None:
    for file in Path(flows.cli.__file__).parent.rglob("*.py"):
        imported = {node.module for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)}
        assert "rich.table" not in imported, f"{file}: print_table prints tables"


def test_known_words_are_coloured_and_numbers_are_aligned_right() -> None:
    [_, first, second] = table_lines(("stage", "rows"), [("ok", "7"), ("b", "1234")], None)
    assert isinstance(first, Text)
    assert [str(span.style) for span in first.spans] == ["green"]
    assert (first.plain, second.plain) == ("ok        7", "b      1234")
