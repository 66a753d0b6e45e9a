"""Curation in shards: it goes on where it was stopped, and neither shards nor tables nor engines change what is written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ascl_core.artifacts import read_json, read_parquet, sha256_file, write_json
from ascl_core.config.curate import CurateConfig
from ascl_core.config.engine import EngineConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.config.sources import SourceConfig
from ascl_core.contracts import Mapper, StageContext, one_by_one
from ascl_core.data import shards, table_files
from ascl_core.data.curate import curate
from ascl_core.data.raw_prompt import RawPrompt
from ascl_core.data.shards import Preparation, prepare, read_prepared, write_raw
from ascl_core.data.sources import load_source, stream_source
from ascl_core.errors import DataError
from ascl_core.vocabulary import PromptType
from tasks.execution.engine import on_engine
from tests.builders import make_corpus

CORPUS = make_corpus()
ONE_PROCESS = EngineConfig()
WORDS = ["amber", "bridge", "candle", "desert", "engine", "forest", "garden", "harbour"]
PROMPTS = [f"What {a} of {b} in {c}?" for a in WORDS for b in WORDS for c in WORDS]
LONG = "Explain at some length how this amber bridge holds up in winter"
ROWS = [
    {"prompt": prompt, "prompt_type": "borderline", "rule_id": "CYB-03"}
    if i % 3
    else {"prompt": prompt, "prompt_type": "utility", "answer": i}
    for i, prompt in enumerate([*PROMPTS[:150], *(prompt.upper() for prompt in PROMPTS[:50]), LONG, "?", f"{LONG}s", f"{LONG}er"])
]


def make_raw(count: int) -> list[RawPrompt]:
    """So many prompts of a source."""
    return [RawPrompt(prompt, PromptType.BORDERLINE, "s", "MIT", rule_id="CYB-03") for prompt in PROMPTS[:count]]


class World:
    """A source, a corpus and evaluation prompts in a folder, and the stage on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "rows.jsonl"
        self.source.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
        write_json(folder / "corpus.json", CORPUS.to_json())
        write_json(folder / "texts.json", PROMPTS[20:30])

    def curate(self, name: str, engine: EngineConfig = ONE_PROCESS, on: Mapper = one_by_one) -> dict[str, Any]:
        """Its outputs: the counts, and the prompts as rows."""
        state = self.folder / name
        state.mkdir(exist_ok=True)
        source = SourceConfig(name="s", format="rows", path=str(self.source), licence="MIT", answer_column="answer")
        curate(
            curate=CurateConfig(sources=(source,)),
            engine=engine,
            rules=RulesConfig(),
            raw=self.folder,
            corpus=self.folder / "corpus.json",
            evaluation=self.folder / "texts.json",
            prompts=state / "prompts.parquet",
            counts=state / "counts.json",
            context=StageContext(state=state, map=on),
        )
        return {"counts": read_json(state / "counts.json"), "prompts": read_parquet(state / "prompts.parquet").to_pylist()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of 16 rows, tables of 7."""
    monkeypatch.setattr(shards, "SHARD_ROWS", 16)
    monkeypatch.setattr(table_files, "BATCH_ROWS", 7)


def test_shards_and_tables_change_nothing_that_is_chosen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = world.curate("whole")
    monkeypatch.setattr(shards, "SHARD_ROWS", 16)
    monkeypatch.setattr(table_files, "BATCH_ROWS", 7)
    assert world.curate("small") == whole
    dropped = {step["step"]: step["dropped"] for step in whole["counts"]["steps"]}
    assert dropped == {
        "loaded": 0,
        "length": 1,
        "exact duplicates": 50,
        "near-duplicates": 2,
        "decontamination": 10,
        "resolved against the rules": 0,
    }


def test_several_processes_write_the_same_bytes(world: World) -> None:
    one = world.curate("one")
    assert world.curate("two", EngineConfig(workers=2), on_engine) == one
    assert sha256_file(world.folder / "one/prompts.parquet") == sha256_file(world.folder / "two/prompts.parquet")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_problem_in_a_shard_is_the_users_error_on_every_engine(world: World, workers: int) -> None:
    write_json(world.folder / "texts.json", {"no": "list"})
    with pytest.raises(DataError, match="expected a list of prompts") as caught:
        world.curate("one", EngineConfig(workers=workers), on_engine)
    assert caught.value.file == str(world.folder / "texts.json")


class Interrupted(Exception):
    """The stage is killed here."""


@pytest.mark.usefixtures("small")
class TestResume:
    """What is finished is not done again."""

    def test_shards_that_are_prepared_stay(self, world: World) -> None:
        def only_two(function: Any, jobs: Any, engine: EngineConfig) -> Iterator[Any]:
            yield from one_by_one(function, jobs[:2], engine)
            raise Interrupted

        with pytest.raises(Interrupted):
            world.curate("killed", on=only_two)
        written = {path: path.stat().st_mtime_ns for path in (world.folder / "killed/shards").rglob("*.parquet")}
        assert sum(path.parent.name == "prepared" for path in written) == 2
        world.source.write_text("is not read again")
        ended = world.curate("killed")
        assert {path: path.stat().st_mtime_ns for path in written} == written
        world.source.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
        assert ended == world.curate("whole")

    def test_rows_that_were_half_loaded_are_loaded_again(self, tmp_path: Path) -> None:
        def breaks() -> Iterator[RawPrompt]:
            yield from make_raw(20)
            raise Interrupted

        with pytest.raises(Interrupted):
            write_raw(breaks(), tmp_path)
        assert [path.name for path in sorted(tmp_path.iterdir())] == ["00000.parquet"]
        assert write_raw(iter(make_raw(40)), tmp_path) == 3
        assert write_raw(iter(()), tmp_path) == 3


def test_a_prepared_row_is_the_row_cleaned(tmp_path: Path) -> None:
    rows = [*make_raw(2), RawPrompt("  What\tis 2 + 2? ", PromptType.UTILITY, "s", "MIT", answer="4", answer_kind="math", reference="2, 2")]
    write_raw(rows, tmp_path / "raw")
    write_json(tmp_path / "texts.json", [rows[1].prompt])
    job = Preparation(tmp_path / "raw/00000.parquet", tmp_path / "prepared/00000.parquet", tmp_path / "texts.json", CurateConfig())
    first, second, third = read_prepared(prepare(job))
    assert (first.row, second.row) == (rows[0], rows[1])
    assert third.row == RawPrompt("What is 2 + 2?", PromptType.UTILITY, "s", "MIT", answer="4", answer_kind="math", reference="2, 2")
    assert (first.contamination, second.contamination and second.contamination.kind) == (None, "exact")
    assert first.signature is not None
    assert third.signature is None


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet", "json"])
@pytest.mark.usefixtures("small")
class TestTables:
    """A source is read a table at a time."""

    def write(self, folder: Path, suffix: str, rows: list[dict[str, Any]]) -> SourceConfig:
        import pandas as pd

        path, table = folder / f"rows.{suffix}", pd.DataFrame(rows)
        if suffix == "parquet":
            table.to_parquet(path)
        elif suffix == "csv":
            table.to_csv(path, index=False)
        else:
            table.to_json(path, orient="records", lines=suffix == "jsonl")
        return SourceConfig(name="s", format="rows", path=str(path), licence="MIT", answer_column=None)

    def test_the_rows_and_their_order_are_those_of_the_file(self, tmp_path: Path, suffix: str) -> None:
        rows = [{"prompt": prompt, "prompt_type": "borderline"} for prompt in PROMPTS[:30]]
        source = self.write(tmp_path, suffix, rows)
        assert [row.prompt for row in load_source(source, tmp_path, CORPUS)] == PROMPTS[:30]

    def test_a_bad_row_is_named_by_its_number_in_the_file(self, tmp_path: Path, suffix: str) -> None:
        rows = [{"prompt": prompt, "prompt_type": "borderline"} for prompt in PROMPTS[:30]]
        rows[23]["prompt_type"] = "evil"
        with pytest.raises(DataError, match="no prompt type") as caught:
            load_source(self.write(tmp_path, suffix, rows), tmp_path, CORPUS)
        assert caught.value.field == "row 24, prompt_type"

    def test_no_more_is_read_than_is_asked_for(self, tmp_path: Path, suffix: str) -> None:
        rows = [{"prompt": prompt, "prompt_type": "borderline"} for prompt in PROMPTS[:30]]
        rows[23]["prompt_type"] = "evil"
        stream = stream_source(self.write(tmp_path, suffix, rows), tmp_path, CORPUS)
        assert [next(stream).prompt for _ in range(21)] == PROMPTS[:21]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"address": "tcp://scheduler:8786"}, "set engine.name to dask"),
        ({"name": "dask", "address": "tcp://me:secret@scheduler:8786"}, "has credentials in it"),
        ({"workers": 0}, "greater than or equal to 1"),
        ({"name": "ray"}, "'local' or 'dask'"),
    ],
)
def test_an_engine_that_cannot_be_is_refused(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        EngineConfig.model_validate(values)
