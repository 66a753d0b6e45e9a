"""`ascl backtest`: recognised traffic, consent, removed personal data, look-ups without a model, and replayed answers of a taught one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import read_json, read_jsonl, write_json, write_jsonl, write_parquet
from ascl_core.backtest.__main__ import main
from ascl_core.backtest.look_ups import look_up
from ascl_core.backtest.redaction import redact
from ascl_core.backtest.traffic import Request, Traffic, read_traffic
from ascl_core.config.rules import RulesConfig
from ascl_core.contracts import EvaluatedRollout, to_table
from ascl_core.errors import DataError
from ascl_core.rules.personal_data import personal_data
from ascl_core.rules.retrieval import RuleIndex
from tasks.execution.adhoc import measured_speed
from tasks.registry.paths import SCRATCH
from tasks.registry.stages import EVALUATION
from tests.builders import make_corpus, make_result, make_rule
from tests.pipeline.workspace import make_workspace
from tests.recorded_run import record_values
from tests.served_model import ANSWERS, GREETING, QUESTION, make_consulting, write_corpus

TURNS = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": QUESTION}]
PARTS = [{"role": "user", "parts": [{"type": "text", "content": QUESTION}, {"type": "blob", "content": "AA=="}]}]
STRUCTURED = {
    "arrayValue": {
        "values": [
            {
                "kvlistValue": {
                    "values": [
                        {"key": "role", "value": {"stringValue": "user"}},
                        {
                            "key": "parts",
                            "value": {
                                "arrayValue": {
                                    "values": [
                                        {
                                            "kvlistValue": {
                                                "values": [
                                                    {"key": "type", "value": {"stringValue": "text"}},
                                                    {"key": "content", "value": {"stringValue": QUESTION}},
                                                ]
                                            }
                                        }
                                    ]
                                }
                            },
                        },
                    ]
                }
            }
        ]
    }
}
FORMS: list[tuple[str, dict[str, Any]]] = [
    ("prompt", {"prompt": QUESTION}),
    ("chat", {"model": "m", "messages": TURNS}),
    ("chat", {"custom_id": "1", "body": {"messages": TURNS}}),
    ("chat", {"messages": [{"role": "user", "content": [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {}}]}]}),
    ("spans", {"name": "chat", "attributes": {"gen_ai.input.messages": json.dumps(PARTS)}}),
    ("spans", {"name": "chat", "attributes": {"gen_ai.input.messages": PARTS}}),
    ("spans", {"attributes.gen_ai.input.messages": json.dumps(PARTS)}),
    ("spans", {"attributes": {"gen_ai.prompt": QUESTION}}),
    ("spans", {"attributes": {}, "events": [{"name": "gen_ai.content.prompt", "attributes": {"gen_ai.prompt": json.dumps(TURNS)}}]}),
    ("spans", {"attributes": {"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": QUESTION}}),
    ("spans", {"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [{"key": "gen_ai.input.messages", "value": STRUCTURED}]}]}]}]}),
]


def read(path: Path, rows: list[dict[str, Any]], consented_by: str | None = None) -> Traffic:
    write_jsonl(path / "traffic.jsonl", rows)
    return read_traffic(str(path / "traffic.jsonl"), consented_by=consented_by, jurisdiction="ANY", known=["ANY", "XA"])


@pytest.mark.parametrize(("form", "row"), FORMS)
def test_the_form_is_recognised_and_the_last_turn_of_the_user_is_taken(form: str, row: dict[str, Any], tmp_path: Path) -> None:
    traffic = read(tmp_path, [row])
    assert traffic.forms == {form: 1}
    assert [request.prompt for request in traffic.requests] == [QUESTION]


def test_parquet_is_read_and_requests_that_are_the_same_are_counted(tmp_path: Path) -> None:
    import pyarrow as pa

    rows = [{"messages": TURNS, "jurisdiction": name} for name in ("XA", None, "XA")]
    write_parquet(tmp_path / "traffic.parquet", pa.Table.from_pylist(rows))
    traffic = read_traffic(str(tmp_path), consented_by=None, jurisdiction="ANY", known=["ANY", "XA"])
    assert [(request.jurisdiction, request.number) for request in traffic.requests] == [("XA", 2), ("ANY", 1)]


def test_a_file_beside_others_that_holds_no_request_is_an_error_and_no_row_without_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"prompt\n{QUESTION}\n")
    (tmp_path / "b.csv").write_text(f"text\n{QUESTION}\n")
    with pytest.raises(DataError, match="has no request: its columns are text"):
        read_traffic(str(tmp_path), consented_by=None, jurisdiction="ANY", known=["ANY"])


def test_only_consented_rows_are_read_and_the_others_are_counted(tmp_path: Path) -> None:
    rows = [{"prompt": QUESTION, "consented": True}, {"prompt": "a", "consented": False}, {"prompt": "b"}, {"messages": 3}]
    traffic = read(tmp_path, rows, "consented")
    assert [request.prompt for request in traffic.requests] == [QUESTION]
    assert traffic.not_consented == 3
    span = {"attributes": [{"key": "app.consent", "value": {"boolValue": True}}, {"key": "gen_ai.prompt", "value": {"stringValue": "c"}}]}
    assert read(tmp_path, [span, {"messages": TURNS, "metadata": {"app.consent": "yes"}}], "app.consent").forms == {"spans": 1, "chat": 1}


def test_the_hint_for_a_missing_file_of_requests_drops_no_source(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"file does not exist\n  hint: check the path; or name a table of recorded requests"):
        read_traffic(str(tmp_path / "gone.jsonl"), consented_by=None, jurisdiction="ANY", known=["ANY"])


@pytest.mark.parametrize("text", ["true", "[1, 2]", '{"a": 1}', "[1] is what?"])
def test_a_prompt_of_an_older_span_that_only_looks_like_json_is_the_text(text: str, tmp_path: Path) -> None:
    assert [request.prompt for request in read(tmp_path, [{"attributes": {"gen_ai.prompt": text}}]).requests] == [text]


@pytest.mark.parametrize(
    ("rows", "consented_by", "said"),
    [
        ([{"prompt": "a"}], "consented", "--all-consented"),
        ([{"prompt": "a", "consented": False}], "consented", "none of 1 rows is marked"),
        ([{"text": "a"}], None, "row 1: has no request: its columns are text"),
        ([{"prompt": "a"}, {"messages": ["a"]}], None, "row 2, messages: expected a list of objects"),
        ([{"attributes": {"gen_ai.input.messages": "[{"}}], None, "row 1, gen_ai.input.messages: not valid JSON"),
        ([{"query_chars": 12, "rules": ["CYB-03"]}], None, "access log of look-ups"),
        ([{"prompt": "a", "jurisdiction": "XZ"}], None, "row 1, jurisdiction: 'XZ' is no jurisdiction of both"),
        ([{"attributes": {"http.method": "GET"}}], None, "no consented row has the text of a user"),
        ([{"prompt": " "}], None, "no consented row has the text of a user"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_its_row_and_a_hint(
    rows: list[dict[str, Any]], consented_by: str | None, said: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, rows, consented_by)
    assert said in str(caught.value)
    assert "traffic.jsonl" in str(caught.value)
    assert caught.value.hint
    assert caught.value.value is None


def test_no_line_that_cannot_be_read_is_shown(tmp_path: Path) -> None:
    (tmp_path / "traffic.jsonl").write_text('{"prompt": "my secret\n')
    with pytest.raises(DataError, match="line 1: not valid JSON") as caught:
        read_traffic(str(tmp_path), consented_by=None, jurisdiction="ANY", known=["ANY"])
    assert "secret" not in str(caught.value)


def test_no_request_is_shown_as_the_name_of_a_column(tmp_path: Path) -> None:
    (tmp_path / "traffic.csv").write_text("my secret,true\nanother,true\n")
    with pytest.raises(DataError, match="row 1: has no request") as caught:
        read_traffic(str(tmp_path), consented_by="consented", jurisdiction="ANY", known=["ANY"])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "I am anna@example.org, who are you?",
        "my card 4111 1111 1111 1111 and, by the way, +49 (0)30 1234567-8 is my number",
        "account DE89 3704 0044 0532 0130 00\nserver 192.168.0.1 or 2001:db8::1",
        "spaced 0 3 0 1 2 3 4 5 6 7 digits, and ｆｕｌｌ ＋４９ ３０ １２３４５６７",
    ],
)
def test_personal_data_is_removed_and_the_rest_stays(text: str) -> None:
    redacted = redact(text)
    assert personal_data(text.replace("\n", " ")) is not None
    assert all(personal_data(line) is None for line in redacted.split("\n"))
    assert redacted.split()[0] == text.split()[0]
    assert not set("0123456789") & set(redacted)
    assert redact(redacted) == redacted


def test_a_text_without_personal_data_stays_as_it_is() -> None:
    text = "On 2026-01-01\tI had  3 apples,\n\nand 12 pears."
    assert redact(text) == text


def test_a_look_up_changes_with_the_rules_found_their_words_and_their_order() -> None:
    old = make_rule()
    request = Request("1", QUESTION, "ANY", 1)

    def changed(*rules: Any, before: tuple[Any, ...] = (old,)) -> frozenset[str] | None:
        indexes = (RuleIndex(make_corpus(*some), RulesConfig().at) for some in (before, rules))
        [one] = look_up([request], *indexes, 3)
        return one.rules if one.is_changed else None

    assert changed(old) is None
    assert changed(make_rule(keywords=["process", "thread"], version="1.1.0")) is None
    assert changed(make_rule(policy="refuse_explain")) == {"CYB-03"}
    assert changed(old, make_rule(id="CYB-07", query="process")) == {"CYB-07"}
    moved = make_rule(id="CYB-07", keywords=["process", "kill"])
    assert changed(old, moved, before=(old, make_rule(id="CYB-07"))) == {"CYB-03", "CYB-07"}, "the order alone"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that does as the rules say, rules that allow and rules that forbid, and a week's traffic."""
    folder = tmp_path_factory.mktemp("backtest")
    make_consulting(folder / "model")
    for word in ANSWERS:
        write_corpus(folder / f"{word}.json", word)
    write_json(folder / "params.json", {"compute": {"device": "cpu", "threads": 1}})
    rows = [{"prompt": prompt, "consented": True} for prompt in (QUESTION, GREETING, QUESTION)]
    write_jsonl(folder / "traffic.jsonl", [*rows, {"prompt": QUESTION, "consented": False}])
    return folder


