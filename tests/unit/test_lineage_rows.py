"""Manifests of data sets, and which checkpoints saw a row or a rule, in small repositories whose records are written by hand."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ascl_core.artifacts import digest, sha256_bytes, sha256_json, write_json, write_jsonl, write_parquet
from ascl_core.config.sft_data import SftData
from ascl_core.contracts import Prompt, Trajectory, to_table
from ascl_core.data.raw_prompt import prompt_id
from ascl_core.errors import ConfigError, DataError
from ascl_core.vocabulary import Mode, PromptType, ResponsePolicy, Split
from tasks.lineage.database import database
from tasks.lineage.find import find
from tasks.lineage.manifests import BY_PROMPT, ROWS, RULES, folder_of, make_manifest
from tasks.lineage.rows import Answer, checkpoints_of_row, checkpoints_of_rule, checkpoints_of_text, upstream_rows
from tasks.registry.stages import (
    BASE,
    BUILD_SFT,
    CORPUS,
    CURATE,
    EVALUATION,
    IFPO,
    PROMPTS,
    RL_CORPUS,
    SFT,
    SFT_CORPUS,
    SUITES,
    TRAJECTORIES,
    Stage,
    checkpoint_of,
)
from tasks.repository.git import git
from tasks.repository.worktrees import NOBODY
from tests.recorded_run import record_values

ASCL = TRAJECTORIES[SftData.ASCL].path
BASE_SHA, SFT_SHA, IFPO_SHA = (sha256_bytes(name.encode()) for name in ("base", "sft", "ifpo"))


def make_prompt(text: str, split: Split | None = Split.RL, rule: str | None = "VIO-01", **changed: Any) -> Prompt:
    values = {
        "id": prompt_id(text, "XA"),
        "prompt": text,
        "prompt_type": PromptType.HARMFUL,
        "policy": ResponsePolicy.HARD_REFUSE,
        "source": "own",
        "licence": "MIT",
        "jurisdiction": "XA",
        "rule_id": rule,
        "split": split,
    }
    return Prompt(**{**values, **changed})


def make_trajectory(prompt: str, number: str, rules: tuple[str, ...] = ("VIO-01",), arm: SftData = SftData.ASCL) -> Trajectory:
    return Trajectory(number, prompt, arm, Mode.CONSULT, PromptType.HARMFUL, "VIO", rules, (), "teacher@1", 7, "own", "MIT")


PLAN, HURT, SUM = (
    make_prompt("Plan a heist.", Split.TRAIN),
    make_prompt("Hurt a friend."),
    make_prompt("1 + 1?", Split.VALIDATION, None, answer="2"),
)
TRAJECTORY = replace(
    make_trajectory(PLAN.id, "aaaa0001", ("VIO-01", "VIO-02", "VIO-01")), messages=({"role": "user", "content": PLAN.prompt},)
)
HELD_OUT = make_prompt("Break a window.", None, "VIO-03", suite="own-safety")


@dataclass(frozen=True)
class World:
    """A repository with records of the stages that made an SFT checkpoint and an IFPO checkpoint from it."""

    root: Path

    def sha256(self, path: str) -> str:
        return digest(self.root / path)

    def record(self, stage: Stage, inputs: dict[str, str], outputs: dict[str, str]) -> None:
        write_json(self.root / stage.record.path, record_values(stage, inputs, outputs) | {"parameters": {}})

    def row(self, row: str) -> Answer:
        return checkpoints_of_row(self.root, row)

    def rule(self, rule: str) -> Answer:
        return checkpoints_of_rule(self.root, rule)


def make_world(
    root: Path,
    prompts: tuple[Prompt, ...] = (PLAN, HURT, SUM),
    trajectories: tuple[Trajectory, ...] = (TRAJECTORY,),
) -> World:
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "--quiet")
    world = World(root)
    write_parquet(root / PROMPTS.path, to_table(prompts, Prompt))
    write_parquet(root / SUITES.path, to_table([HELD_OUT], Prompt))
    write_jsonl(root / ASCL, map(dataclasses.asdict, trajectories))
    for path, rules in ((SFT_CORPUS.path, ("VIO-01",)), (RL_CORPUS.path, ("VIO-01", "VIO-09"))):
        lock = {rule: {"version": "1.0.0", "sha256": sha256_bytes(rule.encode())} for rule in rules}
        write_json(root / path, {"lock": lock, "taxonomy": {"jurisdictions": {"XA": "A", "XB": "B"}}})
    read = {path: world.sha256(path) for path in (PROMPTS.path, SUITES.path, ASCL, SFT_CORPUS.path, RL_CORPUS.path)}

    def those(*artifacts: Any) -> dict[str, str]:
        return {artifact.path: read[artifact.path] for artifact in artifacts}

    base, sft, ifpo = ({checkpoint_of(stage).path: sha} for stage, sha in ((BASE, BASE_SHA), (SFT, SFT_SHA), (IFPO, IFPO_SHA)))
    world.record(CURATE, those(SFT_CORPUS), those(PROMPTS))
    world.record(BUILD_SFT, those(PROMPTS, SFT_CORPUS), those(TRAJECTORIES[SftData.ASCL]))
    world.record(BASE, those(TRAJECTORIES[SftData.ASCL]), base)
    world.record(SFT, {**those(TRAJECTORIES[SftData.ASCL]), **base}, sft)
    world.record(IFPO, {**those(PROMPTS, RL_CORPUS), **sft}, ifpo)
    world.record(EVALUATION, {**those(SUITES), **ifpo}, {})
    return world


def seen(answer: Answer) -> set[tuple[str, str, str, str]]:
    """Who saw what: the name of the checkpoint, the stage that read it, how, and in which file."""
    return {(saw.path.rpartition("/")[2], saw.stage, saw.relation, saw.read_path) for saw in answer.checkpoints}


def test_the_manifest_of_the_prompts_says_for_each_who_it_is_and_why_it_was_kept(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    sha256 = world.sha256(PROMPTS.path)
    make_manifest(tmp_path, sha256, tmp_path / PROMPTS.path, PROMPTS.path)
    written = {row["row_id"]: row for row in pq.read_table(folder_of(tmp_path, sha256) / ROWS).to_pylist()}
    values = pq.read_table(tmp_path / PROMPTS.path).to_pylist()
    passed = "length, exact duplicates, near-duplicates, decontamination, resolved against the rules"
    assert list(written) == sorted(written)
    assert written[PLAN.id] == {
        "row_id": PLAN.id,
        "prompt_id": PLAN.id,
        "content_sha256": sha256_json(values[0]),
        "source": "own",
        "licence": "MIT",
        "rules_are": "decides",
        "rule_ids": ["VIO-01"],
        "generator": None,
        "seed": None,
        "kept": passed,
        "split": "train",
    }
    assert (written[SUM.id]["rules_are"], written[SUM.id]["rule_ids"]) == ("none", [])
    assert "near" not in written[SUM.id]["kept"]  # two sums that differ in one digit are different questions
    assert not (folder_of(tmp_path, sha256) / BY_PROMPT).exists()
    counted = pq.read_table(folder_of(tmp_path, sha256) / RULES).to_pylist()
    assert {(row["rule_id"], row["split"], row["rows"]) for row in counted} == {
        ("VIO-01", "train", 1),
        ("VIO-01", "rl", 1),
        *((None, split, 1) for split in ("train", "rl", "validation")),
    }


def test_the_manifest_of_trajectories_names_the_rules_that_each_consulted_once(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    sha256 = world.sha256(ASCL)
    make_manifest(tmp_path, sha256, tmp_path / ASCL, ASCL)
    (row,) = pq.read_table(folder_of(tmp_path, sha256) / ROWS).to_pylist()
    assert (row["row_id"], row["prompt_id"], row["rules_are"], row["rule_ids"]) == ("aaaa0001", PLAN.id, "consulted", ["VIO-01", "VIO-02"])
    assert (row["generator"], row["seed"], row["kept"]) == ("teacher@1", 7, "well-formed, refuses")
    assert pq.read_table(folder_of(tmp_path, sha256) / BY_PROMPT).to_pylist() == [
        {"prompt_id": PLAN.id, "row_id": "aaaa0001", "split": None}
    ]


def test_a_checkpoint_saw_what_it_was_trained_on_and_what_it_started_from_saw(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    sft = {("base", "base_model", "tokenizer made from", ASCL), ("sft", "sft", "trained on", ASCL), ("ifpo", "sft", "trained on", ASCL)}
    assert seen(world.row("aaaa0001")) == sft
    assert seen(world.row(PLAN.id)) == sft  # its own split is that of SFT, so that IFPO was not given it
    assert seen(world.row(HURT.id)) == {("ifpo", "ifpo", "trained on", PROMPTS.path)}
    assert seen(world.row(SUM.id)) == set()
    assert seen(world.row(HELD_OUT.id)) == {("ifpo", "evaluate_ifpo", "evaluated on", SUITES.path)}


def test_reinforcement_learning_without_prompts_of_its_own_is_given_those_of_sft(tmp_path: Path) -> None:
    assert ("ifpo", "ifpo", "trained on", PROMPTS.path) in seen(make_world(tmp_path, (PLAN, SUM)).row(PLAN.id))


def test_trained_under_a_rule_says_whether_rows_or_the_corpus_have_it(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    assert seen(world.rule("VIO-09")) == {("ifpo", "ifpo", "trained under", RL_CORPUS.path)}
    assert {(saw.path, saw.what, saw.rows) for saw in world.rule("VIO-02").checkpoints if saw.relation == "trained on"} == {
        (checkpoint_of(SFT).path, "consulted", 1),
        (checkpoint_of(IFPO).path, "consulted", 1),
    }
    under = seen(world.rule("VIO-01"))
    assert ("sft", "sft", "trained on data written under", ASCL) in under
    assert ("ifpo", "sft", "trained on data written under", ASCL) in under
    assert [(saw.rows, saw.what) for saw in world.rule("VIO-01").checkpoints if (saw.stage, saw.relation) == ("ifpo", "trained on")] == [
        (1, "decides")
    ]
    with pytest.raises(ConfigError, match="did you mean 'VIO-09'"):
        world.rule("VIO-90")


def test_a_snapshot_is_named_only_beside_the_version_of_a_rule_that_it_records(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    prompts, ascl, ifpo = PROMPTS.path, {ASCL: world.sha256(ASCL)}, {checkpoint_of(IFPO).path: IFPO_SHA}

    def use(version: str) -> None:
        """Make the same data, evaluate the same checkpoint, under another version of the rule."""
        for path in (SFT_CORPUS.path, CORPUS.path):
            lock = {"VIO-01": {"version": version, "sha256": sha256_bytes(version.encode())}}
            write_json(tmp_path / path, {"lock": lock, "taxonomy": {"jurisdictions": {"XA": "A"}}})
        world.record(BUILD_SFT, {path: world.sha256(path) for path in (prompts, SFT_CORPUS.path)}, ascl)
        world.record(EVALUATION, {CORPUS.path: world.sha256(CORPUS.path), **ifpo}, {})

    use("1.0.0")
    git(tmp_path, "add", "--all", "--force")
    git(tmp_path, "commit", "--quiet", "-m", "first", environment=NOBODY)
    git(tmp_path, "tag", "release/1")
    use("1.1.0")
    found = world.rule("VIO-01").checkpoints
    for relation in ("evaluated under", "trained on data written under"):
        named = {(saw.what.split(",")[0], saw.snapshots) for saw in found if (saw.checkpoint, saw.relation) == (IFPO_SHA, relation)}
        assert named == {("version 1.0.0", ("release/1",)), ("version 1.1.0", ("working tree",))}
    assert {saw.snapshots for saw in found if saw.relation == "trained on"} == {("release/1", "working tree")}


def test_a_prompt_is_found_by_its_text_however_it_is_written(tmp_path: Path) -> None:
    make_world(tmp_path)
    assert {line["row_id"] for line in checkpoints_of_text(tmp_path, " PLAN a heist ").found} == {PLAN.id, "aaaa0001"}
    with pytest.raises(DataError, match="no row"):
        checkpoints_of_text(tmp_path, "Plan a party.")


def test_the_beginning_of_an_id_stands_for_it_unless_it_may_be_several(tmp_path: Path) -> None:
    rows = tuple(make_trajectory(PLAN.id, number) for number in ("abcd1", "abcd12", "abce"))
    world = make_world(tmp_path, trajectories=rows)
    assert [line["row_id"] for line in world.row("abce").found] == ["abce"]
    assert [line["row_id"] for line in world.row("abcd1").found] == ["abcd1"]
    with pytest.raises(DataError, match="abcd1, abcd12"):
        world.row("abcd")
    with pytest.raises(ConfigError, match="too short"):
        world.row("abc")


@settings(max_examples=4, deadline=None)
@given(st.data())
def test_every_row_is_found_again(data: st.DataObject) -> None:
    ids = st.text("0123456789abcdef'%_\"; \\*[]é", min_size=4, max_size=16)
    names = data.draw(st.lists(ids, min_size=2, max_size=6, unique=True))
    rows = tuple(make_trajectory(name, f"t{name}") for name in names)
    prompts = tuple(make_prompt(name, id=name) for name in names)
    with tempfile.TemporaryDirectory() as folder:
        world = make_world(Path(folder), prompts, rows)
        for name in names:
            assert [(line["row_id"], line["path"]) for line in world.row(f"t{name}").found] == [(f"t{name}", ASCL)]
            assert {line["row_id"] for line in world.row(name).found} == {name, f"t{name}"}


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE reads; --", '" OR 1=1 --', "%%%%", "____", "x' UNION SELECT * FROM reads", "$rule", "🙂🙂🙂🙂"]
)
def test_what_people_type_is_never_part_of_a_query(tmp_path: Path, text: str) -> None:
    world = make_world(tmp_path, trajectories=(TRAJECTORY, make_trajectory(text, f"of {text}", (text,))))
    assert {line["row_id"] for line in world.row(text).found} == {f"of {text}"}
    assert {saw.what for saw in world.rule(text).checkpoints} == {"consulted"}
    for ask in (world.row, world.rule):
        with pytest.raises((DataError, ConfigError), match=r"no row|no corpus"):
            ask(f"{text}{text}")


def test_a_manifest_that_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    before = world.row(PLAN.id)
    for name in (ROWS, RULES):
        torn = folder_of(tmp_path, world.sha256(ASCL)) / name
        torn.write_bytes(torn.read_bytes()[:-20])
        left = tmp_path / ".ascl/lineage/making"
        left.mkdir()
        (left / "unsorted.parquet").write_bytes(b"PAR1")
        assert world.row(PLAN.id) == before
        assert not left.exists()


def test_a_data_set_whose_bytes_are_others_now_is_not_looked_into(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    write_jsonl(tmp_path / ASCL, [dataclasses.asdict(replace(TRAJECTORY, id="bbbb0002"))])
    assert world.row(PLAN.id).unavailable == [f"{ASCL} of working tree"]
    with pytest.raises(DataError, match="--fetch"):
        world.row("bbbb0002")


def test_a_row_that_is_none_is_one_error_that_names_the_file_and_the_row(tmp_path: Path) -> None:
    write_jsonl(tmp_path / ASCL, [dataclasses.asdict(TRAJECTORY), {"id": "x"}])
    with pytest.raises(DataError, match="row 2") as error:
        make_manifest(tmp_path, digest(tmp_path / ASCL), tmp_path / ASCL, ASCL)
    assert error.value.file == ASCL


def test_the_upstream_rows_of_a_checkpoint_are_counted_by_data_set_and_listed(tmp_path: Path) -> None:
    make_world(tmp_path)
    behind = upstream_rows(tmp_path, find(tmp_path, checkpoint_of(IFPO).path), "VIO-01", limit=5)
    assert [(one.path, one.split, one.rows, one.with_rule) for one in behind.data_sets] == [(PROMPTS.path, "rl", 1, 1), (ASCL, None, 1, 1)]
    assert [(row["row_id"], row["begins_with"]) for row in behind.rows] == [(HURT.id, HURT.prompt), ("aaaa0001", PLAN.prompt)]
    of_file = upstream_rows(tmp_path, find(tmp_path, PROMPTS.path), None, limit=2)
    assert [(one.path, one.rows, one.with_rule) for one in of_file.data_sets] == [(PROMPTS.path, 3, None)]
    assert len(of_file.rows) == 2
    assert upstream_rows(tmp_path, find(tmp_path, checkpoint_of(SFT).path), "VIO-09", limit=5).rows == []


def test_the_database_reaches_no_file_but_its_own(tmp_path: Path) -> None:
    import duckdb

    with database(tmp_path) as connection:
        for query in (f"SELECT * FROM read_csv('{__file__}')", "INSTALL httpfs", "SET memory_limit = '99GB'"):
            with pytest.raises((duckdb.PermissionException, duckdb.InvalidInputException)):
                connection.sql(query).fetchall()
        answer = connection.execute("SELECT 1").fetchall()
    assert answer == [(1,)]
