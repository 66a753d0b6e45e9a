"""Loading prompts from any source: this repository's seeds, the public files in their own shapes, any table.

A path is a local file or folder, an object behind a URL (`s3://bucket/key`, by s3fs), or a hub id (`hub:owner/name`, by
`datasets`). `~` and `$VARIABLES` are expanded; `$ASCL_EXTERNAL_DATA` defaults to `../shared/data`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ascl_core.artifacts import read_yaml
from ascl_core.config.sources import SourceConfig
from ascl_core.data.locations import expand, hub_id, is_url
from ascl_core.data.raw_prompt import RawPrompt, content_hash
from ascl_core.data.remote import fetch
from ascl_core.data.seeds import own_prompts
from ascl_core.errors import DataError
from ascl_core.rules.corpus import Corpus
from ascl_core.vocabulary import PromptType

if TYPE_CHECKING:
    import pandas as pd

_LETTERS = "ABCDEFGHIJKLMNOP"
_TABLE_SUFFIXES = (".jsonl", ".json", ".csv", ".parquet")


def load_source(source: SourceConfig, own: Path, corpus: Corpus) -> list[RawPrompt]:
    """Every prompt of one source, in file order, at most `max_rows` by content hash; an empty source is an error."""
    rows = own_prompts(own, corpus) if source.format == "own" else list(_FORMATS[source.format](source))
    if not rows:
        raise _empty(source.path or own, source)
    if source.max_rows is not None and len(rows) > source.max_rows:
        chosen = sorted(rows, key=lambda row: content_hash(row.prompt, "max_rows"))[: source.max_rows]
        kept = {id(row) for row in chosen}
        rows = [row for row in rows if id(row) in kept]
    return rows


def read_table(source: SourceConfig) -> pd.DataFrame:
    """The source as a table; `DataError` names the file, and the line where there is one."""
    import pandas as pd

    if source.path is None:
        raise DataError("needs a path", field=f"source {source.name}", mend="give `path`")
    path = expand(source.path)
    if (name := hub_id(path)) is not None:
        return _read_hub(source, name)
    try:
        table = pd.concat([_read_file(file) for file in _files(path)], ignore_index=True)
    except FileNotFoundError as error:
        raise DataError("file does not exist", file=path, mend="check the path, or drop the source") from error
    except (ValueError, OSError, UnicodeDecodeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot be read: {error}", file=path, mend="restore the file") from error
    if table.empty:
        raise _empty(path, source)
    return table


def _empty(file: object, source: SourceConfig) -> DataError:
    return DataError("source has no prompts", file=file, field=source.name, mend="check the file, or drop the source")


def _files(path: str) -> list[str]:
    if is_url(path):
        return [path]
    if not Path(path).exists():
        raise FileNotFoundError(path)
    if Path(path).is_dir():
        files = sorted(str(file) for file in Path(path).iterdir() if file.suffix in _TABLE_SUFFIXES)
        if not files:
            raise DataError("folder has no table", file=path, mend=f"expected one of {', '.join(_TABLE_SUFFIXES)}")
        return files
    return [path]


def _read_file(path: str) -> pd.DataFrame:
    import pandas as pd

    with BytesIO(fetch(path)) if is_url(path) else open(path, "rb") as file:
        if path.endswith(".parquet"):
            return pd.read_parquet(file)
        if path.endswith(".csv"):
            return pd.read_csv(file, encoding="utf-8-sig", dtype=str, keep_default_na=False)
        return pd.DataFrame(list(_read_json(file, path)))


def _read_json(binary: IO[bytes], path: str) -> Iterator[dict[str, Any]]:
    with TextIOWrapper(binary, encoding="utf-8-sig") as file:
        if path.endswith(".json"):
            values = json.load(file)
            if not isinstance(values, list):
                raise DataError("expected a list of objects", file=path, mend="give a JSON list or JSON lines")
            yield from values
            return
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _parse_line(line.strip(), path, number)


def _parse_line(line: str, path: str, number: int) -> dict[str, Any]:
    try:
        value, problem = json.loads(line), "expected a JSON object"
    except json.JSONDecodeError as error:
        value, problem = None, f"not valid JSON: {error.msg}"
    if not isinstance(value, dict):
        raise DataError(problem, file=path, field=f"line {number}", value=line[:80], mend="mend or drop the line")
    return value


def _read_hub(source: SourceConfig, name: str) -> pd.DataFrame:
    from datasets import load_dataset

    try:
        return load_dataset(name, split=source.hub_split, revision=source.revision, trust_remote_code=False).to_pandas()
    except (OSError, ValueError) as error:
        raise DataError(
            f"cannot be loaded from the hub: {error}", file=name, mend="check the id and the network, or give a local path"
        ) from error


def _column(table: pd.DataFrame, name: str, source: SourceConfig) -> list[Any]:
    if name not in table.columns:
        raise DataError("column is missing", file=source.path, field=name, mend=f"the columns are {', '.join(map(str, table.columns))}")
    return table[name].tolist()


def _text(value: Any) -> str | None:
    """The value as text; None where the table has nothing (None, NaN, an empty cell)."""
    return None if value is None or value != value or value == "" else str(value)


def _rows(source: SourceConfig) -> Iterator[RawPrompt]:
    table = read_table(source)
    prompts = _column(table, source.prompt_column, source)
    answers = _column(table, source.answer_column, source) if source.answer_column else [None] * len(prompts)
    records = table.to_dict("records")
    for number, (prompt, answer, record) in enumerate(zip(prompts, answers, records, strict=True), start=1):
        kind = record.get("prompt_type") or source.prompt_type
        if kind not in set(PromptType):
            raise DataError("no prompt type", file=source.path, field=f"row {number}", value=kind, mend=f"one of {', '.join(PromptType)}")
        if _text(prompt) is None:
            raise DataError("prompt is empty", file=source.path, field=f"row {number}", mend="fill it in or drop the row")
        yield RawPrompt(
            prompt=str(prompt),
            prompt_type=PromptType(kind),
            source=source.name,
            licence=source.licence,
            category=_text(record.get("category")),
            rule_id=_text(record.get("rule_id")),
            answer=_text(answer),
            answer_kind=_text(record.get("answer_kind")) or ("math" if _text(answer) else None),
            choices=_text(record.get("choices")),
        )


def _star1(source: SourceConfig) -> Iterator[RawPrompt]:
    table = read_table(source)
    categories = read_yaml(Path(__file__).with_name("star1_categories.yaml"))
    for prompt, labels in zip(_column(table, "question", source), _column(table, "category", source), strict=True):
        category = next((categories[label] for label in _listed(labels) if label in categories), None)
        yield RawPrompt(prompt, PromptType.HARMFUL, source.name, source.licence, category=category)


def _listed(value: Any) -> list[Any]:
    """The items of a list's cell; none where the table has no list there."""
    return [] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)


