"""The report: self-contained, inert, honest about what has no data, and the same for the same inputs."""

from __future__ import annotations

import dataclasses
import inspect
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import DatasetCard, ModelCard

from ascl_core.artifacts import read_json
from ascl_core.config.report import ReportConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.conversation.steps import steps_of
from ascl_core.errors import DataError
from ascl_core.report.build import report
from ascl_core.report.card_metadata import model_metadata
from ascl_core.report.charts import safety_chart
from ascl_core.report.conversations import choose
from ascl_core.report.inputs import ReportedArm
from ascl_core.report.plots import safety_plot
from ascl_core.report.templates import templates
from ascl_core.report.view import cautions, make_view
from ascl_core.report.wording import markdown, percent
from ascl_core.vocabulary import PromptType
from tasks.registry.stages import REPORT
from tests.builders import make_corpus, make_rule
from tests.report_files import ARMS, RULE, inputs_of, make_row, make_run, write_report


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


def test_the_hub_s_own_client_reads_the_cards(pages: Path) -> None:
    card = ModelCard.load(pages / "model_card.md", ignore_metadata_errors=False)
    assert (card.data.license, card.data.library_name, card.data.pipeline_tag) == ("apache-2.0", "transformers", "text-generation")
    figures = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert {"safety_rate", "over_refusal_strict", "utility", "consult_rate"} <= figures.keys()
    assert all(isinstance(value, float) for value in figures.values())
    assert "vllm serve" in card.text
    assert DatasetCard.load(pages / "data_card.md", ignore_metadata_errors=False).data.license == "apache-2.0"


def test_a_pretrained_base_model_and_data_of_the_hub_are_named(run: dict[str, Any]) -> None:
    record = {"stage": "base_model", "parameters": {"base_model": {"path": "Qwen/Qwen3-4B"}}}
    inputs = dataclasses.replace(inputs_of(run), records=(record,))
    card = templates().get_template("model_card.md.jinja").render(make_view(inputs, ReportConfig(), RulesConfig().at))
    assert "Qwen/Qwen3-4B" in card
    assert "--tool-call-parser PARSER --generation-config" in card  # which one fits is in the checkpoint, not in what the report reads
    text = model_metadata(inputs, [{"name": "x", "source": "hub:owner/data@0f", "licence": "MIT"}, {"name": "y", "source": "data/raw"}])
    data = ModelCard(text).data
    assert (data.base_model, data.datasets, data.license) == ("Qwen/Qwen3-4B", ["owner/data"], "other")


