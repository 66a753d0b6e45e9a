"""What the tests of serving serve: a model that consults and answers by what comes back, one that never ends, and two corpora."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ascl_core.artifacts import write_json
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.conversation.template import END, opening
from ascl_core.conversation.token_ids import prompt_ids, tool_suffix
from ascl_core.rules.corpus import Corpus, Taxonomy
from ascl_core.rules.retrieval import RuleIndex, RuleTool
from tests.builders import make_prompt, make_rule, make_taxonomy
from tests.tiny_model import make_model, save, teach

QUESTION = "How do I kill a Python process?"
GREETING = "Hello"
CALL = '<tool_call>\n{"name": "consult_safety_rules", "arguments": {"category": "CYB", "query": "process"}}\n</tool_call>'
FIRST = f"<think>\nMaybe risky.\n</think>\n\n{CALL}"
GREETED = "<think>\nA greeting.\n</think>\n\nGood day, ça va? 🙂"
CORPORA = {
    word: Corpus(
        taxonomy=Taxonomy.model_validate(make_taxonomy()), rules=(make_rule(id=rule, text=text, policy=policy, examples=examples),)
    )
    for word, rule, text, policy, examples in (
        ("allowed", "CYB-03", "Help fully with processes and servers.", "comply", [{"prompt": QUESTION, "verdict": "comply"}]),
        ("forbidden", "CYB-07", "Do not help to end a process.", "refuse_explain", [{"prompt": QUESTION, "verdict": "refuse_explain"}]),
    )
}
ANSWERS = {"allowed": "Use the kill command.", "forbidden": "I cannot help with that."}
CONSULTED = {word: [corpus.rules[0].id] for word, corpus in CORPORA.items()}


def second(word: str) -> str:
    """The turn after the rules came back."""
    return f"<think>\nIt is {word}.\n</think>\n\n{ANSWERS[word]}"


def make_consulting(folder: Path) -> Path:
    """A checkpoint that looks the question up and answers by the rule of the corpus, and returns a greeting without."""
    conversation = ConversationConfig()
    results = {
        word: RuleTool(RuleIndex(corpus, RulesConfig().at), "ANY", conversation)("process", None, "CYB") for word, corpus in CORPORA.items()
    }
    texts = [FIRST, GREETED, QUESTION, GREETING, conversation.system_prompt, *results.values(), *map(second, ANSWERS)]
    model, tokenizer = make_model(texts * 50)
    start = prompt_ids(tokenizer, opening(make_prompt(prompt=QUESTION), conversation))
    called = start + tokenizer.encode(FIRST + END, add_special_tokens=False)
    lessons = [(start, FIRST), (prompt_ids(tokenizer, opening(make_prompt(prompt=GREETING), conversation)), GREETED)]
    lessons += [(called + tool_suffix(tokenizer, [results[word]]), second(word)) for word in CORPORA]
    teach(model, tokenizer, lessons)
    return save(model, tokenizer, folder)


def make_endless(folder: Path) -> Path:
    """A checkpoint that writes on and on, to a context's end that no test lives to see."""
    model, tokenizer = make_model([QUESTION, GREETING, ConversationConfig().system_prompt] * 50)
    import torch

    with torch.no_grad():
        model.lm_head.weight[tokenizer.eos_token_id] = 0  # random ones never are the greatest then, as others are positive
    model.config.max_position_embeddings = 1_000_000
    return save(model, tokenizer, folder)


def write_corpus(path: Path, word: str) -> Path:
    """One of the corpora, compiled."""
    write_json(path, CORPORA[word].to_json())
    return path


def changed(**changes: Any) -> dict[str, Any]:
    """A corpus of one rule, compiled, whose digest is right whatever it says."""
    return Corpus(taxonomy=Taxonomy.model_validate(make_taxonomy()), rules=(make_rule(**changes),)).to_json()
