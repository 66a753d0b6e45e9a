"""Rollouts as rows: what is kept of them, what an edit of a reward, a term or an advantage is called, and how they are asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from typer.testing import CliRunner

from ascl_core.artifacts import digest, read_parquet, write_parquet, write_text
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.ifpo import IfpoConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.errors import ConfigError, DataError, TrainingError
from ascl_core.judges import get_judge
from ascl_core.rl.advantages import ifpo_advantages, mode_weights
from ascl_core.rl.recompute import recompute
from ascl_core.rl.rollouts import SCHEMA, RolloutLog, describe
from ascl_core.rl.scoring import Scorer
from ascl_core.rules.editions import editions_of
from ascl_core.rules.retrieval import RuleIndex
from flows.cli import app
from tasks.evidence.collected import Evidence
from tasks.evidence.rollouts import check_rollouts
from tasks.lineage.find import find
from tasks.lineage.rollouts import find_rollouts
from tasks.lineage.row_counts import count_rows
from tasks.registry.paths import STAGE_SCRIPT
from tasks.registry.stages import CHECKPOINT, IFPO, ROLLOUTS, STAGES
from tests.builders import make_corpus, make_prompt, make_rule
from tests.recorded_run import make_recorded_run
from tests.unit.test_claims_judge import consulting, direct

AT = RulesConfig().at
Row = dict[str, Any]
CONFIG = IfpoConfig(max_steps=2, prompts_per_step=2, group_size=4, micro_batch_size=8, rule_variation=0.5)
PARAMETERS = CONFIG.model_dump(mode="json")
CORPUS = make_corpus(make_rule())
REFUSAL = "I'm sorry, but I can't help with that, because it is not allowed."
TEXTS = (consulting("Fine."), direct("Fine."), direct("No.", REFUSAL), "<think>\nNo end")
"""A look-up, an answer without one, a refusal without one, and a malformed rollout."""
PROMPTS = (make_prompt(), make_prompt(id="fedcba9876543210", prompt="How do I stop a server?"))


def write_rollouts(folder: Path, file: Path) -> list[Row]:
    """Keep two steps of two groups of the texts, the second group in a changed edition of the rules; return the rows."""
    conversation = ConversationConfig()
    editions = editions_of(CORPUS, RuleIndex(CORPUS, AT), conversation, changed=True)
    changed = next(i for i, edition in enumerate(editions) if edition.corpus.digest != CORPUS.digest)
    log, scorer = RolloutLog(folder), Scorer(CORPUS, get_judge("rules"), CONFIG.reward, conversation)
    for step in (1, 2):
        inputs = [
            {"edition": edition, "prompt": [{"role": "user", "content": prompt.prompt}]}
            for prompt, edition in zip(PROMPTS, (0, changed), strict=True)
            for _ in TEXTS
        ]
        decided = [editions[edition].decide(prompt) for prompt, edition in zip(PROMPTS, (0, changed), strict=True) for _ in TEXTS]
        texts = [*TEXTS, *TEXTS]
        batch = scorer.score(decided, texts, [True] * len(texts))
        rewards, modes = torch.tensor(batch.rewards), torch.tensor(batch.consulted)
        weights, advantages = mode_weights(rewards, modes, len(TEXTS)), ifpo_advantages(rewards, modes, len(TEXTS))
        log.write(step, describe(inputs, batch, texts, editions), weights.tolist(), advantages.tolist(), len(TEXTS))
    assert log.publish(2, file) == 16
    return read_parquet(file).to_pylist()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rollouts.parquet"


@pytest.fixture
def rows(tmp_path: Path, file: Path) -> list[Row]:
    return write_rollouts(tmp_path / "state", file)


def write_edited(file: Path, rows: list[Row]) -> Path:
    write_parquet(file, pa.Table.from_pylist(rows, schema=SCHEMA))
    return file


def test_a_row_says_what_was_asked_looked_up_written_judged_and_rewarded(rows: list[Row]) -> None:
    looked, answered, refused, malformed = rows[:4]
    assert [(row["step"], row["group"], row["sample"]) for row in rows[6:9]] == [(1, 1, 2), (1, 1, 3), (2, 0, 0)]
    assert looked["look_ups"] == [{"query": "processes", "category": "CYB", "top_k": None}]
    assert looked["rules"] == [{"id": "CYB-03", "version": "1.0.0"}]
    assert (looked["prompt_id"], looked["prompt"], looked["text"]) == (PROMPTS[0].id, PROMPTS[0].prompt, TEXTS[0])
    assert (looked["edition"], looked["corpus_digest"]) == (0, CORPUS.digest)
    assert (answered["mode"], answered["rules"], answered["refusal"], answered["judge"]) == ("direct", [], "none", get_judge("rules").id)
    assert (refused["answer"], malformed["answer"]) == (REFUSAL, "")
    assert (refused["refusal"], refused["outcome"], refused["correct"]) == ("full", "borderline_refusal", False)
    assert (malformed["valid"], malformed["problem"], malformed["refusal"]) == (False, "a think block is not closed", None)
    assert dict(looked["terms"]) == dict(zip(CONFIG.reward.terms, (1.0, 1.0, 0.5, 1.0, 0.0, 0.0), strict=True)) | {"retrieval": 0.0}
    assert [row["reward"] for row in rows[:4]] == [1.5, 1.5, 0.5, 0.0]
    assert looked["weight"] > answered["weight"]
    changed = rows[4]
    assert changed["edition"] > 0
    assert changed["corpus_digest"] != CORPUS.digest
    assert changed["rules"] == [{"id": "CYB-03", "version": "2.0.0"}], "the same id in a changed edition is another version"
    assert (changed["policy"], changed["prompt_type"]) == ("refuse_explain", "harmful")


def test_equal_rollouts_give_equal_bytes_and_a_step_written_again_is_there_once(tmp_path: Path, rows: list[Row], file: Path) -> None:
    before = file.read_bytes()
    assert write_rollouts(tmp_path / "state", tmp_path / "again.parquet") == rows
    assert (tmp_path / "again.parquet").read_bytes() == before
    (tmp_path / "state/rollouts/step-000001.parquet").unlink()
    with pytest.raises(TrainingError, match=r"step-000001\.parquet: the rollouts of step 1 are missing"):
        RolloutLog(tmp_path / "state").publish(2, file)
    assert file.read_bytes() == before


def test_rewards_weights_and_advantages_follow_from_the_rows(rows: list[Row], file: Path) -> None:
    assert recompute(file, PARAMETERS, name=ROLLOUTS.path) == len(rows)
    with pytest.raises(DataError, match=r"row 1 \(step 1, group 0, sample 0\): weight is"):
        recompute(file, PARAMETERS | {"tau": 1.0}, name=ROLLOUTS.path)
    with pytest.raises(ConfigError, match=r"ifpo\.rebalance.*no such rebalancing rule"):
        recompute(file, PARAMETERS | {"rebalance": "retired"}, name=ROLLOUTS.path)


def _set(**values: Any) -> Callable[[Row], None]:
    return lambda row: row.update(values)


def _edit_term(row: Row) -> None:
    row["terms"] = [(name, value + 0.5 * (name == "safety")) for name, value in row["terms"]]


def _leave_term_out(row: Row) -> None:
    row["terms"] = [(name, value) for name, value in row["terms"] if name != "retrieval"]


def _raise_advantage(row: Row) -> None:
    row["advantage"] += 0.01


EDITS: dict[str, tuple[Callable[[Row], None], str]] = {
    "reward": (_set(reward=2.0), "reward is 2, but its terms give 1.5"),
    "reward that is taken away": (_set(reward=None), "terms is hallucination, .*, but a rollout with such a reward has nothing"),
    "term": (_edit_term, "reward is 1.5, but its terms give 2"),
    "term that is left out": (_leave_term_out, "terms is hallucination, .*, verified, but a rollout with such a reward has .*, retrieval"),
    "advantage": (_raise_advantage, "advantage is .*, but the rewards and modes of its group give"),
    "weight": (_set(weight=1.01), "weight is 1.01, but the rewards and modes of its group give"),
    "order": (_set(sample=3), "sample is 3, but the order of the rows gives 1"),
}


@pytest.mark.parametrize(("edit", "problem"), EDITS.values(), ids=EDITS)
def test_the_first_row_that_was_edited_is_named(rows: list[Row], file: Path, edit: Callable[[Row], None], problem: str) -> None:
    for row in (rows[9], rows[10]):
        edit(row)
    sample = rows[9]["sample"]
    where = rf"^data/rollouts/ifpo\.parquet: row 10 \(step 2, group 0, sample {sample}\): "
    with pytest.raises(DataError, match=where + problem):
        recompute(write_edited(file, rows), PARAMETERS, name=ROLLOUTS.path)


def test_an_edited_mode_moves_its_group_and_a_missing_row_is_counted(rows: list[Row], file: Path) -> None:
    rows[8]["mode"] = "direct"
    with pytest.raises(DataError, match=r"row 9 \(step 2, group 0, sample 0\): weight is"):
        recompute(write_edited(file, rows), PARAMETERS, name=ROLLOUTS.path)
    with pytest.raises(DataError, match="has 15 rollouts, but its training made 2 × 2 × 4"):
        recompute(write_edited(file, rows[:-1]), PARAMETERS, name=ROLLOUTS.path)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose records say that IFPO wrote the rollouts."""
    root = tmp_path / "root"
    write_rollouts(tmp_path / "kept", root / ROLLOUTS.path)
    write_text(root / "pyproject.toml", "")
    write_text(root / "dvc.yaml", f"# {STAGE_SCRIPT}\n")
    make_recorded_run(root, CORPUS, [], change=_with_parameters)
    monkeypatch.chdir(root)
    return root


