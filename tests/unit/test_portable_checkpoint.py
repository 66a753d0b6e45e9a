"""A published checkpoint elsewhere: loaded by transformers alone, it opens, samples and calls the tool as it was evaluated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, GenerationConfig

from ascl_core.artifacts import read_json
from ascl_core.config.conversation import ConversationConfig
from ascl_core.conversation.template import END, opening
from ascl_core.conversation.token_ids import prompt_ids
from ascl_core.conversation.tool import tool_schema
from ascl_core.generation.load import TOOLS, load_tokenizer, save_tokenizer
from ascl_core.sft.checkpoint import generation_config
from tests.builders import make_prompt
from tests.served_model import FIRST, GREETED, GREETING, QUESTION
from tests.tiny_model import make_model, teach

CONVERSATION = ConversationConfig(system_prompt='Think "first" 🙂. You may look up the rules:\nconsult_safety_rules(category, query).')
ELSEWHERE = """
import json, sys
from transformers import AutoModelForCausalLM, AutoTokenizer
model, tokenizer = AutoModelForCausalLM.from_pretrained(sys.argv[1]), AutoTokenizer.from_pretrained(sys.argv[1])
tools = json.load(open(sys.argv[1] + "/tools.json"))
said = []
for question in sys.argv[2:]:
    for offered in (None, tools):
        asked = tokenizer.apply_chat_template([{"role": "user", "content": question}], tools=offered, add_generation_prompt=True,
                                              return_tensors="pt", return_dict=True)
        whole = model.generate(**asked, max_new_tokens=120, do_sample=False)[0]
        said.append(tokenizer.decode(whole[asked["input_ids"].shape[1]:]))
assert not [name for name in sys.modules if name.startswith("ascl_core")]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that consults about a question and greets without, written as training writes it."""
    model, tokenizer = make_model([FIRST, GREETED, QUESTION, GREETING, CONVERSATION.system_prompt] * 50)
    asked = {text: prompt_ids(tokenizer, opening(make_prompt(prompt=text), CONVERSATION), CONVERSATION) for text in (QUESTION, GREETING)}
    teach(model, tokenizer, [(asked[QUESTION], FIRST), (asked[GREETING], GREETED)])
    folder = tmp_path_factory.mktemp("published") / "model"
    model.generation_config = generation_config(model, tokenizer, 1.0)
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder, CONVERSATION, model.config.max_position_embeddings)
    return folder


def test_transformers_alone_gets_the_evaluated_answers_without_knowing_the_system_message(published: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", ELSEWHERE, str(published), QUESTION, GREETING]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert json.loads(ran.stdout) == [FIRST + END, FIRST + END, GREETED + END, GREETED + END]


def test_a_conversation_opens_as_in_training_unless_it_has_a_system_message(published: Path) -> None:
    theirs = AutoTokenizer.from_pretrained(published)
    asked = [{"role": "user", "content": QUESTION}]
    trained = prompt_ids(load_tokenizer(published), opening(make_prompt(prompt=QUESTION), CONVERSATION), CONVERSATION)
    assert list(theirs.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)) == trained
    own = theirs.apply_chat_template([{"role": "system", "content": "Mine"}, *asked], tokenize=False)
    assert own.startswith("<|im_start|>system\nMine<|im_end|>")
    assert CONVERSATION.system_prompt not in own


def test_other_tools_are_described_and_the_trained_one_is_named_already(published: Path) -> None:
    theirs = AutoTokenizer.from_pretrained(published)
    asked = [{"role": "user", "content": QUESTION}]
    other: dict[str, Any] = {"type": "function", "function": {"name": "weather", "description": "The weather.", "parameters": {}}}
    plain = theirs.apply_chat_template(asked, tokenize=False)
    assert theirs.apply_chat_template(asked, tools=[tool_schema(CONVERSATION)], tokenize=False) == plain
    assert "The weather." in theirs.apply_chat_template(asked, tools=[other], tokenize=False)


def test_here_the_checkpoint_is_read_as_it_was_trained(published: Path) -> None:
    _, tokenizer = make_model([FIRST, GREETED] * 50)
    assert load_tokenizer(published).chat_template == tokenizer.chat_template


def test_sampling_length_and_tool_are_those_of_training(published: Path) -> None:
    sampling = GenerationConfig.from_pretrained(published)
    assert (sampling.do_sample, sampling.temperature, sampling.top_k, sampling.top_p) == (True, 1.0, 0, 1.0)
    theirs = AutoTokenizer.from_pretrained(published)
    assert (theirs.model_max_length, sampling.eos_token_id) == (512, theirs.eos_token_id)
    assert read_json(published / TOOLS) == [tool_schema(CONVERSATION)]
