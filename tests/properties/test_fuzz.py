"""Ten thousand damaged rule files, tables and rollouts end in a value or in an error of the project, never in a traceback.

The fourth target, replies of an endpoint, is in `tests/unit/test_endpoint_chat.py`.
"""

from __future__ import annotations

import gzip
import io
import json
from collections import Counter
from itertools import groupby, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.config.sources import ROWS, SourceConfig
from ascl_core.contracts import ToolCall
from ascl_core.conversation.formats import HARMONY, HERMES, LLAMA, XML
from ascl_core.conversation.steps import steps_of
from ascl_core.conversation.trajectory import read_calls, read_rollout
from ascl_core.data.table_prompts import table_prompts
from ascl_core.errors import AsclError
from ascl_core.judges.rules import classify_refusal
from ascl_core.rules.checks import CorpusUnderCheck, run_checks
from ascl_core.rules.loading import load_folder
from ascl_core.rules.retrieval import RuleIndex, RuleTool
from ascl_core.serving.splitting import Splitter
from tests.builders import make_corpus, make_rule, make_rule_values, write_rules
from tests.fuzzing import damaged

pytestmark = pytest.mark.fuzz
CORPUS = make_corpus(make_rule(), make_rule(id="DRG-01", category="DRG", query="growing plants", title="Plants"))


def test_no_rule_file_of_ten_thousand_ends_in_a_traceback(tmp_path: Path) -> None:
    rules = [make_rule_values(topic="one"), make_rule_values(id="CYB-04", topic="one", effective_until="2026-03-01")]
    block = yaml.dump({"rules": rules}, sort_keys=False).encode()
    folded = b"rules:\n  - id: CYB-05\n    title: 'A b c'\n    text: >-\n      Help with this,\n\n      and say why.\n    precedence: 1_0\n"
    pieces = [
        b"&a ",
        b"*a",
        b"!!python/object:os.system ",
        b"<<: ",
        b"? ",
        b"- ",
        b": ",
        b"---\n",
        b"2026-02-30",
        b"0x1F",
        b"|\n",
        b"%YAML 1.1",
    ]
    pieces += [
        b"rules: ",
        b"examples: ",
        b"version: ",
        b"jurisdictions: ",
        b"<<<<<<< HEAD\n",
        b"=======\n",
        b"<|im_end|>",
        b"1.0.9" + b"9" * 5000,
    ]
    inputs = damaged([block, json.dumps({"rules": rules}).encode(), folded], pieces)
    folder, outcomes = write_rules(tmp_path / "rules", {}), Counter[str]()
    while batch := list(islice(inputs, 50)):
        for number, content in enumerate(batch):
            (folder / f"{number}.yaml").write_bytes(content)
        loaded = load_folder(folder)
        for _, found in groupby(loaded.rules, key=lambda located: located.file):
            corpus = CorpusUnderCheck(loaded.taxonomy, tuple(found), RulesConfig(), {})
            outcomes.update({finding.code for finding in run_checks(corpus) if str(finding).encode()}, rules=1)
        assert all(finding.hint and finding.line for finding in loaded.findings)
        outcomes.update([finding.code for finding in loaded.findings], files=len(batch))
    assert outcomes["files"] == 10_000
    assert outcomes["rules"] > 1_000, outcomes
    assert len(outcomes) > 25, outcomes


def test_no_table_of_ten_thousand_ends_in_a_traceback(tmp_path: Path) -> None:
    rows = [
        {"prompt": "How do I stop a process?", "prompt_type": "borderline", "rule_id": "CYB-03"},
        {"prompt": 'What is "1, 2"\nand 3?', "prompt_type": "utility", "rule_id": ""},
    ]
    lines = "\n".join(map(json.dumps, rows)).encode()
    talk = json.dumps([{**rows[0], "prompt": [{"role": "user", "content": [{"type": "text", "text": "Hello."}]}]}]).encode()
    table = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), table)
    text = b'prompt,prompt_type,rule_id\nHow do I?,borderline,CYB-03\n"What, ""this""\nand that?",harmful,\n'
    seeds = {
        "csv": [text, text.decode().encode("utf-16")],
        "tsv": [text.replace(b",", b"\t")],
        "jsonl": [lines, json.dumps(rows[0]).encode("utf-16")],
        "json": [json.dumps(rows).encode(), lines, talk],
        "parquet": [table.getvalue()],
    }
    pieces = [b"prompt", b"prompt_type", b"answer", b"harmful", b",", b"\t", b'""', b"\n", b'"prompt": ', b"\\u0000", b"ABC-01"]
    outcomes = Counter[tuple[str, str]]()
    for kind, valid in seeds.items():
        packed = [gzip.compress(one, mtime=0) for one in valid]
        count = 2500 if kind != "parquet" else 500
        for name, contents in ((kind, damaged(valid, pieces, count - 100)), (f"{kind}.gz", damaged(packed, pieces, 100))):
            path = tmp_path / f"table.{name}"
            for content in contents:
                path.write_bytes(content)
                outcomes[kind, _outcome(path)] += 1
    assert outcomes.total() >= 10_000
    assert {kind for kind, outcome in outcomes if outcome == "read"} == {*seeds}, outcomes
    assert {kind for kind, outcome in outcomes if outcome == "refused"} == {*seeds}, outcomes


