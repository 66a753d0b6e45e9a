"""Prompts from a public data set in its own format, as the catalogue describes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain

from ascl_core.artifacts import sha256_json
from ascl_core.catalogue.dataset import Answer, Categories, CategoryBy, Dataset, Options, Reference, Shape, TypeBy
from ascl_core.config.sources import SourceConfig
from ascl_core.data.gold import checked_kind
from ascl_core.data.raw_prompt import RawPrompt, clean
from ascl_core.data.row import Row, as_label, as_text, column_of, is_list
from ascl_core.data.tables import read_rows
from ascl_core.vocabulary import PromptType

_LETTERS = "ABCDEFGHIJKLMNOP"
_FIELD = re.compile(r"\{(prompt|options)\}")


def shaped_prompts(source: SourceConfig, data: Dataset) -> Iterator[RawPrompt]:
    """Yield the prompts of the data set in its order, without rows of other suites; `DataError` names file, row and hint."""
    return (prompt for prompt, _ in prompts_with_categories(source, data))


def prompts_with_categories(source: SourceConfig, data: Dataset) -> Iterator[tuple[RawPrompt, tuple[str, ...]]]:
    """Yield the same prompts, each with every category that fits its labels; the first is the prompt's own."""
    shape = data.shape
    needed = [[column_of(path) for path in group] for group in _needed(shape)]
    reference = [column_of(shape.reference.column)] if shape.reference else []
    for row in read_rows(source, needed, {*chain(*needed), *reference}):
        prompt_type = _type(row, shape.type)
        if prompt_type is not None and all(row.label(column) in wanted for column, wanted in shape.where.items()):
            categories = _categories(row, shape.category)
            yield _prompt(row, prompt_type, shape, source, next(iter(categories), None)), categories


def _needed(shape: Shape) -> Iterator[Sequence[str]]:
    """Yield the columns, or paths into them, that must exist, in groups of which one is enough."""
    options = shape.options
    yield shape.prompt
    yield from ((one.column,) for one in (shape.type, shape.answer, shape.category) if isinstance(one, TypeBy | Answer | CategoryBy))
    yield from ((column,) for column in (*shape.where, *(options.columns if options else ())))
    if options and options.labels:
        yield (options.labels,)


def _type(row: Row, rule: PromptType | TypeBy) -> PromptType | None:
    if not isinstance(rule, TypeBy):
        return rule
    label = row.label(rule.column)
    if label not in rule.values:
        known = ", ".join(repr(value) if value == "" else value for value in rule.values)
        raise row.error("unknown label", column=rule.column, value=row.cell(rule.column), hint=f"one of {known}")
    return rule.values[label]


def _prompt(row: Row, prompt_type: PromptType, shape: Shape, source: SourceConfig, category: str | None) -> RawPrompt:
    asked = _asked(row, shape)
    shown, right = _choices(row, asked, shape)
    return RawPrompt(
        prompt=_filled(shape, asked, shown),
        prompt_type=prompt_type,
        source=source.name,
        licence=source.licence,
        category=category,
        answer=right or _answer(row, shape),
        answer_kind="choice" if right else shape.answer.kind if shape.answer else None,
        choices=_LETTERS[: len(shown)] if right else None,
        reference=_reference(row, shape.reference),
    )


def _asked(row: Row, shape: Shape) -> str:
    columns = [path for path in shape.prompt if column_of(path) in row.values]
    text = next((text for path in columns if (text := row.text(path)) is not None), None)
    if text is None:
        raise row.error("prompt is empty", column=columns[0], hint="fill it in or drop the row")
    return text


def _filled(shape: Shape, asked: str, shown: list[str]) -> str:
    """Fill prompt and options into the template in one pass, so that a prompt with braces stays as it is."""
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip(_LETTERS, shown, strict=False))
    template = shape.template or ("{prompt}\n{options}" if shown else "{prompt}")
    return _FIELD.sub(lambda field: {"prompt": asked, "options": listed}[field[1]], template)


def _answer(row: Row, shape: Shape) -> str | None:
    answer = shape.answer
    if answer is None:
        return None
    text = row.text(answer.column)
    if text is None:
        raise row.error("gold answer is missing", column=answer.column, hint="fill it in or drop the row")
    if answer.after is not None:
        if answer.after not in text:
            raise row.error(f"no final answer after {answer.after}", value=text[-60:], hint="fix or drop the row")
        text = text.rsplit(answer.after, 1)[1].strip()
    if answer.kind in ("number", "text"):
        checked_kind(row, text, answer.kind, None, answer.column)
    return text


def _reference(row: Row, rule: Reference | None) -> str | None:
    """Return the response of the row, cut as the shape says; None if the row has none."""
    text = row.text(rule.column) if rule else None
    if rule is None or text is None:
        return None
    text = text.rpartition(rule.after)[2] if rule.after else text
    text = text.rpartition(rule.before)[0] if rule.before else text
    return clean(re.sub(rule.without, "", text) if rule.without else text) or None


def _choices(row: Row, asked: str, shape: Shape) -> tuple[list[str], str | None]:
    """Return the options in the order shown, and the letter of the right one; no options if the prompt is no choice."""
    if shape.options is None:
        return [], None
    texts = _option_texts(row, shape.options)
    if shape.options.right_first:
        order = sorted(range(len(texts)), key=lambda i: sha256_json([asked, texts[i]]))
        return [texts[i] for i in order], _LETTERS[order.index(0)]
    assert shape.answer is not None, "checked by the catalogue"
    labels = _option_labels(row, shape.options, len(texts))
    key = row.label(shape.answer.column)
    if key not in labels:
        value = row.cell(shape.answer.column)
        raise row.error("answer is none of the options", column=shape.answer.column, value=value, hint=f"one of {', '.join(labels)}")
    return texts, _LETTERS[labels.index(key)]


def _option_texts(row: Row, options: Options) -> list[str]:
    first, *others = options.columns
    named = [(column, row.text(column)) for column in options.columns] if others else _items(row, first)
    if not 2 <= len(named) <= len(_LETTERS):
        raise row.error(f"{len(named)} options", column=first, hint=f"from 2 to {len(_LETTERS)} are expected")
    for column, text in named:
        if text is None:
            raise row.error("option is empty", column=column, hint="fill it in or drop the row")
    return [str(text) for _, text in named]


def _items(row: Row, column: str) -> list[tuple[str, str | None]]:
    """Return the items of a list with their paths; in a list an empty text is an item, too."""
    return [(f"{column}.{i}", "" if item == "" else as_text(item)) for i, item in enumerate(row.items(column))]


def _option_labels(row: Row, options: Options, count: int) -> list[str]:
    if options.labels is None:
        return list(_LETTERS[:count].lower())
    labels = [as_label(label) for label in row.items(options.labels)]
    if len(labels) != count:
        raise row.error(f"{len(labels)} labels for {count} options", column=options.labels, hint="fix or drop the row")
    return labels


def _categories(row: Row, rule: Categories | CategoryBy | None) -> tuple[str, ...]:
    if not isinstance(rule, CategoryBy):
        return rule or ()
    cell = row.cell(rule.column)
    labels = [as_label(item) for item in (cell if is_list(cell) else [cell])]
    return tuple(dict.fromkeys(chain.from_iterable(rule.values.get(label, ()) for label in labels)))
