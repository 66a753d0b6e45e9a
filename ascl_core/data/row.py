"""One row of a public data set: its cells as text or as labels, and errors that name the file and the row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ascl_core.errors import DataError


@dataclass(frozen=True)
class Row:
    """The cells of a row, its number from 1, and its file."""

    values: dict[str, Any]
    number: int
    file: str | None

    def cell(self, column: str) -> Any:
        """Return the value of a column, or at a path into its cells, such as `choices.text` or `conversation.0.content`."""
        if column in self.values:
            return self.values[column]
        name, *parts = column.split(".")
        value: Any = self.values.get(name)
        for part in parts:
            if isinstance(value, dict) and part in value:
                value = value[part]
            elif is_list(value) and part.isdigit() and int(part) < len(value):
                value = value[int(part)]
            else:
                raise self.error(f"has no part {part!r}", column=column, value=value, hint="fix or drop the row")
        return value

    def text(self, column: str) -> str | None:
        """Return the value as text; None if it is None, NaN or empty."""
        return as_text(self.cell(column))

    def label(self, column: str) -> str:
        """Return the value as a label, in lower case and stripped; '' if it is None, NaN or empty."""
        return as_label(self.cell(column))

    def items(self, column: str) -> list[Any]:
        """Return the items of a cell that holds a list; an error if it does not."""
        value = self.cell(column)
        if not is_list(value):
            raise self.error("expected a list", column=column, value=value, hint="fix or drop the row")
        return list(value)

    def error(self, problem: str, *, column: str | None = None, value: object = None, hint: str) -> DataError:
        """Return an error about this row, to be raised."""
        where = f"row {self.number}" + (f", {column}" if column else "")
        return DataError(problem, file=self.file, field=where, value=value, hint=hint)


def column_of(path: str) -> str:
    """Return the column that a path begins with.

    >>> column_of("conversation.0.content")
    'conversation'
    """
    return path.split(".")[0]


def is_list(value: Any) -> bool:
    """Return whether a cell holds a list or an array."""
    return hasattr(value, "__iter__") and not isinstance(value, str | bytes | dict)


def as_text(value: Any) -> str | None:
    """Return a cell as text; None if it is None, NaN, empty or a list.

    >>> as_text(float("nan")) is None and as_text("") is None
    True
    """
    if value is None or is_list(value):
        return None
    return None if value != value or value == "" else str(value)


def as_label(value: Any) -> str:
    """Return a cell as a label in lower case: whole numbers without decimals, and '' for None, NaN and empty cells.

    >>> [as_label(value) for value in (True, "Safe ", 1.0, None, float("nan"))]
    ['true', 'safe', '1', '', '']
    """
    whole = isinstance(value, float) and value.is_integer()
    return (as_text(int(value) if whole else value) or "").strip().lower()
