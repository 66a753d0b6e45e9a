"""How the command line prints tables: the same rows for a wide terminal, a narrow one, and a file or pipe.

A table that fits has one line for each row; so has one that goes to a file or pipe, so that `grep` finds whole rows. On a narrower
terminal long cells are wrapped. If that would leave them too little room, each row becomes a block, with a line for each cell. No word is
ever broken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.cells import cell_len
from rich.text import Text

GAP = "  "
_LEAST = 24
"""The fewest characters to which a column is narrowed; below that, text is hard to read."""
_NUMBER = re.compile(r"([\d.]+( s|\u202f%)?)?")
COLOURS = {
    "ok": "green",
    "warning": "yellow",
    "error": "red",
    "ran": "cyan",
    "reused": "green",
    "restored": "blue",
    "re-recorded": "green",
    "run": "cyan",
    "reuse": "green",
    "re-record": "green",
}
Cells = Sequence[str]


def table_lines(columns: Cells, rows: Sequence[Cells], width: int | None) -> Iterator[Text]:
    """Yield the lines of a table at most `width` columns wide, or as wide as it is without one; numbers are aligned right."""
    if width is None:
        rows = [[" ".join(cell.split()) for cell in row] for row in rows]
    natural = [max(map(_width, (name, *(row[index] for row in rows)))) for index, name in enumerate(columns)]
    least = [natural[0], *(min(most, max(_LEAST, _longest_word(rows, index))) for index, most in enumerate(natural[1:], start=1))]
    gaps = len(GAP) * (len(columns) - 1)
    if width is None or sum(natural) + gaps <= width:
        yield from _table(columns, rows, natural)
    elif sum(least) + gaps <= width:
        yield from _table(columns, rows, _widened(least, natural, width - gaps))
    else:
        yield from _blocks(columns, rows, width)


def _widened(least: Sequence[int], natural: Sequence[int], total: int) -> list[int]:
    """Return widths that add up to `total`: what the narrowest columns do not need goes to the wider ones."""
    widths, wanted = list(least), [most - width for most, width in zip(natural, least, strict=True)]
    for done, index in enumerate(sorted(range(len(widths)), key=wanted.__getitem__)):
        widths[index] += min(wanted[index], (total - sum(widths)) // (len(widths) - done))
    return widths


def _table(columns: Cells, rows: Sequence[Cells], widths: Sequence[int]) -> Iterator[Text]:
    numeric = [bool(rows) and all(_NUMBER.fullmatch(row[index]) for row in rows) for index in range(len(columns))]
    for number, row in enumerate((columns, *rows)):
        pieces = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
        for line in zip_longest(*pieces, fillvalue=""):
            text = Text()
            for cell, width, is_number in zip(line, widths, numeric, strict=True):
                before, after = (width - cell_len(cell), 0) if is_number else (0, width - cell_len(cell))
                style = "bold" if number == 0 else COLOURS.get(cell, "")
                text.append(" " * before).append(cell, style).append(" " * after + GAP)
            text.rstrip()
            yield text


def _blocks(columns: Cells, rows: Sequence[Cells], width: int) -> Iterator[Text]:
    label = max(map(cell_len, columns[1:]))
    for row in rows:
        yield Text(row[0], "bold")
        for name, cell in zip(columns[1:], row[1:], strict=True):
            for number, line in enumerate(_wrapped(cell, width - label - 2 * len(GAP)) if cell else ()):
                yield Text.assemble(GAP, ((name if number == 0 else "").ljust(label), "dim"), GAP, (line, COLOURS.get(cell, "")))


def _wrapped(cell: str, width: int) -> list[str]:
    """Return the lines of a cell, as wide as that allows without breaking a word."""
    lines: list[str] = []
    for line in cell.splitlines():
        start, *others = line.split() if cell_len(line) > width else [line]
        lines.append(start)
        for word in others:
            if cell_len(f"{lines[-1]} {word}") <= width:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
    return lines or [""]


def _width(cell: str) -> int:
    return max(map(cell_len, cell.splitlines()), default=0)


def _longest_word(rows: Sequence[Cells], index: int) -> int:
    return max((cell_len(word) for row in rows for word in row[index].split()), default=0)
