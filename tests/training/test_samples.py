"""Whole conversations and samples by turn: the same tokens are learned, each once, and never one that the tool wrote."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import read_jsonl
from ascl_core.config.parallel import ONE_PROCESS
from ascl_core.config.sft import SftConfig
from ascl_core.contracts import ToolCall
from ascl_core.conversation.template import answering_turn, consulting_turn, opening, tool_turn
from ascl_core.sft.samples import by_turn, to_examples
from ascl_core.sft.train import _arguments
from ascl_core.sft.trainer import SupervisedTrainer
from ascl_core.vocabulary import PromptType
from tests.builders import make_prompt
from tests.tiny_model import make_model
from tests.training.conftest import CONVERSATION, CPU
from tests.unit.test_templated_teacher import BENIGN, HARMFUL, UTILITY, kept

pytestmark = pytest.mark.filterwarnings("ignore")
Learned = Counter[tuple[tuple[int, ...], int]]
"""How often each token carries loss, by what stands before it and itself."""
TWICE = [
    *opening(make_prompt(), CONVERSATION),
    consulting_turn("First.", ToolCall("processes", category="CYB")),
    tool_turn("[CYB-03] comply: Administration. Help fully."),
    consulting_turn("Once more.", ToolCall("servers", category="CYB")),
    tool_turn("[CYB-01] hard_refuse: Breaking in. Never help."),
    answering_turn("So it is.", "Use kill."),
]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Trajectories with no, one and two look-ups."""
    shares = {"consult_share": dict.fromkeys(PromptType, 0.5), "trajectories_per_prompt": dict.fromkeys(PromptType, 3)}
    written, _ = kept(tmp_path_factory.mktemp("sft"), [HARMFUL, BENIGN, UTILITY], **shares)
    assert {row["mode"] for row in written} == {"consult", "direct"}
    return [*written, {**written[0], "id": "twice", "mode": "consult", "messages": TWICE}]


def labelled(rows: list[dict[str, Any]], folder: Path) -> tuple[list[tuple[list[int], list[int]]], Any]:
    """Input ids and labels of each sample, as the trainer of the stage `sft` has them, and its tokenizer."""
    from datasets import Dataset

    model, tokenizer = make_model([str(TWICE)] * 3)
    arguments = _arguments(SftConfig(max_length=512), 1, CPU, ONE_PROCESS, folder)
    trainer = SupervisedTrainer(
        model=model, args=arguments, train_dataset=Dataset.from_list(to_examples(rows, tokenizer)), processing_class=tokenizer
    )
    data: Any = trainer.train_dataset
    batches = [trainer.data_collator([sample]) for sample in data]
    return [(batch["input_ids"][0].tolist(), batch["labels"][0].tolist()) for batch in batches], tokenizer


def learned(samples: list[tuple[list[int], list[int]]]) -> Learned:
    """The tokens that carry loss."""
    return Counter((tuple(ids[:i]), label) for ids, labels in samples for i, label in enumerate(labels) if label != -100)


def test_by_turn_learns_the_same_tokens_as_whole_each_once(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    unique = list({str(row["messages"]): row for row in rows}.values())  # two of them may still begin alike
    whole, _ = labelled(unique, tmp_path / "whole")
    split, _ = labelled(list(by_turn(unique)), tmp_path / "split")
    assert len(split) > len(whole) == len(unique)
    assert learned(split) == learned(whole)
    assert learned(labelled(list(by_turn([unique[-1]])), tmp_path / "one")[0]).most_common(1)[0][1] == 1


@pytest.mark.parametrize("split", [False, True])
def test_a_tool_result_never_carries_loss_and_neither_does_the_user(rows: list[dict[str, Any]], tmp_path: Path, split: bool) -> None:
    samples, tokenizer = labelled(list(by_turn(rows)) if split else rows, tmp_path)
    texts = [tokenizer.decode([label for label in labels if label != -100]) for _, labels in samples]
    wanted = []
    for row in by_turn(rows) if split else rows:
        turns = [message for message in row["messages"] if message["role"] == "assistant"]
        rendered = [tokenizer.apply_chat_template([turn], tokenize=False) for turn in (turns[-1:] if split else turns)]
        wanted.append("".join(text.removeprefix("<|im_start|>assistant\n").removesuffix("\n") for text in rendered))
    assert texts == wanted
    assert not any("<tool_response>" in text or "Never help." in text for text in texts)


def test_a_look_up_becomes_two_samples_and_what_is_known_of_it_stays(rows: list[dict[str, Any]]) -> None:
    consulting = next(row for row in rows if row["mode"] == "consult")
    first, second = by_turn([consulting])
    assert [message["role"] for message in first["messages"]] == ["system", "user", "assistant"]
    assert second["messages"] == list(consulting["messages"])
    assert first["id"] != second["id"]
    assert {row["mode"] for row in (first, second)} == {"consult"}
    assert first["rule_ids"] == consulting["rule_ids"]


def test_the_builder_splits_if_configured(tmp_path: Path) -> None:
    rows, counts = kept(tmp_path, [HARMFUL, BENIGN, UTILITY], samples="by_turn", consult_share=dict.fromkeys(PromptType, 1.0))
    assert (counts["kept"], len(rows)) == (3, 6)
    assert {row["loss_on"] for row in rows} == {"last_turn"}
    assert all(row["messages"][-1]["role"] == "assistant" for row in rows)
    assert len({row["id"] for row in rows}) == 6
    assert len(read_jsonl(tmp_path / "direct_refusal.jsonl")) == 3
