"""A table says the same in every format."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ascl_core.config.sources import ROWS, SourceConfig
from ascl_core.data.row import Row
from ascl_core.data.table_files import KINDS, kind_of_table
from ascl_core.data.tables import read_rows
from ascl_core.errors import DataError

COLUMNS = ("prompt", "prompt_type", "answer")
Rows = Sequence[dict[str, str]]
cells = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12) | st.text(
    alphabet="ab,;\t\"'\n\r\\ \u2028\ufeff\x00", max_size=8
)
tables = st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, cells)).filter(lambda row: any(row.values())), min_size=1, max_size=5)


def delimited(rows: Rows, delimiter: str) -> str:
    """The rows with a header, as the csv module writes them."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def parquet(rows: Rows) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), buffer)
    return buffer.getvalue()


TEXTS: dict[str, Callable[[Rows], str]] = {
    ".csv": lambda rows: delimited(rows, ","),
    ".tsv": lambda rows: delimited(rows, "\t"),
    ".json": lambda rows: json.dumps(rows, ensure_ascii=False),
    ".jsonl": lambda rows: "".join(json.dumps(row) + "\n" for row in rows),
}
WRITE: dict[str, Callable[[Rows], bytes]] = {".parquet": parquet} | {
    kind: lambda rows, write=write: write(rows).encode() for kind, write in TEXTS.items()
}


def test_every_kind_of_table_is_written() -> None:
    assert {*WRITE} == {*KINDS.values()}


@pytest.mark.parametrize("suffix", KINDS)
@settings(deadline=None, max_examples=40)
@given(rows=tables, packed=st.booleans())
@example(rows=[dict.fromkeys(COLUMNS, '"a",\t"b"\n')], packed=True)
def test_every_format_gives_the_rows_back(suffix: str, rows: Rows, packed: bool) -> None:
    content = WRITE[KINDS[suffix]](rows)
    assert read(content, suffix, packed) == rows


@pytest.mark.parametrize("kind", TEXTS)
@settings(deadline=None, max_examples=20)
@given(rows=tables, encoding=st.sampled_from(["utf-8-sig", "utf-16", "utf-32"]))
def test_so_does_every_encoding_with_a_mark(kind: str, rows: Rows, encoding: str) -> None:
    assert read(TEXTS[kind](rows).encode(encoding), kind, packed=False) == rows


@settings(deadline=None, max_examples=25)
@given(rows=tables, space=st.text(" \t\u00a0\u3000", min_size=1, max_size=3), delimiter=st.sampled_from(",;"))
def test_white_space_before_a_quote_is_no_part_of_the_cell(rows: Rows, space: str, delimiter: str) -> None:
    lines = [[name, *(row[name] for row in rows)] for name in COLUMNS]
    quoted = (['"' + cell.replace('"', '""') + '"' for cell in cells] for cells in zip(*lines, strict=True))
    read_back = read("\r\n".join(f"{delimiter}{space}".join(cells) for cells in quoted).encode(), ".csv", packed=False)
    assert [{name: row[name].split() for name in COLUMNS} for row in read_back] == [
        {name: row[name].split() for name in COLUMNS} for row in rows
    ]


@pytest.mark.parametrize("suffix", TEXTS)
@settings(deadline=None, max_examples=20)
@given(before=tables, ours=tables, theirs=tables, base=st.none() | tables, end=st.sampled_from(["\n", "\r\n"]))
def test_a_merge_conflict_is_called_one(suffix: str, before: Rows, ours: Rows, theirs: Rows, base: Rows | None, end: str) -> None:
    def lines(rows: Rows) -> list[str]:
        text = TEXTS[suffix](plain(rows)).splitlines()
        return text if suffix.startswith(".json") else [line.split(",")[0].split("\t")[0] for line in text[1:]]

    sides = [">>>>>>> theirs", *lines(theirs)[::-1], "=======", *([*lines(base)[::-1], "||||||| base"] if base else [])]
    whole = ["prompt", *lines(before), "<<<<<<< HEAD", *lines(ours), *sides[::-1]]
    with pytest.raises(DataError, match="merge conflict"):
        read(end.join([*whole, ""]).encode(), suffix, packed=False)


def plain(rows: Rows) -> Rows:
    """The rows with letters alone."""
    return [{name: "a" + "".join(filter(str.isalnum, cell)) for name, cell in row.items()} for row in rows]


def test_a_conflict_within_a_cell_is_text() -> None:
    rows = [{name: f"Resolve\n<<<<<<< HEAD\n{name}\n=======\n2\n>>>>>>> b\n" for name in COLUMNS}]
    assert [read(TEXTS[kind](rows).encode(), kind, packed=False) for kind in TEXTS] == [rows] * len(TEXTS)


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet"])
@given(key=st.text("abc", min_size=1, max_size=3))
@settings(deadline=None, max_examples=10)
def test_two_values_for_one_name_are_refused(suffix: str, key: str) -> None:
    text = f'{{"{key}": 1, "{key}": 2}}\n'
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array([1])] * 2, names=[key] * 2), buffer)
    content = {".json": f"[{text}]".encode(), ".jsonl": text.encode(), ".parquet": buffer.getvalue()}[suffix]
    with pytest.raises(DataError) as raised:
        read(content, suffix, packed=False)
    assert repr(key) in str(raised.value)


NESTED: dict[str, tuple[Callable[[float], object], pa.DataType]] = {
    "list": (lambda x: [x, None], pa.list_(pa.float32())),
    "large list": (lambda x: [x], pa.large_list(pa.float32())),
    "pair": (lambda x: [x, x], pa.list_(pa.float32(), 2)),
    "struct": (lambda x: {"a": [{"b": x}]}, pa.struct([("a", pa.list_(pa.struct([("b", pa.float32())])))])),
    "map": (lambda x: [("a", x)], pa.map_(pa.string(), pa.float32())),
}


@pytest.mark.parametrize("kind", NESTED)
@settings(deadline=None, max_examples=20)
@given(number=st.integers(-999_999, 999_999))
def test_a_number_of_single_precision_is_the_shortest_within_anything(kind: str, number: int) -> None:
    make, arrow = NESTED[kind]
    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": pa.array([make(number / 1000)], arrow)}), buffer)
    assert read(buffer.getvalue(), ".parquet", packed=False) == [{"a": make(number / 1000)}]


@pytest.mark.parametrize("zone", ["No/Such", None, "UTC"])
@settings(deadline=None, max_examples=20)
@given(time=st.integers(2**60, 2**62), unit=st.sampled_from(["ms", "us"]))
def test_a_time_that_python_cannot_hold_is_an_error_only_if_it_is_used(zone: str | None, time: int, unit: str) -> None:
    buffer = io.BytesIO()
    times = pa.array([time], pa.int64()).cast(pa.timestamp(unit, zone))
    pq.write_table(pa.table({"prompt": ["A"], "at": times}), buffer)
    (row,) = read(buffer.getvalue(), ".parquet", packed=False)
    assert row["prompt"] == "A"
    with pytest.raises(DataError, match="row 1, at: cannot be read"):
        Row(dict(row), 1, None).text("at")


def read(content: bytes, suffix: str, packed: bool) -> Rows:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"table{suffix}{'.gz' if packed else ''}"
        assert kind_of_table(path.name) is not None
        path.write_bytes(gzip.compress(content) if packed else content)
        return [row.values for row in read_rows(SourceConfig(name="table", format=ROWS, path=str(path)), [])]
