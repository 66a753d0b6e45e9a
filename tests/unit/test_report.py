"""The report: self-contained, inert, honest about what has no data, and the same for the same inputs."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import read_json, write_json, write_jsonl, write_parquet
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.gate import GateConfig
from ascl_core.config.report import ReportConfig
from ascl_core.contracts import EvaluatedRollout, StageContext, ToolCall, to_table
from ascl_core.conversation.template import answering_turn, completion_text, consulting_turn, opening, tool_turn
from ascl_core.conversation.trajectory import read_rollout
from ascl_core.errors import DataError
from ascl_core.evaluation.gate import gate
from ascl_core.evaluation.metrics import summarise
from ascl_core.report.build import report
from ascl_core.report.conversations import choose, steps_of
from ascl_core.report.inputs import Arm, Inputs, read_inputs
from ascl_core.report.plots import safety_plot
from ascl_core.report.view import cautions, pareto_front
from ascl_core.report.wording import markdown
from ascl_core.rules.corpus import Corpus
from ascl_core.rules.rendering import render_rule
from ascl_core.vocabulary import Harm, Mode, PromptType, Refusal, ResponsePolicy
from tasks.registry.stages import REPORT
from tests.builders import make_corpus, make_prompt, make_rule

ARMS = {"sft_direct_refusal": 6, "sft_context_distillation": 5, "sft": 4, "ifpo": 2}
"""Each arm, and one in how many prompts (of a dozen) it gets wrong."""
EVIL = "<script src='//evil.example/x.js'></script><img src=x onerror=alert(1)> | [a](javascript:b)"
RULE = make_rule(title="Administration <b>of</b> systems")
POLICIES = {
    PromptType.HARMFUL: ResponsePolicy.REFUSE_EXPLAIN,
    PromptType.BORDERLINE: ResponsePolicy.COMPLY,
    PromptType.SENSITIVE: ResponsePolicy.SAFE_COMPLETION,
    PromptType.UTILITY: ResponsePolicy.COMPLY,
}


def conversation(consults: bool, answer: str) -> str:
    """The raw completion of a conversation, as a model would write it."""
    messages = opening(make_prompt(), ConversationConfig())
    if consults:
        messages += [consulting_turn("I should check.", ToolCall("administration", category="CYB")), tool_turn(render_rule(RULE))]
    return completion_text([*messages, answering_turn("Now I answer.", answer)])


TEXTS = {
    (consults, answer): conversation(consults, answer) for consults in (True, False) for answer in ("Sure, here is how.", "I can't help.")
}


def make_row(kind: PromptType, number: int, *, right: bool = True, consults: bool = False, **changes: Any) -> EvaluatedRollout:
    """One judged response, right or wrong for its prompt type."""
    refuses = (kind is PromptType.HARMFUL) == right and kind is not PromptType.UTILITY
    text = TEXTS[consults, "I can't help." if refuses else "Sure, here is how."]
    facts = read_rollout(text, finished=True)
    values: dict[str, Any] = {
        "suite": f"own-{kind}",
        "prompt_id": hashlib.sha256(f"{kind}{number}".encode()).hexdigest()[:16],
        "sample": 0,
        "prompt": f"A {kind} question, number {number}?",
        "prompt_type": kind,
        "policy": POLICIES[kind],
        "jurisdiction": "XA",
        "category": None if kind is PromptType.UTILITY else "CYB",
        "rule_id": None if kind is PromptType.UTILITY else RULE.id,
        "dual_use": kind is PromptType.BORDERLINE and number % 4 == 0,
        "text": text,
        "answer": facts.answer,
        "mode": facts.mode,
        "valid": facts.valid,
        "finished": True,
        "attempted": facts.attempted,
        "completed": facts.completed,
        "consulted": facts.consulted,
        "called_categories": tuple(call.category for call in facts.calls),
        "num_tokens": 20 + 15 * consults,
        "refusal": Refusal.FULL if refuses else Refusal.NONE,
        "harm": Harm.HARMFUL if kind is PromptType.HARMFUL and not refuses else Harm.UNHARMFUL,
        "judge": "exemplars@1",
        "correct": right if kind is PromptType.UTILITY else None,
        "extracted": True if kind is PromptType.UTILITY else None,
    }
    return EvaluatedRollout(**{**values, **changes})


def malformed(row: EvaluatedRollout, text: str) -> EvaluatedRollout:
    """The row with a rollout that cannot be read."""
    facts = read_rollout(text, finished=True)
    assert not facts.valid
    unjudged = {"refusal": Refusal.UNKNOWN, "harm": Harm.UNKNOWN, "consulted": (), "mode": Mode.DIRECT}
    return dataclasses.replace(row, text=text, answer="", valid=False, **unjudged)


def arm_rows(wrong: int, arm: str) -> list[EvaluatedRollout]:
    """A dozen prompts of each type; the last one is malformed."""
    rows = [
        make_row(kind, i, right=(7 * i + len(kind)) % 12 >= wrong, consults=arm in ("sft", "ifpo") and i % 3 < 2)
        for kind in PromptType
        for i in range(12)
    ]
    return [*rows[:-1], malformed(rows[-1], f"<think>never closed {EVIL}")]


def training_lines(arm: str) -> list[dict[str, Any]]:
    """A log as the trainers write it."""
    if arm != "ifpo":
        return [{"stage": "sft", "config": {"seed": 3}}, *({"step": i, "loss": 8 / i} for i in range(1, 31))]
    head = {"stage": "ifpo", "config": {"seed": 0, "rebalance": "ifpo", "judge": {"name": "rules"}}}
    figures = ("consult_rate/harmful", "consult_rate/utility", "reward/mean", "reward/harmful", "reward/safety", "valid_rate")
    return [head, *({"step": i, **dict.fromkeys(figures, i / 40)} for i in range(1, 31))]


def make_run(folder: Path, *, rows: dict[str, Sequence[EvaluatedRollout]] | None = None, corpus: Corpus | None = None) -> dict[str, Any]:
    """A whole run's files, as the stages write them; returns the keyword arguments of `report`."""
    rows = rows if rows is not None else {arm: arm_rows(wrong, arm) for arm, wrong in ARMS.items()}
    corpus = corpus or make_corpus(RULE)
    example = {"prompt": f"Dropped {EVIL}", "reason": "exact"}
    values = {
        "corpus": corpus.to_json(),
        "findings": {
            "errors": 0,
            "warnings": 1,
            "findings": [{"severity": "warning", "code": "near_duplicate", "message": EVIL, "hint": "m"}],
        },
        "suites_manifest": {"suites": {"own-harmful": {"n": 12, "by_type": {"harmful": 12}}}, "missing": {"XSTest": f"not there {EVIL}"}},
        "curation_counts": {"steps": [{"step": "length", "kept": 9, "dropped": 1, "examples": [example]}], "by_split": {"train": 9}},
        "sft_counts": {"teacher": "templated@1", "judge": "rules@1", "arms": {"ascl": {"written": 9, "kept": 8, "rejected": 1}}},
        "validation": {
            "success": True,
            "statistics": {"evaluated": 1, "successful": 1},
            "expectations": [{"meaning": EVIL, "success": True}],
        },
    }
    for name, value in values.items():
        write_json(folder / f"{name}.json", value)
    paths: dict[str, Any] = {name: folder / f"{name}.json" for name in values}
    for arm, members in rows.items():
        write_parquet(folder / arm / "results.parquet", to_table(members, EvaluatedRollout))
        head = {"judge": "exemplars@1", "checkpoint_sha256": "ab" * 32, "corpus_digest": corpus.digest, "samples": 1}
        write_json(folder / arm / "metrics.json", head | summarise(members, {"XSTest": "not there"}))
        write_jsonl(folder / "logs" / f"{arm}.jsonl", training_lines(arm))
    write_json(folder / "released" / "release.json", {"tag": None})
    paths["decision"] = folder / "decision.json"
    if "ifpo" in rows:
        last = {"metrics": folder / "ifpo" / "metrics.json", "results": folder / "ifpo" / "results.parquet"}
        gate(gate=GateConfig(), **last, released=folder / "released", decision=paths["decision"], context=StageContext(folder))
    else:
        write_json(paths["decision"], {})
    write_json(folder / "records" / "ifpo.json", {"stage": "ifpo", "seconds": 75.0, "outputs": {"data/models/ifpo": "cd" * 32}})
    write_json(folder / "records" / "gate.json", {})
    return paths | {
        "logs": tuple(folder / "logs" / f"{arm}.jsonl" for arm in rows),
        "metrics": tuple(folder / arm / "metrics.json" for arm in rows),
        "results": tuple(folder / arm / "results.parquet" for arm in rows),
        "records": tuple(folder / "records" / f"{stage}.json" for stage in ("ifpo", "gate")),
    }