def _with_parameters(stage: str, record: dict[str, Any]) -> None:
    if stage == IFPO.name:
        record["parameters"]["ifpo"] = PARAMETERS
        record["rules"] = {"digest": CORPUS.digest, "rules": {"CYB-03": "0" * 64, "CYB-04": "1" * 64}}


def evidence(root: Path) -> Evidence:
    return Evidence(find(root, CHECKPOINT), STAGES, {}, {}, {}, "", {})


def test_verification_computes_the_rollouts_of_a_record_again_and_needs_none_of_an_older_one(root: Path, rows: list[Row]) -> None:
    assert check_rollouts(evidence(root)) == 16
    rows[9]["advantage"] += 1.0
    write_edited(root / ROLLOUTS.path, rows)
    with pytest.raises(DataError, match=r"^data/rollouts/ifpo\.parquet: row 10 \(step 2, group 0, sample 1\): advantage is"):
        check_rollouts(evidence(root))
    record = root / IFPO.record.path
    values = json.loads(record.read_text())
    del values["outputs"][ROLLOUTS.path]
    record.write_text(json.dumps(values))
    assert check_rollouts(evidence(root)) == 0
    with pytest.raises(DataError, match="its training kept no rollouts"):
        find_rollouts(find(root, CHECKPOINT))


