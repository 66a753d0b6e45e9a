"""One row of a public data set: its cells as text or as labels, and errors that name the file and the row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from ascl_core.errors import DataError


@dataclass(frozen=True)
class Unreadable:
    """A cell whose value Python cannot hold, such as a time in an unknown zone: an error only if it is used."""

    problem: str

    def __str__(self) -> str:
        return self.problem


@dataclass(frozen=True)
class Row:
    """The cells of a row, its number from 1, and its file."""

    values: dict[str, Any]
    number: int
    file: str | None

    def cell(self, column: str) -> Any:
        """Return the value of a column, or at a path into its cells, such as `choices.text` or `conversation.0.content`."""
        name, *parts = [column] if column in self.values else column.split(".")
        value: Any = self.values.get(name)
        if isinstance(value, Unreadable):
            raise self.error("cannot be read", column=column, value=value, hint="correct it, or drop the row or the column")
        for part in parts:
            if isinstance(value, dict) and part in value:
                value = value[part]
            elif is_list(value) and part.isdigit() and int(part) < len(value):
                value = value[int(part)]
            else:
                raise self.error(f"has no part {part!r}", column=column, value=value, hint="fix or drop the row")
        return value

    def text(self, column: str) -> str | None:
        """Return the value as text; None if it is None, NaN or empty, an error if it is a list, a struct or no text."""
        value = self.cell(column)
        if isinstance(value, dict):
            hint = f"name a part of it, such as {column}.{next(iter(value), 'text')}"
            raise self.error("expected text, not a struct", column=column, value=value, hint=hint)
        if is_list(value):
            raise self.error("expected text, not a list", column=column, value=value, hint=f"name an item of it, such as {column}.0")
        try:
            text = as_text(value)
            if text is not None:
                text.encode()
        except UnicodeError as error:
            hint = "write the text as UTF-8, without half characters"
            raise self.error("is no text", column=column, value=value, hint=hint) from error
        return text

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


def column_at(path: str) -> tuple[str, ...]:
    """Return the columns of which one must exist so that there can be a cell at a path: one of its whole name, or the one it begins with.

    >>> column_at("prompt"), column_at("prompt.text")
    (('prompt',), ('prompt.text', 'prompt'))
    """
    return tuple(dict.fromkeys((path, column_of(path))))


def is_list(value: Any) -> bool:
    """Return whether a cell holds a list or an array."""
    return hasattr(value, "__iter__") and not isinstance(value, str | bytes | dict)


def as_text(value: Any) -> str | None:
    """Return a cell as text, a time of midnight in no zone as its date; None if it is None, NaN, empty or a list.

    >>> as_text(float("nan")) is None and as_text("") is None, as_text("Où".encode())
    (True, 'Où')
    """
    if value is None or is_list(value):
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8")
    if isinstance(value, datetime) and value.time() == time() and value.tzinfo is None:
        value = value.date()
    return None if value != value or value == "" else str(value)


def as_label(value: Any) -> str:
    """Return a cell as a label in lower case: whole numbers without decimals, and '' for None, NaN and empty cells.

    >>> [as_label(value) for value in (True, "Safe ", 1.0, None, float("nan"))]
    ['true', 'safe', '1', '', '']
    """
    whole = isinstance(value, float) and value.is_integer()
    return (as_text(int(value) if whole else value) or "").strip().lower()
