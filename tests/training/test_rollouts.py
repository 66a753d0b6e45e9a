"""Every rollout of a training is kept, once, as it was sampled and rewarded, however often the training is killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import read_json, read_parquet
from ascl_core.config.ifpo import IfpoConfig
from ascl_core.contracts import RolloutFacts
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.errors import TrainingError
from ascl_core.rl.recompute import recompute
from ascl_core.rules.corpus import load_corpus
from tests.chat_server import FULL, Server, completion
from tests.once import make_once
from tests.training.conftest import IFPO, World, stop_once_at

pytestmark = pytest.mark.filterwarnings("ignore")
STEPS: dict[str, Any] = {"max_steps": 4, "save_steps": 2, "prompts_per_step": 4, "rule_variation": 0.5}
PARAMETERS = IfpoConfig.model_validate({**IFPO, **STEPS}).model_dump(mode="json")
NAME = "data/rollouts/ifpo.parquet"
Row = dict[str, Any]


@pytest.fixture(scope="module")
def trained(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training of four steps."""
    return make_once(tmp_path_factory, "rollouts", lambda folder: world.ifpo(folder, **STEPS))


@pytest.fixture
def rows(trained: Path) -> list[Row]:
    return read_parquet(trained / "rollouts.parquet").to_pylist()


def test_every_rollout_of_every_step_is_kept_as_it_was_sampled(world: World, trained: Path, rows: list[Row]) -> None:
    size, groups = IFPO["group_size"], STEPS["prompts_per_step"]
    wanted = [(step, group, sample) for step in (1, 2, 3, 4) for group in range(groups) for sample in range(size)]
    assert [(row["step"], row["group"], row["sample"]) for row in rows] == wanted
    assert len({(row["step"], row["group"], row["prompt_id"]) for row in rows}) == len(rows) / size
    prompts = {prompt.id: prompt for prompt in world.prompts}
    corpus = load_corpus(world.root / "corpus.json")
    for row in rows:
        facts: RolloutFacts = read_rollout(row["text"], finished=row["finished"], max_tool_calls=2)
        assert row["prompt"] == prompts[row["prompt_id"]].prompt
        assert (row["valid"], row["problem"], row["mode"]) == (facts.valid, facts.problem, str(facts.mode))
        assert row["answer"] == facts.answer
        assert row["look_ups"] == [{"query": None, "category": None, "top_k": None} | call.arguments for call in facts.calls]
        assert [rule["id"] for rule in row["rules"]] == list(facts.consulted)
        assert (row["judge"] is None) == (row["refusal"] is None) == (not row["valid"])
        if row["edition"] == 0:
            assert row["corpus_digest"] == corpus.digest
            assert all(rule["version"] == corpus.rule(rule["id"]).version for rule in row["rules"])
    assert len({(row["edition"], row["corpus_digest"]) for row in rows}) == len({row["edition"] for row in rows}) > 1
    versions = {(row["edition"] > 0, rule["id"], rule["version"]) for row in rows for rule in row["rules"]}
    assert {version for changed, _, version in versions if changed} != {version for changed, _, version in versions if not changed}


def test_the_log_has_the_means_of_the_rollouts(trained: Path, rows: list[Row]) -> None:
    lines = [json.loads(line) for line in (trained / "log.jsonl").read_text(encoding="utf-8").splitlines()][1:]
    for line in lines:
        of_step = [row for row in rows if row["step"] == line["step"]]
        assert line["consult_rate"] == pytest.approx(sum(row["mode"] == "consult" for row in of_step) / len(of_step))
        assert line["reward/mean"] == pytest.approx(sum(row["reward"] for row in of_step) / len(of_step))
        assert line["weights/max"] == pytest.approx(max(row["weight"] for row in of_step))
    assert any(row["advantage"] for row in rows)
    metrics = read_json(trained / "metrics.json")
    assert metrics["rollouts"] == len(rows)
    assert 0 < metrics["rollout_seconds"] < metrics["train_seconds"]


def test_a_killed_training_keeps_what_it_wrote_and_the_resumed_one_has_each_rollout_once(
    world: World, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "state/rollouts"
    with stop_once_at(3, monkeypatch):
        world.ifpo(tmp_path, **STEPS)
    assert sorted(file.name for file in kept.iterdir()) == [f"step-00000{step}.parquet" for step in (1, 2, 3)]
    before = {file.name: (file.stat().st_ino, file.read_bytes()) for file in kept.iterdir()}
    assert not (tmp_path / "rollouts.parquet").exists()
    world.ifpo(tmp_path, **STEPS)
    again = {name: (kept / name).stat().st_ino != inode for name, (inode, _) in before.items()}
    assert again == {"step-000001.parquet": False, "step-000002.parquet": False, "step-000003.parquet": True}
    assert (kept / "step-000003.parquet").read_bytes() == before["step-000003.parquet"][1]
    assert (tmp_path / "rollouts.parquet").read_bytes() == (trained / "rollouts.parquet").read_bytes()
    (kept / "step-000002.parquet").unlink()
    with pytest.raises(TrainingError, match=r"step-000002\.parquet.*the rollouts of step 2 are missing"):
        world.ifpo(tmp_path, **STEPS)


def test_the_resumed_training_asks_the_judge_only_for_what_its_cache_lacks(
    world: World, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer(completion(FULL))
    judge = {"name": "openai", "model": "m", "base_url": server.url, "cache": str(tmp_path / "verdicts.sqlite")}
    steps = {"max_steps": 3, "save_steps": 2, "prompts_per_step": 2, "judge": judge}
    with stop_once_at(3, monkeypatch):
        world.ifpo(tmp_path, **steps)
    asked = len(server.requests)
    world.ifpo(tmp_path, **steps)
    assert len(server.requests) == asked > 0
    rows = read_parquet(tmp_path / "rollouts.parquet").to_pylist()
    assert len({(row["prompt_id"], row["text"]) for row in rows if row["valid"]}) >= asked
    assert {row["refusal"] for row in rows if row["valid"]} == {"full"}


def test_rewards_weights_and_advantages_follow_from_the_rows(trained: Path, rows: list[Row]) -> None:
    assert recompute(trained / "rollouts.parquet", PARAMETERS, name=NAME) == len(rows)


def test_what_no_judge_could_say_has_no_reward_and_no_advantage(world: World, server: Server, tmp_path: Path) -> None:
    server.answer(completion("I would rather not say."))
    judge = {"name": "openai", "model": "m", "base_url": server.url, "cache": None, "max_unknown": 1.0}
    steps = {"max_steps": 1, "prompts_per_step": 2, "judge": judge, "rebalance": "conditional"}
    world.ifpo(tmp_path, **steps)
    rows = read_parquet(tmp_path / "rollouts.parquet").to_pylist()
    unjudged = [row for row in rows if row["valid"]]
    assert unjudged
    assert {(row["reward"], row["advantage"], row["outcome"], *row["terms"]) for row in unjudged} == {(None, 0.0, "not_judged")}
    parameters = IfpoConfig.model_validate({**IFPO, **steps}).model_dump(mode="json")
    assert recompute(tmp_path / "rollouts.parquet", parameters, name=NAME) == len(rows)
