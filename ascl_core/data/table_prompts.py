"""Prompts from a table of people's own: a prompt and its type, and what else is known of it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ascl_core.config.own_prompts import COLUMNS, SEEDS
from ascl_core.config.sources import OWN, ROWS, SourceConfig
from ascl_core.data.gold import checked_kind
from ascl_core.data.raw_prompt import RawPrompt, clean
from ascl_core.data.row import Row, column_at, is_list
from ascl_core.data.table_files import tables_in
from ascl_core.data.tables import read_columns, read_rows
from ascl_core.errors import DataError, nearest
from ascl_core.rules.corpus import Corpus, nearest_rule
from ascl_core.vocabulary import PromptType

_LICENCE = "LicenseRef-own"
_MESSAGES = re.compile(
    r"""\s*[\[{].*(["'])(?:(?:role|content)\1\s*:.*\1(?:role|content)|(?:from|value)\1\s*:.*\1(?:from|value))\1\s*:.*[\]}]\s*""", re.S
)
_NO_PROMPTS = "put a table with the columns prompt and prompt_type there, such as prompts.csv (docs/prompts.md)"


def own_tables(folder: Path, corpus: Corpus) -> Iterator[RawPrompt]:
    """Yield the prompts of every table in the folder, by file name; `DataError` names file, row or column, and how to fix it."""
    for path in tables_in(folder, SEEDS):
        source = table_source(path)
        columns = read_columns(source)
        for column in columns:
            if column not in COLUMNS:
                raise DataError("unknown column", file=path, field=column, hint=f"{nearest(column, COLUMNS)}; or drop it")
        source = source.model_copy(update={"answer_column": "answer" if "answer" in columns else None})
        yield from table_prompts(source, corpus, needs_answers=True)


def table_source(path: Path) -> SourceConfig:
    """Return the source that a table of own prompts is."""
    return SourceConfig(name=OWN, format=ROWS, path=str(path), licence=_LICENCE)


def no_own_prompts(folder: Path) -> DataError:
    """Return the error for a folder without own prompts."""
    return DataError("holds no prompts", file=folder, hint=_NO_PROMPTS)


def table_prompts(source: SourceConfig, corpus: Corpus, *, needs_answers: bool = False) -> Iterator[RawPrompt]:
    """Yield the prompts of a table; columns that `COLUMNS` does not know are ignored.

    With `needs_answers` a utility prompt without an answer is an error, because nothing could verify a response to it. Otherwise it is read
    as it is, and the stage `validate_data` stops at it.
    """
    rules = {rule.id: rule for rule in corpus.rules}
    needed: list[tuple[str, ...]] = [column_at(path) for path in (source.prompt_column, source.answer_column) if path]
    if source.prompt_type is None:
        needed.append(("prompt_type", "rule_id"))
    for row in read_rows(source, needed):
        prompt = _asked(row, source.prompt_column)
        if prompt is None or not clean(prompt):
            raise row.error("prompt is empty", hint="fill it in or drop the row")
        rule_id = _known(row, "rule_id", rules, "no such rule", "an id of data/rules, or nothing")
        kind = row.text("prompt_type") or source.prompt_type or (rules[rule_id].policy.prompt_type if rule_id else None)
        if kind not in set(PromptType):
            raise row.error("no prompt type", column="prompt_type", value=kind, hint=_types(kind))
        answer = row.text(source.answer_column) if source.answer_column else None
        if needs_answers and kind == PromptType.UTILITY and answer is None:
            hint = "put it there, or drop the row" if source.answer_column else "add the column, or drop the row"
            raise row.error("gold answer is missing", column=source.answer_column or "answer", hint=hint)
        answer_kind, choices = row.text("answer_kind"), row.text("choices")
        yield RawPrompt(
            prompt=prompt,
            prompt_type=PromptType(kind),
            source=source.name,
            licence=row.text("licence") or source.licence,
            category=_known(row, "category", corpus.categories, "no such category", "a category of taxonomy.yaml, or nothing"),
            rule_id=rule_id,
            answer=answer,
            answer_kind=checked_kind(row, answer, answer_kind, choices, source.answer_column) if answer else None,
            choices=choices,
        )


def _known(row: Row, column: str, known: Collection[str], problem: str, otherwise: str) -> str | None:
    """Return the cell; an error if it is filled in and names nothing that is known."""
    if (value := row.text(column)) is None or value in known:
        return value
    hint = nearest_rule(value, known, otherwise) if column == "rule_id" else nearest(value.upper(), known, otherwise)
    raise row.error(problem, column=column, value=value, hint=hint)


def _types(kind: object) -> str:
    return nearest(str(kind).lower(), list(map(str, PromptType))) if kind else f"one of {', '.join(PromptType)}"


def _asked(row: Row, column: str) -> str | None:
    """Return the prompt of a row; of a list of messages, the last one of the user."""
    value = row.cell(column)
    if isinstance(value, str | bytes) and (text := row.text(column)) and _MESSAGES.fullmatch(text):
        value = _parsed_messages(row, column, text)
        row = dataclasses.replace(row, values={**row.values, column: value})
    if not is_list(value) or not all(isinstance(message, dict) and "role" in message for message in value):
        return row.text(column)
    asked = [number for number, message in enumerate(value) if message["role"] == "user"]
    if not asked:
        raise row.error("no message of a user", column=column, value=value, hint="fill it in or drop the row")
    content = f"{column}.{asked[-1]}.content"
    row = dataclasses.replace(row, values={content: value[asked[-1]].get("content")})
    parts = row.cell(content)
    if is_list(parts) and all(isinstance(part, dict) and part.get("type") == "text" for part in parts):
        return "\n".join(str(part.get("text") or "") for part in parts) or None
    return row.text(content)


def _parsed_messages(row: Row, column: str, text: str) -> Any:
    """Return the messages in a cell that holds them as JSON; the text if it is other JSON, an error if they cannot be read."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        value = value.get("messages", [value])
    if isinstance(value, list) and value and all(isinstance(message, dict) for message in value):
        if all("role" in message for message in value) and any("content" in message for message in value):
            return value
        if not any(message.get("from") in ("human", "user", "gpt", "assistant", "system") for message in value):
            return text
    raise row.error("messages that cannot be read", column=column, value=text, hint="give a JSON list of objects with role and content")