def test_rollouts_are_found_by_rule_prompt_and_step(root: Path) -> None:
    def found(thing: str = CHECKPOINT, **asked: Any) -> tuple[int, list[tuple[int, int, int]]]:
        answer = find_rollouts(find(root, thing), **asked)
        return answer.count, [(row["step"], row["group"], row["sample"]) for row in answer.rows]

    assert found(limit=2) == (16, [(1, 0, 0), (1, 0, 1)])
    assert found(step=2, prompt="fedc") == (4, [(2, 1, sample) for sample in range(4)])
    assert found(rule="CYB-03", step=1)[0] == 8, "it decides every prompt"
    assert found(rule="CYB-04") == (0, [])
    with pytest.raises(ConfigError, match=r"--rule.*the training had no such rule"):
        found(rule="CYP-03")
    assert found("data/gate/decision.json", step=1) == found(step=1), "the decision comes from the same training"
    whole = find_rollouts(find(root, ROLLOUTS.path), limit=100)
    assert (whole.path, whole.sha256, whole.consulted) == (ROLLOUTS.path, digest(root / ROLLOUTS.path), 4)
    assert whole.rows == [row | {"terms": dict(row["terms"])} for row in read_parquet(root / ROLLOUTS.path).to_pylist()]
    with pytest.raises(DataError, match="was made without reinforcement learning"):
        find_rollouts(find(root, "data/models/sft"))
    (root / ROLLOUTS.path).unlink()
    with pytest.raises(DataError, match="is not available here"):
        find_rollouts(find(root, CHECKPOINT))


def test_the_command_prints_a_table_or_everything_as_json(root: Path) -> None:
    def said(*options: str) -> str:
        return CliRunner().invoke(app, ["lineage", "rollouts", *options], catch_exceptions=False).output

    lines = said("--step", "1", "--limit", "4").splitlines()
    assert lines[1] == "8 rollouts, 2 consulted, mean reward 0.62"
    assert lines[3].split()[:6] == ["step", "group", "sample", "prompt", "mode", "rules"]
    assert "0123456789ab  consult  CYB-03 1.0.0" in lines[4]
    assert "verified 0, retrieval 0  " in lines[4], "and no negative zero"
    assert lines[6].endswith(REFUSAL[:60].rstrip())
    assert "invalid: a think block is not closed" in lines[7]
    assert len(lines) == 8
    answer = json.loads(said("--prompt", "0123", "--json"))
    assert (answer["count"], answer["rows"][0]["text"], answer["rows"][0]["terms"]["safety"]) == (8, TEXTS[0], 0.5)
    assert "no data: no rollout is of that step, prompt and rule" in said("--rule", "CYB-04")


def test_differences_of_rollouts_are_counted_like_those_of_other_rows(rows: list[Row], file: Path, tmp_path: Path) -> None:
    rows[3]["terms"] = [("safety", 9.0)]
    counted = count_rows(file, write_edited(tmp_path / "edited.parquet", rows[:-1]), ROLLOUTS.path)
    assert (counted.added, counted.removed, counted.changed, counted.same) == (0, 1, 1, 14)
    assert counted.examples == {"removed": ("2/1/3",), "changed": ("1/0/3",)}