def run(folder: Path, into: Path, old: str, new: str, *options: str) -> dict[str, Any]:
    paths = ["--old", str(folder / f"{old}.json"), "--new", str(folder / f"{new}.json"), "--params", str(folder / "params.json")]
    into.mkdir(exist_ok=True)
    assert main([str(folder / "traffic.jsonl"), str(into), *paths, "--consented-by", "consented", *options]) == 0
    return dict(read_json(into / "backtest.json"))


def test_without_a_model_only_look_ups_are_compared(folder: Path, tmp_path: Path) -> None:
    found = run(folder, tmp_path, "allowed", "forbidden")
    assert (found["requests"], found["distinct"], found["not_consented"]) == (3, 2, 1)
    assert (found["look_ups_changed"], found["to_replay"], found["replayed"], found["answers_changed"]) == (2, 1, 0, 0)
    assert {row["rule"]: row["look_ups_changed"] for row in found["rules"]} == {"CYB-03": 2, "CYB-07": 2}


def test_the_model_answers_what_changed_under_both_rules_and_each_rule_has_its_counts_and_examples(folder: Path, tmp_path: Path) -> None:
    options = ("--checkpoint", str(folder / "model"), "--out", str(tmp_path / "changed.jsonl"))
    found = run(folder, tmp_path, "allowed", "forbidden", *options)
    assert (found["replayed"], found["answers_changed"], found["help_to_refusal"], found["refusal_to_help"]) == (1, 2, 2, 0)
    assert found["tokens"] > 0
    [row] = read_jsonl(tmp_path / "changed.jsonl")
    assert (row["prompt"], row["requests"], row["change"]) == (QUESTION, 2, "help_to_refusal")
    assert [(row[side]["answer"], row[side]["consulted"]) for side in ("old", "new")] == [
        (ANSWERS["allowed"], ["CYB-03"]),
        (ANSWERS["forbidden"], ["CYB-07"]),
    ]
    assert row["rules"] == ["CYB-03", "CYB-07"]
    assert [(one["rule"], one["help_to_refusal"], len(one["examples"])) for one in found["rules"]] == [("CYB-03", 2, 1), ("CYB-07", 2, 1)]
    assert run(folder, tmp_path, "allowed", "forbidden", *options) == found
    back = run(folder, tmp_path, "forbidden", "allowed", *options)
    assert (back["help_to_refusal"], back["refusal_to_help"]) == (0, 2)


