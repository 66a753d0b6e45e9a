"""Inputs that leave little or no room in the context: they are cut or empty, and nobody else is cut short by them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ascl_core.config.compute import ComputeConfig
from ascl_core.config.conversation import ConversationConfig
from ascl_core.contracts import Prompt
from ascl_core.conversation.template import END, opening
from ascl_core.conversation.token_ids import prompt_ids
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.generation import Generator, Sampling, make_generator
from ascl_core.progress import Progress
from ascl_core.vocabulary import PromptType, ResponsePolicy
from tests.tiny_model import BACKENDS, make_model, save, teach

ANSWER = "<think>\nA sum.\n</think>\n\nThe answer is four, and four is what two and two give."
COMPUTE = ComputeConfig(device="cpu", threads=1)
CONVERSATION = ConversationConfig()
CONTEXT = 512


def prompt(text: str) -> Prompt:
    return Prompt("id", text, PromptType.UTILITY, ResponsePolicy.COMPLY, "test", "none", "XA")


SHORT = prompt("What is 2 + 2?")
LONG = prompt("What is 2 + 2? " * 200)


@pytest.fixture(scope="module", params=BACKENDS)
def generator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator:
    """A model that knows one answer, to one prompt."""
    folder: Path = tmp_path_factory.mktemp("model")
    model, tokenizer = make_model([SHORT.prompt, ANSWER, CONVERSATION.system_prompt] * 50)
    teach(model, tokenizer, [(prompt_ids(tokenizer, opening(SHORT, CONVERSATION)), ANSWER)])
    return make_generator(save(model, tokenizer, folder), COMPUTE.model_copy(update={"backend": request.param}))


def complete(generator: Generator, *inputs: list[int], max_new_tokens: int = 100) -> list[list[int]]:
    return generator.complete(inputs, sampling=Sampling(temperature=0.0, max_new_tokens=max_new_tokens), batch_size=8)


def test_a_prompt_that_fills_the_context_is_unfinished_and_the_others_are_answered(generator: Generator) -> None:
    rollouts = generator.rollouts(
        [SHORT, LONG, SHORT],
        samples=1,
        sampling=Sampling(temperature=0.0, max_new_tokens=100),
        tool_for=None,
        conversation=CONVERSATION,
        batch_size=8,
        progress=Progress("/dev/null"),
    )
    assert [(r.text, r.num_tokens > 0, r.finished) for r in rollouts] == [
        (ANSWER + END, True, True),
        ("", False, False),
        (ANSWER + END, True, True),
    ]
    facts = read_rollout(rollouts[1].text, finished=False, max_tool_calls=2)
    assert not facts.valid
    assert facts.answer == ""


@pytest.mark.parametrize("room", [1, 3, 7])
def test_an_input_with_little_room_gets_just_that_and_cuts_nobody_else_short(generator: Generator, room: int) -> None:
    short = prompt_ids(generator.tokenizer, opening(SHORT, CONVERSATION))
    tight = (short * CONTEXT)[-(CONTEXT - room) :]
    alone = complete(generator, short)[0]
    assert generator.tokenizer.decode(alone) == ANSWER + END
    together, cut, again = complete(generator, short, tight, short)
    assert together == again == alone
    assert len(cut) == room or cut[-1] == generator.tokenizer.eos_token_id


def test_no_turn_is_longer_than_it_may_be(generator: Generator) -> None:
    short = prompt_ids(generator.tokenizer, opening(SHORT, CONVERSATION))
    whole = complete(generator, short)[0]
    tight = (short * CONTEXT)[-(CONTEXT - 2) :]
    for most in (1, 2, 5, len(whole) - 1):
        assert complete(generator, short, tight, max_new_tokens=most)[0] == whole[:most]


def test_many_long_inputs_are_sampled_together(generator: Generator) -> None:
    """More than vLLM reads in one step."""
    short = prompt_ids(generator.tokenizer, opening(SHORT, CONVERSATION))
    inputs = [(short * CONTEXT)[number : number + CONTEXT - 4] for number in range(20)]
    outputs = generator.complete(inputs, sampling=Sampling(max_new_tokens=2), batch_size=8)
    assert {len(ids) for ids in outputs} <= {1, 2}


def test_with_seeds_of_its_own_a_completion_depends_on_no_other_call(generator: Generator) -> None:
    short = prompt_ids(generator.tokenizer, opening(SHORT, CONVERSATION))

    def sample(seed: int) -> list[int]:
        [ids] = generator.complete([short], sampling=Sampling(2.0, 20), batch_size=8, seeds=[seed])
        return ids

    first = [sample(seed) for seed in range(8)]
    assert [sample(seed) for seed in reversed(range(8))] == first[::-1]
    assert len({tuple(ids) for ids in first}) > 1