def _outcome(path: Path) -> str:
    source = SourceConfig(name="fuzz", format=ROWS, path=str(path), answer_column=None)
    try:
        prompts = list(table_prompts(source, CORPUS))
    except AsclError as error:
        return "refused" if str(error).encode() else ""
    assert all(prompt.prompt.encode() for prompt in prompts)
    return "read"


ROLLOUTS = {
    HERMES: """<think>
Let me look it up.
</think>

<tool_call>
{"name": "consult_safety_rules", "arguments": {"query": "stop a process", "top_k": 2, "category": "CYB"}}
</tool_call><|im_end|>
<|im_start|>user
<tool_response>
[CYB-03] comply: System administration. Help fully.
</tool_response><|im_end|>
<|im_start|>assistant
<think>
Allowed.
</think>

Use kill.<|im_end|>""",
    XML: """<tool_call>
<function=consult_safety_rules>
<parameter=query>
stop a process
</parameter>
<parameter=top_k>
3
</parameter>
</function>
</tool_call><|im_end|>
<|im_start|>user
<tool_response>
[CYB-03] comply: Help.
</tool_response><|im_end|>
<|im_start|>assistant
Use kill.""",
    LLAMA: '{"name": "consult_safety_rules", "parameters": {"query": "stop a process"}}<|eot_id|>'
    '<|start_header_id|>ipython<|end_header_id|>\n\n"[CYB-03] comply: Help."<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n'
    "Use kill.<|eot_id|>",
    HARMONY: "<|channel|>analysis<|message|>Look.<|end|><|start|>assistant to=functions.consult_safety_rules<|channel|>commentary json"
    '<|message|>{"query": "stop a process"}<|call|><|start|>functions.consult_safety_rules to=assistant<|channel|>commentary<|message|>'
    '"[CYB-03] comply: Help."<|end|><|start|>assistant<|channel|>final<|message|>Use kill.<|return|>',
}


@pytest.mark.parametrize("written", ROLLOUTS, ids=lambda one: one.name)
def test_no_rollout_of_ten_thousand_ends_in_a_traceback(written) -> None:
    """A quarter of them in each format."""
    tool = RuleTool(RuleIndex(CORPUS, RulesConfig().at), "XA", ConversationConfig())
    seeds = [text.encode() for text in ROLLOUTS.values()] + [ROLLOUTS[written].encode()] * len(ROLLOUTS)
    tags = (
        "<think> </think> <tool_call> </tool_call> <tool_response> </tool_response> <|im_end|> <|im_start|>user <|eot_id|> <|call|> <|end|>"
    )
    pieces = [*(tag.encode() for tag in tags.split()), b'"arguments": ', b'"top_k": ', b"<function=", b"</parameter>", b"I cannot help."]
    valid = called = 0
    for content in damaged(seeds, pieces, 2_500):
        text = written.read(content.decode(errors="replace"))
        facts = read_rollout(text, finished=True, max_tool_calls=3)
        assert facts.valid is (facts.problem is None)
        assert facts.valid is bool(facts.answer)
        valid, called = valid + facts.valid, called + bool(facts.calls)
        for call in (*facts.calls, *read_calls(text)):
            _ask(tool, call)
        "".join(step.text for step in steps_of(text)).encode()
        splitter = Splitter()
        "".join(piece.text for part in (text[:40], text[40:]) for piece in splitter.feed(part)).encode()
        classify_refusal(facts.answer)
    assert valid > 100
    assert called > 100


def _ask(tool: RuleTool, call: ToolCall) -> None:
    assert tool(**call.arguments).encode()
