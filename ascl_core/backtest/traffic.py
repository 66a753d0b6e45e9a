"""Recorded requests from any table: chat logs, OpenTelemetry spans of generative AI, or a plain column of prompts.

Each row's form is recognised by its columns:

| form | recognised by |
|---|---|
| `prompt` | the column `prompt` |
| `chat` | `messages` of an OpenAI request body, in the row or in its `body` or `request` |
| `spans` | the attribute `gen_ai.input.messages` or the older `gen_ai.prompt`, in OTLP's JSON (`resourceSpans`), `attributes` or columns |

Source of the attributes: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ascl_core.artifacts import sha256_json
from ascl_core.backtest.redaction import redact
from ascl_core.data.row import Row, as_label, is_list
from ascl_core.data.tables import read_table
from ascl_core.errors import DataError
from ascl_core.text import encodable

_YES = frozenset({"true", "1", "yes"})
_NEW, _OLD = "gen_ai.input.messages", "gen_ai.prompt"
_NAME = re.compile(r"[A-Za-z_][\w.-]{0,59}")
"""A name of a column that is shown; in a table without a header the first request stands there."""
_TEXT_PARTS = ("text", "input_text")
_FORMS = "a column prompt, messages of a chat request, or spans with gen_ai.input.messages or gen_ai.prompt"
_FIX = "fix or drop the row"
_CONSENT = "mark rows with consented: true, name another column with --consented-by, or state that all authors agreed with --all-consented"


@dataclass(frozen=True)
class Request:
    """The last user turn of one or more recorded requests that are the same."""

    id: str
    """First 16 hex digits of SHA-256 of prompt and jurisdiction."""
    prompt: str
    """Without personal data."""
    jurisdiction: str
    number: int
    """How often it was recorded."""


@dataclass(frozen=True)
class Traffic:
    """The consented requests of a source, and what was left out."""

    requests: tuple[Request, ...]
    """In the order in which each occurs first."""
    forms: dict[str, int]
    """Consented rows or spans by form."""
    not_consented: int
    without_text: int
    """Consented rows or spans without text of a user, such as spans of other calls."""
    redacted: int
    """Requests from which personal data was removed."""


@dataclass(frozen=True)
class _Record:
    """One recorded request: where its fields are looked for, first to last."""

    form: str
    fields: tuple[Mapping[str, Any], ...]

    def field(self, name: str) -> Any:
        return next((fields[name] for fields in self.fields if fields.get(name) is not None), None)


def read_traffic(path: str, *, consented_by: str | None, jurisdiction: str, known: Collection[str]) -> Traffic:
    """Return the requests of a file, a folder or a URL; `DataError` names the file and the row that cannot be read.

    The error shows no value, as that may be what a person wrote.

    Args:
        path: A table of any kind that `ascl_core.data.tables` reads.
        consented_by: The column or attribute that marks consented rows; None takes all rows.
        jurisdiction: The jurisdiction of a request that names none in `jurisdiction`.
        known: The jurisdictions that a request may name.
    """
    try:
        return _read(path, consented_by, jurisdiction, known)
    except DataError as error:
        error.value = None
        raise


def _read(path: str, consented_by: str | None, jurisdiction: str, known: Collection[str]) -> Traffic:
    counts: Counter[str] = Counter()
    forms: Counter[str] = Counter()
    numbers: Counter[tuple[str, str]] = Counter()
    for row in read_table(path, "traffic", (), "name a table of recorded requests"):
        for record in _records(row):
            marked = None if consented_by is None else record.field(consented_by)
            counts["marked"] += marked is not None
            if consented_by is not None and as_label(marked) not in _YES:
                counts["not_consented"] += 1
                continue
            text = _last_user_text(record, row)
            if text is None:
                counts["without_text"] += 1
                continue
            forms[record.form] += 1
            prompt = redact(text)
            counts["redacted"] += prompt != text
            numbers[prompt, _jurisdiction(record, row, jurisdiction, known)] += 1
    if not numbers:
        raise _nothing(path, counts, consented_by)
    requests = tuple(Request(sha256_json(list(key))[:16], *key, number) for key, number in numbers.items())
    return Traffic(requests, dict(forms), counts["not_consented"], counts["without_text"], counts["redacted"])


def _nothing(path: str, counts: Counter[str], consented_by: str | None) -> DataError:
    if counts["not_consented"] and not counts["marked"]:
        return DataError("no row says whether its author agreed to its use", file=path, field=consented_by, hint=_CONSENT)
    if not counts["without_text"]:
        return DataError(f"none of {counts['not_consented']} rows is marked as consented", file=path, field=consented_by, hint=_CONSENT)
    return DataError("no consented row has the text of a user", file=path, hint=f"give {_FORMS}")


def _records(row: Row) -> Iterator[_Record]:
    """Yield what a row records: one request, or with `resourceSpans` the spans of an export."""
    values = row.values
    metadata = [value for value in (values.get("metadata"),) if isinstance(value, dict)]
    body = next((body for body in (values, values.get("body"), values.get("request")) if _has_messages(body)), None)
    if values.get("resourceSpans") is not None:
        for span in _exported(row):
            yield _span(span, row)
    elif body is not None:
        more = [value for value in (body.get("metadata"),) if isinstance(value, dict)]
        yield _Record("chat", (body, values, *metadata, *more))
    elif values.get("prompt") is not None:
        yield _Record("prompt", (values, *metadata))
    elif values.get("attributes") is not None:
        yield _span(values, row)
    elif any(_is_attribute(name) and value is not None for name, value in values.items()):
        yield _Record("spans", ({name.removeprefix("attributes."): value for name, value in values.items()},))
    elif "query_chars" in values:
        problem = "is the access log of look-ups, which has the length of a query and no text"
        raise row.error(problem, hint=f"give the requests that your gateway or tracing recorded: {_FORMS}")
    elif values.keys() & {"prompt", "messages"}:
        yield _Record("prompt", (values, *metadata))
    else:
        named = [name for name in values if _NAME.fullmatch(name)]
        raise row.error(f"has no request: its columns are {', '.join(named) or 'without names'}", hint=f"give {_FORMS}")


def _has_messages(body: Any) -> bool:
    return isinstance(body, dict) and body.get("messages") is not None


def _is_attribute(name: str) -> bool:
    return name.removeprefix("attributes.").startswith((_NEW, _OLD))


def _exported(row: Row) -> Iterator[Mapping[str, Any]]:
    """Yield the spans of a line that an OTLP exporter wrote."""
    for resource in _objects(row.values["resourceSpans"], row, "resourceSpans"):
        for scope in _objects(resource.get("scopeSpans") or (), row, "scopeSpans"):
            yield from _objects(scope.get("spans") or (), row, "spans")


def _span(span: Mapping[str, Any], row: Row) -> _Record:
    """Return a span as a record: its attributes, then those of its events, then its own fields."""
    events = [_attributes(event.get("attributes"), row) for event in _objects(span.get("events") or (), row, "events")]
    return _Record("spans", (_attributes(span.get("attributes"), row), *events, span))


def _attributes(values: Any, row: Row) -> Mapping[str, Any]:
    """Return attributes by name, from a mapping or from OTLP's list of keys and typed values."""
    if values is None or isinstance(values, dict):
        return values or {}
    return {str(one.get("key")): _plain(one.get("value")) for one in _objects(values, row, "attributes")}


