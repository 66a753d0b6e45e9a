"""One row of a public data set: its cells by column, as text or as labels, and errors that name the file and the row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ascl_core.errors import DataError


@dataclass(frozen=True)
class Row:
    """The cells of a row, its number from 1, and the source that it is from."""

    values: dict[str, Any]
    number: int
    file: str | None

    def cell(self, column: str) -> Any:
        """The value at a column, or at a path into its cells, such as `choices.text` or `conversation.0.content`."""
        if column in self.values:
            return self.values[column]
        name, *parts = column.split(".")
        value = self.values.get(name)
        for part in parts:
            value = self._part(value, part, column)
        return value

    def text(self, column: str) -> str | None:
        """The value as text; None where there is nothing (None, NaN, an empty cell)."""
        return as_text(self.cell(column))

    def label(self, column: str) -> str:
        """The value as a label: in lower case, without white space around it; '' where there is nothing."""
        return as_label(self.cell(column))

    def items(self, column: str) -> list[Any]:
        """The items of a list's cell; an error where it is none."""
        value = self.cell(column)
        if not is_list(value):
            raise self.error("expected a list", column=column, value=value, hint="hint or drop the row")
        return list(value)

    def error(self, problem: str, *, column: str | None = None, value: object = None, hint: str) -> DataError:
        """A problem of this row, to be raised."""
        where = f"row {self.number}" + (f", {column}" if column else "")
        return DataError(problem, file=self.file, field=where, value=value, hint=hint)

    def _part(self, value: Any, part: str, column: str) -> Any:
        if isinstance(value, dict) and part in value:
            return value[part]
        if is_list(value) and part.isdigit() and int(part) < len(value):
            return value[int(part)]
        raise self.error(f"has no part {part!r}", column=column, value=value, hint="hint or drop the row")


def column_of(path: str) -> str:
    """The column that a path begins with.

    >>> column_of("conversation.0.content")
    'conversation'
    """
    return path.split(".")[0]


def is_list(value: Any) -> bool:
    """Whether a cell holds a list, as Python or as numpy has it."""
    return hasattr(value, "__iter__") and not isinstance(value, str | bytes | dict)


def as_text(value: Any) -> str | None:
    """A cell as text; None where there is nothing (None, NaN, an empty cell).

    >>> as_text(float("nan")) is None and as_text("") is None
    True
    """
    if value is None or is_list(value):
        return None
    return None if value != value or value == "" else str(value)


def as_label(value: Any) -> str:
    """A cell as a label in lower case; a whole number has no decimals, and '' stands for nothing.

    >>> [as_label(value) for value in (True, "Safe ", 1.0, None, float("nan"))]
    ['true', 'safe', '1', '', '']
    """
    whole = isinstance(value, float) and value.is_integer()
    return (as_text(int(value) if whole else value) or "").strip().lower()