def test_all_requests_can_be_replayed_and_the_same_rules_change_no_answer(folder: Path, tmp_path: Path) -> None:
    options = ("--checkpoint", str(folder / "model"), "--out", str(tmp_path / "changed.jsonl"), "--replay", "all")
    found = run(folder, tmp_path, "allowed", "allowed", *options)
    assert (found["replayed"], found["look_ups_changed"], found["answers_changed"], found["rules"]) == (2, 0, 0, [])
    assert read_jsonl(tmp_path / "changed.jsonl") == []
    assert run(folder, tmp_path, "allowed", "forbidden", *options)["answers_changed"] == 2


def test_an_unreadable_row_is_told_to_the_parent_process(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_jsonl(tmp_path / "traffic.jsonl", [{"text": "a"}])
    paths = ["--old", str(folder / "allowed.json"), "--new", str(folder / "allowed.json"), "--params", str(folder / "params.json")]
    assert main([str(tmp_path / "traffic.jsonl"), str(tmp_path), *paths]) == 1
    assert "row 1: has no request" in capsys.readouterr().err
    assert read_json(tmp_path / "error.json")["type"] == "DataError"


def test_the_estimate_is_of_the_speed_of_the_last_evaluation(tmp_path: Path) -> None:
    assert measured_speed(tmp_path) is None
    write_json(tmp_path / EVALUATION.record.path, record_values(EVALUATION, {}, {}))
    rows = [make_result(num_tokens=number) for number in (40, 80)]
    write_parquet(tmp_path / EVALUATION.outputs["results"].path, to_table(rows, EvaluatedRollout))
    assert measured_speed(tmp_path) == (60, 10)


def test_the_command_says_what_it_recognised_and_left_out_and_which_rules_changed_what_is_found(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    workspace = make_workspace(tmp_path_factory.mktemp("backtest") / "workspace")
    write_jsonl(workspace.root / "traffic.jsonl", [{"messages": TURNS, "consented": True}, {"prompt": "Hi"}])
    write_corpus(workspace.root / "old.json", "allowed")
    write_corpus(workspace.root / "new.json", "forbidden")
    rules = ("--old", "old.json", "--rules", "new.json", "--dry-run")
    shown = workspace.ascl("backtest", "traffic.jsonl", *rules)
    assert "recognised: 1 OpenAI chat request; 1 different prompt" in shown
    assert "left out: 1 without consent" in shown
    assert "to replay: 1 prompt under both sets of rules, tokens and minutes unknown" in shown
    assert "look-ups that changed: 1 of 1 request" in shown
    found = json.loads(workspace.ascl("backtest", "traffic.jsonl", *rules, "--all-consented", "--json"))
    assert (found["requests"], found["estimate"]["requests"]) == (2, 1)
    assert len(list((workspace.root / SCRATCH / "backtest").iterdir())) == 2, "no backtest writes over the files of another one"
    assert "has no answers to write" in workspace.ascl("backtest", "traffic.jsonl", *rules, "--out", "changed.jsonl", status=1)