@pytest.mark.parametrize("path", ["models/qwen", "models/", "~/qwen", "/data/models/qwen", "package:qwen"])
def test_a_base_model_of_this_machine_is_no_model_of_the_hub(
    run: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    (tmp_path / "models" / "qwen").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    record = {"stage": "base_model", "parameters": {"base_model": {"path": path}}}
    data = ModelCard(model_metadata(dataclasses.replace(inputs_of(run), records=(record,)), [])).data
    assert (data.base_model, data.license_name) == (None, "that of models" if path == "models/" else "that of qwen")


def test_drawings_have_alternative_texts_with_the_figures(html: str) -> None:
    drawings = [str(a["aria-label"]) for tag, a in structure(html).tags if tag == "svg" and a.get("role") == "img"]
    assert len(drawings) == 7
    safety = next(text for text in drawings if text.startswith("Safety against"))
    assert "ASCL + IFPO: safety 83.3" in safety


def test_same_inputs_give_the_same_bytes(run: dict[str, Any], pages: Path, tmp_path: Path) -> None:
    again = write_report(tmp_path, run)
    names = sorted(str(path.relative_to(pages)) for path in pages.rglob("*") if path.is_file())
    figures = [f"{folder}/{arm}.json" for folder, arms in (("metrics", ARMS), ("plots", ("arms", *ARMS))) for arm in arms]
    assert names == sorted(["data_card.md", "index.html", "model_card.md", "summary.json", *figures])
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


def table(html: str, label: str) -> list[list[str]]:
    """The cells of the table with that label, row by row, as texts."""
    [body] = re.findall(rf'aria-label="{label}">(.*?)</table>', html, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    return [
        [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.DOTALL)] for row in rows
    ]


def test_page_starts_with_the_run_its_end_its_rules_and_what_they_changed(tmp_path: Path) -> None:
    old, new = make_corpus(RULE), make_corpus(make_rule(version="2.0.0", policy="refuse_explain", examples=[]))
    pages = write_report(tmp_path, make_run(tmp_path / "run", corpus=new, released=old), run="20260131-retrain-0a1b2c3d")
    html = (pages / "index.html").read_text(encoding="utf-8")
    head = html.split("<main")[1].split("Criteria of the gate")[0]
    for expected in (
        "20260131-retrain-0a1b2c3d",
        "2026-01-31 12:00 UTC",
        new.digest[:12],
        old.digest[:12],
        "Since release/1: <b>verdict</b>",
    ):
        assert expected in head
    assert [row[0::3] for row in table(html, "Changed rules")[1:]] == [["CYB-03", "1.0.0 → 2.0.0"]]
    assert "CYB-03 1.0.0 → 2.0.0" in (pages / "model_card.md").read_text(encoding="utf-8")
    summary = read_json(pages / "summary.json")
    assert summary["rules_change"] == {"class": "verdict", "rules": ["CYB-03"]}
    assert (summary["run"], summary["released"]) == ("20260131-retrain-0a1b2c3d", "release/1")


def test_what_a_criterion_compares_with_has_a_column_beside_the_candidate(tmp_path: Path) -> None:
    pages = write_report(tmp_path, make_run(tmp_path / "run", released=make_corpus(RULE)))
    html = (pages / "index.html").read_text(encoding="utf-8")
    assert [cell.removesuffix(" front") for cell in table(html, "All arms")[0][1:4]] == ["ASCL + IFPO", "Released: release/1", "ASCL, SFT"]
    criteria = {row[0]: row for row in table(html, "Gate criteria")}
    assert criteria["criterion"][3] == "Released: release/1"
    figures = {row[0].split(" unharmful")[0]: row for row in table(html, "All arms")}
    assert criteria["safety rate"][3] == " ".join(figures["Safety rate"][2].split()[:2]) != criteria["safety rate"][2]
    compared = [row for name, row in criteria.items() if name.startswith("not worse than the release")]
    assert compared, "the gate compares with the release"
    assert all(re.fullmatch(r"\d+\.\d.%", row[3]) for row in compared)


def test_steps_of_curation_add_up_and_say_why_rows_are_added(html: str, pages: Path) -> None:
    assert [row[1:4] for row in table(html, "Curation steps")[1:]] == [["9", "1", "0"], ["11", "2", "4"]]
    for text in (html, (pages / "data_card.md").read_text(encoding="utf-8")):
        assert "one row for each of them" in text


def test_decontamination_is_not_claimed_of_public_sets(tmp_path: Path, pages: Path) -> None:
    card = write_report(tmp_path, make_run(tmp_path / "run", published=("star1_mix", "safechain"))) / "data_card.md"
    assert "safechain, star1 mix are public sets as published: neither curated nor decontaminated" in card.read_text(encoding="utf-8")
    assert "as published" not in (pages / "data_card.md").read_text(encoding="utf-8")


def test_figures_of_stages_look_like_those_of_the_other_tables(html: str) -> None:
    [stage] = [row for row in table(html, "Stages")[1:] if row[0] == "ifpo"]
    assert "safety rate 86.2" in stage[-1]
    assert "prompts 7" in stage[-1]


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
    assert consulting.steps[1].text == "consult_safety_rules(category='CYB', query='administration')"
    assert consulting.rules[0] == (RULE.id, RULE)


def test_choice_does_not_depend_on_the_order_of_the_rows(run: dict[str, Any]) -> None:
    inputs = inputs_of(run)
    reverse = dataclasses.replace(inputs, arms=tuple(dataclasses.replace(arm, rows=arm.rows[::-1]) for arm in inputs.arms))
    assert choose(inputs, 8) == choose(reverse, 8)


def test_right_answers_are_shown_even_where_nothing_was_consulted(run: dict[str, Any]) -> None:
    inputs = inputs_of(run)
    direct = tuple(make_row(kind, i) for kind in PromptType for i in range(3))
    changed = dataclasses.replace(inputs, arms=(ReportedArm("ifpo", rows=direct),))
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
    def front(*arms: tuple[float | None, float, int]) -> tuple[int, ...]:
        safe = [None if safety is None else {"value": safety, "low": safety, "high": safety, "n": n} for safety, _, n in arms]
        refused = [{"value": refusing, "low": refusing, "high": refusing, "n": n} for _, refusing, n in arms]
        return safety_chart([str(i) for i in range(len(arms))], safe, refused).front

    assert front((0.9, 0.1, 100), (0.95, 0.3, 100), (0.9, 0.2, 100), (None, 0.0, 100)) == (0, 1)
    assert front((0.9, 0.1, 100), (0.9, 0.1, 100)) == (0, 1)
    assert front((0.9, 0.1, 100), (1.0, 0.0, 9)) == (0,), "of few answers that could be judged, rates mean little"


def test_a_second_judge_has_its_own_table_if_there_is_one(run: dict[str, Any], html: str) -> None:
    inputs = inputs_of(run)
    metrics = inputs.candidate.metrics
    second = {name: metrics[name] for name in ("headline", "by_prompt_type", "dual_use")} | {"judge": "policy@1"}
    arms = tuple(dataclasses.replace(arm, metrics=metrics | {"second_judge": second}) if arm.name == "ifpo" else arm for arm in inputs.arms)
    view = make_view(dataclasses.replace(inputs, arms=arms), ReportConfig(), RulesConfig().at)
    page = templates().get_template("page.html.jinja").render(view)
    assert ("second opinion", "policy@1") in view["judges"]
    assert "The same responses by a second judge" in page
    assert structure(page).mismatched == []
    assert "second judge" not in html


def test_cautions_name_other_judges_and_other_rules(run: dict[str, Any]) -> None:
    inputs = inputs_of(run)
    *others, last = inputs.arms
    changed = dataclasses.replace(last, metrics=last.metrics | {"judge": "other@1", "corpus_digest": "00"})
    found = " ".join(cautions(dataclasses.replace(inputs, arms=(*others, changed))))
    assert "exemplars@1, other@1" in found
    assert "another version of the rules than the one shown here: Context distillation" in found
    assert "different judges" not in " ".join(cautions(inputs))


def test_a_caution_says_whether_the_second_judge_differs_or_gives_few_verdicts(run: dict[str, Any]) -> None:
    inputs = inputs_of(run)
    arms = tuple(
        dataclasses.replace(arm, metrics={"second_judge": {"judge": judge, "headline": {"coverage": {"value": value}}}})
        for arm, judge, value in zip(inputs.arms[-2:], ("rules@6", "policy@2"), (0.95, 0.4), strict=True)
    )
    found = cautions(dataclasses.replace(inputs, arms=arms))
    assert "The arms were judged by different judges (policy@2, rules@6): their figures are not comparable." in found
    assert f"The second judge had no verdict on many responses; coverage: {arms[1].label} {percent(0.4)}." in found


@pytest.mark.parametrize(("rate", "mode"), [(0.001, "direct"), (0.3, None), (0.999, "consult")])
def test_collapse_to_one_mode_is_a_caution(run: dict[str, Any], rate: float, mode: str | None) -> None:
    inputs = inputs_of(run)
    metrics = inputs.candidate.metrics | {"headline": inputs.candidate.headline | {"consult_rate": {"value": rate}}}
    changed = dataclasses.replace(inputs, arms=(dataclasses.replace(inputs.candidate, metrics=metrics),))
    found = [caution for caution in cautions(changed) if "one mode" in caution]
    assert found == ([f"ASCL + IFPO has collapsed to one mode: nearly all of its responses are {mode}."] if mode else [])


def test_plain_grpo_is_not_called_ifpo() -> None:
    assert ReportedArm("ifpo", config={"rebalance": "none"}).label == "ASCL + GRPO"
    assert ReportedArm("ifpo", config={"rebalance": "ifpo"}).label == "ASCL + IFPO"
    assert "IFPO" not in ReportedArm("ifpo", config={"rebalance": "one_sided"}).label, "only the published rule is called IFPO"


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
