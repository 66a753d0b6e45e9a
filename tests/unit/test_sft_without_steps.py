"""`sft.max_steps: 0`: reinforcement learning starts from the base model, and the log says with what it was made."""

from __future__ import annotations

from pathlib import Path

import pytest

from ascl_core.artifacts import read_jsonl, write_text
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.sft import SftConfig
from ascl_core.contracts import StageContext
from ascl_core.sft.train import sft


@pytest.mark.parametrize("rank", [None, "0", "1"])
def test_the_first_process_publishes_the_base_model_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: str | None) -> None:
    monkeypatch.delenv("RANK", raising=False) if rank is None else monkeypatch.setenv("RANK", rank)
    write_text(tmp_path / "base/config.json", "{}")
    checkpoint, log = tmp_path / "checkpoint", tmp_path / "log.jsonl"
    config = SftConfig(max_steps=0, arm="surrogate")
    context = StageContext(state=tmp_path / "state")
    done = sft(
        sft=config, compute=ComputeConfig(), trajectories=(), base=tmp_path / "base", checkpoint=checkpoint, log=log, context=context
    )
    assert done == {"steps": 0}
    if rank == "1":
        assert not checkpoint.exists()
        assert not log.exists()
    else:
        assert (checkpoint / "config.json").read_text(encoding="utf-8") == "{}"
        assert [line["config"] for line in read_jsonl(log)] == [config.model_dump(mode="json")]