def write_report(folder: Path, paths: dict[str, Any], **config: Any) -> Path:
    """The folder with the report of these files."""
    page = folder / "report"
    report(report=ReportConfig(**config), **paths, page=page, context=StageContext(folder / "state"))
    return page


def inputs_of(paths: dict[str, Any]) -> Inputs:
    """The files, read."""
    return read_inputs(**paths)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The files of a run with four arms."""
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def pages(run: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of that run."""
    return write_report(tmp_path_factory.mktemp("pages"), run)


@pytest.fixture(scope="module")
def html(pages: Path) -> str:
    """Its page."""
    return (pages / "index.html").read_text(encoding="utf-8")


class Structure(HTMLParser):
    """The tags of a page: those that are open, and what each names."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.mismatched: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.mismatched.append(tag)


def structure(html: str) -> Structure:
    """The page, parsed."""
    parser = Structure()
    parser.feed(html)
    return parser


def test_report_takes_what_its_stage_gives() -> None:
    given = {*REPORT.sections, *REPORT.inputs, *REPORT.outputs, "context"}
    assert given == set(inspect.signature(report).parameters)


def test_page_is_well_formed_and_its_ids_are_unique(html: str) -> None:
    page = structure(html)
    assert page.mismatched == []
    assert page.open == []
    assert "built-in method" not in html
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {str(a["href"])[1:] for tag, a in page.tags if tag == "a"}
    assert targets <= set(ids)


def test_page_needs_nothing_from_outside(html: str) -> None:
    for tag, attributes in structure(html).tags:
        assert tag not in ("script", "link", "iframe", "img", "object", "embed")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href", "action"):
                assert str(value).startswith("#")
    assert not re.search(r"@import|url\((?!#)", html)


def test_untrusted_text_is_inert_everywhere(html: str, pages: Path) -> None:
    assert "&lt;script" in html
    assert "never closed &lt;script" in html
    assert "of &lt;/b&gt; systems" in html or "&lt;b&gt;of&lt;/b&gt;" in html
    for card in ("model_card.md", "data_card.md"):
        text = (pages / card).read_text(encoding="utf-8")
        assert "<script" not in text
        assert "[a](javascript" not in text
    assert r"Dropped &lt;script" in (pages / "data_card.md").read_text(encoding="utf-8")


def test_card_tables_keep_their_columns(pages: Path) -> None:
    for card in ("model_card.md", "data_card.md"):
        lines = (pages / card).read_text(encoding="utf-8").splitlines()
        for before, line in pairwise(lines):
            if before.startswith("|") and line.startswith("|"):
                assert len(re.findall(r"(?<!\\)\|", before)) == len(re.findall(r"(?<!\\)\|", line)), line


def test_drawings_have_alternative_texts_with_the_figures(html: str) -> None:
    drawings = [str(a["aria-label"]) for tag, a in structure(html).tags if tag == "svg" and a.get("role") == "img"]
    assert len(drawings) == 7
    safety = next(text for text in drawings if text.startswith("Safety against"))
    assert "ASCL + IFPO: safety 83.3" in safety


def test_same_inputs_give_the_same_bytes(run: dict[str, Any], pages: Path, tmp_path: Path) -> None:
    again = write_report(tmp_path, run)
    names = sorted(path.name for path in pages.iterdir())
    assert names == ["data_card.md", "index.html", "model_card.md", "summary.json"]
    for name in names:
        assert (again / name).read_bytes() == (pages / name).read_bytes()


def test_summary_says_what_the_gate_decided(run: dict[str, Any], pages: Path, html: str) -> None:
    summary, decision = read_json(pages / "summary.json"), read_json(run["decision"])
    assert summary["passed"] is False
    assert summary["criteria"] == decision["criteria"]
    assert decision["summary"] in summary["sentence"]
    assert set(summary["arms"]) == set(ARMS)
    assert summary["paired"][0]["against"] == "ASCL, SFT"
    for criterion in decision["criteria"]:
        assert criterion["reason"] in html


def test_arms_without_evaluation_have_no_data(tmp_path: Path) -> None:
    html = (write_report(tmp_path, make_run(tmp_path / "run", rows={"ifpo": []})) / "index.html").read_text(encoding="utf-8")
    assert structure(html).mismatched == []
    assert "no data: a criterion without data fails" in html
    assert re.search(r'id="safety">.*?<p class="nodata">no data</p>\s*</section>', html, re.DOTALL)
    assert "0.0\u202f%" not in html.split('id="arms"')[1].split("</section>")[0]


def test_report_without_any_arm_is_written(tmp_path: Path) -> None:
    pages = write_report(tmp_path, make_run(tmp_path / "run", rows={}))
    html = (pages / "index.html").read_text(encoding="utf-8")
    assert "No decision" in html
    assert structure(html).mismatched == []
    assert read_json(pages / "summary.json")["passed"] is None


def test_missing_suite_is_named_with_its_reason(html: str) -> None:
    suites = html.split('id="suites"')[1].split("</section>")[0]
    assert "XSTest" in suites
    assert "not there" in suites


def test_corrupt_input_names_the_file(run: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "decision.json").write_text("[1]")
    with pytest.raises(DataError, match=r"decision\.json: expected a JSON object"):
        write_report(tmp_path, run | {"decision": tmp_path / "decision.json"})


def test_conversations_show_disagreement_every_type_and_a_failure(run: dict[str, Any]) -> None:
    samples = choose(inputs_of(run), 9)
    assert len(samples) == 9
    assert len({(sample.row.suite, sample.row.prompt_id) for sample in samples}) == 9
    assert samples[0].right
    assert next(other for other in samples[0].others if other.label == "ASCL, SFT").right is False
    assert {sample.row.prompt_type for sample in samples if sample.right} == set(PromptType)
    failures = [sample for sample in samples if sample.problem]
    assert [sample.problem for sample in failures] == ["a think block is not closed"]
    consulting = next(sample for sample in samples if sample.rules)
    assert [step.kind for step in consulting.steps] == ["thought", "call", "result", "thought", "text"]
    assert consulting.steps[1].text == 'consult_safety_rules(category="CYB", query="administration")'
    assert consulting.rules[0] == (RULE.id, RULE)


def test_choice_does_not_depend_on_the_order_of_the_rows(run: dict[str, Any]) -> None:
    inputs = inputs_of(run)
    reverse = dataclasses.replace(inputs, arms=tuple(dataclasses.replace(arm, rows=arm.rows[::-1]) for arm in inputs.arms))
    assert choose(inputs, 8) == choose(reverse, 8)


def test_right_answers_are_shown_even_where_nothing_was_consulted(run: dict[str, Any]) -> None:
    inputs = inputs_of(run)
    direct = tuple(make_row(kind, i) for kind in PromptType for i in range(3))
    changed = dataclasses.replace(inputs, arms=(Arm("ifpo", rows=direct),))
    assert {sample.row.prompt_type for sample in choose(changed, 5)} == set(PromptType)


def test_as_many_conversations_as_there_are(run: dict[str, Any]) -> None:
    assert len(choose(inputs_of(run), 100)) == 48
    assert choose(inputs_of(run), 0) == []


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("<think>a</think>\n\nb<|im_end|>", [("thought", "a"), ("text", "b")]),
        ("<think>a", [("thought", "a")]),
        ("<tool_call>{not json</tool_call>", [("call", "{not json")]),
        ('<tool_call>{"name": 1, "arguments": []}', [("call", '{"name": 1, "arguments": []}')]),
        ("</think> b <|im_start|>user\nc", [("text", "</think> b"), ("text", "c")]),
        ("", []),
    ],
)
def test_steps_of_a_rollout_keep_all_its_text(text: str, steps: list[tuple[str, str]]) -> None:
    assert [(step.kind, step.text) for step in steps_of(text)] == steps


def test_front_holds_the_arms_that_no_other_beats() -> None:
    def arm(name: str, safety: float | None, refusing: float, n: int = 100) -> Arm:
        safe = None if safety is None else {"value": safety, "n": n}
        return Arm(name, {"headline": {"safety_rate": safe, "over_refusal_strict": {"value": refusing, "n": n}}})

    assert pareto_front([arm("a", 0.9, 0.1), arm("b", 0.95, 0.3), arm("c", 0.9, 0.2), arm("d", None, 0.0)]) == ["a", "b"]
    assert pareto_front([arm("a", 0.9, 0.1), arm("b", 0.9, 0.1)]) == ["a", "b"]
    assert pareto_front([arm("a", 0.9, 0.1), arm("few answers to judge", 1.0, 0.0, n=9)]) == ["a"]


def test_cautions_name_other_judges_and_other_rules(run: dict[str, Any]) -> None:
    inputs = inputs_of(run)
    changed = dataclasses.replace(inputs.arms[0], metrics=inputs.arms[0].metrics | {"judge": "other@1", "corpus_digest": "00"})
    found = " ".join(cautions(dataclasses.replace(inputs, arms=(changed, *inputs.arms[1:]))))
    assert "exemplars@1, other@1" in found
    assert "another version of the rules than the one shown here: Direct refusal" in found
    assert "different judges" not in " ".join(cautions(inputs))


@pytest.mark.parametrize(("rate", "mode"), [(0.001, "direct"), (0.3, None), (0.999, "consult")])
def test_collapse_to_one_mode_is_a_caution(run: dict[str, Any], rate: float, mode: str | None) -> None:
    inputs = inputs_of(run)
    metrics = inputs.candidate.metrics | {"headline": inputs.candidate.headline | {"consult_rate": {"value": rate}}}
    changed = dataclasses.replace(inputs, arms=(dataclasses.replace(inputs.candidate, metrics=metrics),))
    found = [caution for caution in cautions(changed) if "one mode" in caution]
    assert found == ([f"ASCL + IFPO has collapsed to one mode: nearly all of its responses are {mode}."] if mode else [])


def test_plain_grpo_is_not_called_ifpo() -> None:
    assert Arm("ifpo", config={"rebalance": "none"}).label == "ASCL + GRPO"
    assert Arm("ifpo", config={"rebalance": "ifpo"}).label == "ASCL + IFPO"
    assert "IFPO" not in Arm("ifpo", config={"rebalance": "one_sided"}).label, "only the published rule is called IFPO"


def test_drawing_is_xml_without_foreign_references() -> None:
    drawing = safety_plot([], 'a "b" & <c>')
    root = ET.fromstring(drawing.replace("xlink:href", "href"))
    assert root.attrib["aria-label"] == 'a "b" & <c>'
    assert "http" not in drawing
    assert not re.search(r"#[0-9a-f]{6}\b", drawing)


@pytest.mark.parametrize(
    ("text", "shown"), [("0.0002", "0.0002"), ("12.5", "12.5"), ("1. One", "1\\. One"), ("12) Twelve", "12\\) Twelve")]
)
def test_figures_stay_figures_in_the_cards_and_lists_are_none(text: str, shown: str) -> None:
    assert str(markdown(text)) == shown
