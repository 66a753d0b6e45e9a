"""A rollout holds the turns of the model and, word for word, what the tool of its own prompt returned."""

from __future__ import annotations

from pathlib import Path

import pytest

from ascl_core.config.compute import ComputeConfig
from ascl_core.config.conversation import ConversationConfig
from ascl_core.contracts import Prompt, Rollout
from ascl_core.conversation.template import CALL, END, END_CALL, opening
from ascl_core.conversation.token_ids import prompt_ids, tool_suffix
from ascl_core.generation import Generator, Sampling, make_generator
from ascl_core.progress import Progress
from ascl_core.vocabulary import PromptType, ResponsePolicy
from tests.tiny_model import BACKENDS, make_model, save, teach

CONVERSATION = ConversationConfig(max_tool_calls=1)
ASKING = (
    "<think>\nLook.\n</think>\n\n"
    + CALL
    + '\n{"name": "consult_safety_rules", "arguments": {"category": "CYB", "query": "locks"}}\n'
    + END_CALL
)
RULES = {"XA": "[CYB-01] comply: Locks may be opened.", "XB": "[CYB-02] refuse: Locks stay shut."}
ANSWERS = {"XA": "<think>\nMay.\n</think>\n\nTurn it.", "XB": "<think>\nMay not.\n</think>\n\nI cannot say how that is done."}
PLAIN = "<think>\nA sum.\n</think>\n\nFour."


def prompt(text: str, jurisdiction: str) -> Prompt:
    return Prompt(f"{text} {jurisdiction}", text, PromptType.BORDERLINE, ResponsePolicy.COMPLY, "test", "none", jurisdiction)


LOCKS = [prompt("How do I open a lock?", jurisdiction) for jurisdiction in RULES]
SUM = prompt("What is 2 + 2?", "XA")


@pytest.fixture(scope="module", params=BACKENDS)
def generator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator:
    """A model that asks about locks, answers by the rule that comes back, and knows one sum."""
    folder: Path = tmp_path_factory.mktemp("model")
    texts = [ASKING, PLAIN, *RULES.values(), *ANSWERS.values(), LOCKS[0].prompt, SUM.prompt, CONVERSATION.system_prompt]
    model, tokenizer = make_model(texts * 50)
    asked = prompt_ids(tokenizer, opening(LOCKS[0], CONVERSATION))
    called = tokenizer.encode(ASKING + END, add_special_tokens=False)
    lessons = [(asked, ASKING), (prompt_ids(tokenizer, opening(SUM, CONVERSATION)), PLAIN)]
    lessons += [(asked + called + tool_suffix(tokenizer, [RULES[jurisdiction]]), ANSWERS[jurisdiction]) for jurisdiction in RULES]
    teach(model, tokenizer, lessons)
    return make_generator(save(model, tokenizer, folder), ComputeConfig(device="cpu", threads=1, backend=request.param))


def rollouts(generator: Generator, batch_size: int, max_new_tokens: int = 150, temperature: float = 0.0, seed: int = 0) -> list[Rollout]:
    return generator.rollouts(
        [LOCKS[0], SUM, LOCKS[1]],
        samples=2,
        sampling=Sampling(temperature, max_new_tokens, seed),
        tool_for=lambda asked: lambda query, top_k, category: RULES[asked.jurisdiction] if (category, query) == ("CYB", "locks") else "?",
        conversation=CONVERSATION,
        batch_size=batch_size,
        progress=Progress("/dev/null"),
    )


@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_each_rollout_continues_by_what_the_tool_of_its_jurisdiction_says(generator: Generator, batch_size: int) -> None:
    tokenizer = generator.tokenizer
    between = {jurisdiction: tokenizer.decode(tool_suffix(tokenizer, [rule])) for jurisdiction, rule in RULES.items()}
    found = rollouts(generator, batch_size)
    assert [(rollout.prompt_id, rollout.sample) for rollout in found] == [
        (asked.id, k) for asked in (LOCKS[0], SUM, LOCKS[1]) for k in (0, 1)
    ]
    for rollout in found:
        jurisdiction = rollout.prompt_id[-2:]
        text = PLAIN + END if rollout.prompt_id == SUM.id else ASKING + END + between[jurisdiction] + ANSWERS[jurisdiction] + END
        assert (rollout.text, rollout.finished) == (text, True)
        written = text.replace(between[jurisdiction], "") if rollout.prompt_id != SUM.id else text
        assert rollout.num_tokens == len(tokenizer.encode(written, add_special_tokens=False))


def test_the_budget_is_that_of_each_turn(generator: Generator) -> None:
    asking = len(generator.tokenizer.encode(ASKING + END, add_special_tokens=False))
    cut = rollouts(generator, 16, max_new_tokens=asking - 1)
    assert [rollout.finished for rollout in cut] == [False, False, True, True, False, False]
    whole = rollouts(generator, 16, max_new_tokens=asking)
    assert all(rollout.finished for rollout in whole)


def test_the_same_seed_gives_the_same_rollouts(generator: Generator) -> None:
    first, again, other = (rollouts(generator, 4, temperature=2.0, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
