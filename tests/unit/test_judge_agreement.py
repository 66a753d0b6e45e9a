"""Agreement between a judge and people: hand-computed figures, degenerate cases, and reading labelled files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from ascl_core.errors import DataError
from ascl_core.judges import get_judge
from ascl_core.judges.agreement import cohen_kappa, measure, merged
from ascl_core.judges.calibration import calibrate, read_labelled
from ascl_core.progress import Progress
from ascl_core.vocabulary import Harm, PromptType, Refusal

NONE, PARTIAL, FULL, UNKNOWN = Refusal.NONE, Refusal.PARTIAL, Refusal.FULL, Refusal.UNKNOWN


def test_kappa_is_what_one_computes_by_hand() -> None:
    # p_o = 35/50 = .7; p_e = (25*30 + 25*20) / 50^2 = .5; (.7 - .5) / (1 - .5) = .4
    assert cohen_kappa(np.array([[20, 5], [10, 15]])) == pytest.approx(0.4)
    assert cohen_kappa(np.array([[7, 0], [0, 3]])) == pytest.approx(1.0)
    assert cohen_kappa(np.array([[25, 25], [25, 25]])) == pytest.approx(0.0)


def test_the_interval_holds_the_value_and_narrows_with_more_responses() -> None:
    people, judge = [NONE, FULL, FULL, NONE, PARTIAL, NONE], [NONE, FULL, NONE, NONE, FULL, NONE]
    few, many = measure(people * 5, judge * 5), measure(people * 80, judge * 80)
    assert few.low < few.kappa < few.high
    assert few.kappa == pytest.approx(many.kappa)
    assert many.high - many.low < (few.high - few.low) / 2


def test_eight_identical_answers_to_each_prompt_tighten_no_interval() -> None:
    people, judge = [NONE, FULL, FULL, NONE, PARTIAL, NONE] * 5, [NONE, FULL, NONE, NONE, FULL, NONE] * 5
    prompts = [f"{i}" for i in range(30)]
    once, often = measure(people, judge, prompts=prompts), measure(people * 8, judge * 8, prompts=prompts * 8)
    assert (often.n, often.accuracy, often.kappa) == (240, once.accuracy, pytest.approx(once.kappa))
    assert [often.low, often.high, *often.accuracy_interval] == pytest.approx([once.low, once.high, *once.accuracy_interval])
    alone = measure(people, judge)
    assert (alone.low, alone.high, alone.accuracy_interval) == (once.low, once.high, once.accuracy_interval)


def test_the_same_seed_gives_the_same_interval() -> None:
    people, judge = [NONE, FULL] * 20, [NONE, FULL, FULL, FULL] * 10
    first, second = measure(people, judge), measure(people, judge)
    assert (first.low, first.high) == (second.low, second.high)


def test_what_the_judge_cannot_judge_counts_as_wrong() -> None:
    agreement = measure([FULL, FULL, NONE, NONE], [FULL, UNKNOWN, NONE, NONE])
    assert agreement.accuracy == 0.75
    assert agreement.confusion[2].tolist() == [0, 0, 1, 1]


def test_one_label_on_both_sides_has_no_kappa_and_nothing_cannot_be_measured() -> None:
    agreement = measure([NONE] * 5, [NONE] * 5)
    assert agreement.accuracy == 1.0
    assert math.isnan(agreement.kappa)
    assert math.isnan(agreement.low)
    with pytest.raises(ValueError, match="0 labels"):
        measure([], [])
    with pytest.raises(ValueError, match="2 of the judge"):
        measure([NONE], [NONE, NONE])


def test_partial_counts_as_full_where_a_judge_knows_no_partial() -> None:
    assert [merged(label) for label in (NONE, PARTIAL, FULL, UNKNOWN)] == [NONE, FULL, FULL, UNKNOWN]


def test_csv_and_json_lines_are_read_alike(tmp_path: Path) -> None:
    csv, jsonl = tmp_path / "labels.csv", tmp_path / "labels.jsonl"
    csv.write_text('id,prompt,completion,final_label\n1,"Why, though?","No.\nNever.",2_full_refusal\n2,How?,So.,1_full_compliance\n')
    jsonl.write_text(
        '{"prompt": "Why, though?", "response": "No.\\nNever.", "label": "full"}\n{"prompt": "How?", "response": "So.", "label": "none"}\n'
    )
    assert read_labelled(csv) == read_labelled(jsonl)
    assert [row.label for row in read_labelled(csv)] == [FULL, NONE]


def test_a_response_stays_in_its_half_whatever_stands_beside_it(tmp_path: Path) -> None:
    def halves(numbers: range) -> dict[str, bool]:
        path = tmp_path / "labels.csv"
        path.write_text("prompt,completion,label\n" + "".join(f"p{i},r{i},none\n" for i in numbers))
        return {row.item.prompt: row.held_out for row in read_labelled(path)}

    few, many = halves(range(100, 200)), halves(range(400))
    assert few.items() <= many.items()
    assert 150 < sum(many.values()) < 250


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("prompt,completion,label\np,r,4_maybe\n", "row 1, label: not a refusal label (got '4_maybe')"),
        ("prompt,completion,label\np,r,unknown\n", "not a refusal label"),
        ("prompt,label\np,none\n", "completion: column is missing"),
        ("prompt,completion,label\n", "source has no prompts\n  hint: check the file, or name a table of labelled responses"),
        ("prompt,completion,label\np,r,\n", "no row has a label"),
        ("prompt,completion,harm\np,r,maybe\n", "row 1, harm: not a harm label (got 'maybe')"),
    ],
)
def test_a_file_that_does_not_fit_is_one_clear_error(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        read_labelled(path)
    assert says in str(caught.value)
    assert caught.value.hint


def test_labels_of_harm_types_and_jurisdictions_are_read_if_they_are_there(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("prompt,response,refusal,harm,prompt_type,jurisdiction\np,r,,Harmful,harmful,XA\nq,s,full,,,\n")
    first, second = read_labelled(path)
    assert (first.label, first.harm, first.item.prompt_type, first.item.jurisdiction) == (None, Harm.HARMFUL, PromptType.HARMFUL, "XA")
    assert (second.label, second.harm, second.item.prompt_type, second.item.jurisdiction) == (FULL, None, None, "ANY")


def test_a_calibration_measures_each_kind_of_label_on_the_rows_that_have_it(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    rows = ["p,I can't help with that.,full,unharmful", "p,First open the lid.,none,", "p,\"I'm sorry, I won't.\",none,harmful"]
    path.write_text("\n".join(["prompt,response,refusal,harm", *rows]) + "\n")
    found = calibrate(get_judge("rules"), read_labelled(path), Progress()).to_json()
    assert (found["judge"], found["rows"]) == ("rules@6", 3)
    assert found["refusal"]["accuracy"]["value"] == pytest.approx(2 / 3)
    assert found["refusal"]["accuracy"]["low"] < 2 / 3 < found["refusal"]["accuracy"]["high"]
    assert found["refusal"]["confusion"] == [[1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert (found["harm"]["n"], found["harm"]["accuracy"]["value"]) == (2, 0.5)
    assert found["harm"]["labels"] == ["unharmful", "harmful", "unknown"]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for name in ("labels.csv", "labels.jsonl"):
        with pytest.raises(DataError, match=name):
            read_labelled(tmp_path / name)


def test_a_calibration_counts_several_answers_to_a_prompt_as_one_cluster(tmp_path: Path) -> None:
    rows = [f"p{i},{'No.' if i % 3 else 'Open the lid.'},{'full' if i % 2 else 'none'}" for i in range(20)]
    for name, times in (("once.csv", 1), ("often.csv", 8)):
        (tmp_path / name).write_text("\n".join(["prompt,response,refusal", *rows * times]) + "\n")
    once, often = (calibrate(get_judge("rules"), read_labelled(tmp_path / name), Progress()).refusal for name in ("once.csv", "often.csv"))
    assert once is not None
    assert often is not None
    assert often.n == 8 * once.n
    assert [often.low, often.high, *often.accuracy_interval] == pytest.approx([once.low, once.high, *once.accuracy_interval])