def _plain(value: Any) -> Any:
    """Return the value of OTLP's `AnyValue`, such as `{"stringValue": "…"}`."""
    if not isinstance(value, dict) or len(value) != 1:
        return value
    [(kind, inner)] = value.items()
    listed = inner.get("values", ()) if isinstance(inner, dict) else ()
    if kind == "arrayValue":
        return [_plain(one) for one in listed]
    if kind == "kvlistValue":
        return {one["key"]: _plain(one.get("value")) for one in listed if isinstance(one, dict) and "key" in one}
    return inner


def _last_user_text(record: _Record, row: Row) -> str | None:
    """Return the text of the last message of the user, in valid Unicode; None if there is none."""
    if record.form == "prompt":
        text = row.text("prompt") if "prompt" in row.values else None
    elif record.form == "chat":
        text = _of_messages(_parsed(record.field("messages"), row, "messages"), row)
    elif (messages := record.field(_NEW)) is not None:
        text = _of_messages(_parsed(messages, row, _NEW), row)
    else:
        text = _of_older_span(record, row)
    return encodable(text.strip()) if text and text.strip() else None


def _of_older_span(record: _Record, row: Row) -> str | None:
    """Return the text in `gen_ai.prompt`: a plain text, messages as JSON, or attributes `gen_ai.prompt.0.content` and so on."""
    value = record.field(_OLD)
    if value is not None:
        messages = _messages_in(value)
        return str(value) if messages is None else _of_messages(messages, row)
    numbered: dict[int, dict[str, Any]] = {}
    for name, cell in record.fields[0].items():
        number, _, key = name.removeprefix(f"{_OLD}.").partition(".")
        if name.startswith(f"{_OLD}.") and number.isdecimal() and cell is not None:
            numbered.setdefault(int(number), {})[key] = cell
    return _of_messages([numbered[number] for number in sorted(numbered)], row)


def _messages_in(value: Any) -> Any:
    """Return the messages that `gen_ai.prompt` holds, as JSON or as they are; None if it is the text itself, which may be JSON, too."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if isinstance(value, dict):
        value = value.get("messages", [value])
    is_messages = is_list(value) and len(value) and all(isinstance(item, dict) and "role" in item for item in value)
    return value if is_messages else None


def _of_messages(messages: Any, row: Row) -> str | None:
    users = [message for message in _objects(messages, row, "messages") if message.get("role") == "user"]
    if not users:
        return None
    last = users[-1]
    content = last.get("content") if last.get("content") is not None else last.get("parts")
    if content is None or isinstance(content, str):
        return content
    parts = [part for part in _objects(content, row, "content") if part.get("type") in _TEXT_PARTS]
    texts = [part["text"] if part.get("text") is not None else part.get("content") for part in parts]
    return "\n".join(text for text in texts if isinstance(text, str)) or None


def _parsed(value: Any, row: Row, name: str) -> Any:
    """Return a value that may be JSON in a text, as exporters write structured attributes."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise row.error(f"not valid JSON: {getattr(error, 'msg', type(error).__name__)}", column=name, hint=_FIX) from None


def _objects(value: Any, row: Row, name: str) -> list[Mapping[str, Any]]:
    """Return the items of a list of objects; `DataError` if it is anything else."""
    if not is_list(value) or not all(isinstance(item, dict) for item in value):
        raise row.error(f"expected a list of objects, not {type(value).__name__}", column=name, hint=_FIX)
    return list(value)


def _jurisdiction(record: _Record, row: Row, default: str, known: Collection[str]) -> str:
    named = str(record.field("jurisdiction") or default)
    if named not in known:
        problem = f"{named[:20]!r} is no jurisdiction of both sets of rules"
        raise row.error(problem, column="jurisdiction", hint=f"one of {', '.join(known)}")
    return named