def _mitre_frr(source: SourceConfig) -> Iterator[RawPrompt]:
    for prompt in _column(read_table(source), "mutated_prompt", source):
        yield RawPrompt(prompt, PromptType.BORDERLINE, source.name, source.licence, category="CYB")


def _gsm8k(source: SourceConfig) -> Iterator[RawPrompt]:
    table = read_table(source)
    answers = _column(table, "answer", source)
    for number, (prompt, answer) in enumerate(zip(_column(table, "question", source), answers, strict=True), start=1):
        if "####" not in str(answer):
            raise DataError(
                "no final answer after ####", file=source.path, field=f"row {number}", value=str(answer)[-60:], mend="mend or drop the row"
            )
        gold = str(answer).rsplit("####", 1)[1].strip()
        yield RawPrompt(prompt, PromptType.UTILITY, source.name, source.licence, answer=gold, answer_kind="number")


def _xstest(source: SourceConfig) -> Iterator[RawPrompt]:
    table = read_table(source)
    contrast = ["contrast" in str(kind) for kind in _column(table, "type", source)]
    for prompt, unsafe in zip(_column(table, "prompt", source), contrast, strict=True):
        kind = PromptType.HARMFUL if unsafe else PromptType.BORDERLINE
        yield RawPrompt(prompt, kind, source.name, source.licence)


def _mmlu_pro(source: SourceConfig) -> Iterator[RawPrompt]:
    table = read_table(source)
    columns = (_column(table, name, source) for name in ("question", "options", "answer"))
    for question, options, answer in zip(*columns, strict=True):
        listed = "\n".join(f"{letter}. {option}" for letter, option in zip(_LETTERS, options, strict=False))
        yield RawPrompt(
            prompt=f"{question}\n{listed}",
            prompt_type=PromptType.UTILITY,
            source=source.name,
            licence=source.licence,
            answer=str(answer),
            answer_kind="choice",
            choices=_LETTERS[: len(options)],
        )


_FORMATS: dict[str, Callable[[SourceConfig], Iterator[RawPrompt]]] = {
    "rows": _rows,
    "star1": _star1,
    "mitre_frr": _mitre_frr,
    "gsm8k": _gsm8k,
    "xstest": _xstest,
    "mmlu_pro": _mmlu_pro,
}
