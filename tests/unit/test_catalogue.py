"""The catalogue of public data sets: complete, honest about what is not known, and in the project's own words."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from ascl_core.catalogue import dataset, names
from ascl_core.catalogue.dataset import CategoryBy, Dataset, TypeBy
from ascl_core.config.base import parse
from ascl_core.config.judge import SingleName
from ascl_core.errors import ConfigError
from ascl_core.evaluation.metrics import headline
from tests.corpus import frozen_corpus

DESIGN = {
    "safety": {"strongreject", "wildjailbreak", "jailbreakbench", "wildchat", "wildguardtest"},
    "over_refusal": {"xstest", "wildjailbreak_benign", "wildguardtest_benign", "oktest", "or_bench_hard"},
    "utility": {"math_500", "gpqa_diamond", "mmlu_pro", "gsm8k", "arc_challenge"},
}
NEWER = {"ANI", "BIO", "ENV", "ETH", "GAM", "HAR", "IMP", "INF", "JBR"}
"""Categories that the frozen rules do not have."""
SOURCES = {"salad_bench", "salad_bench_attack", "or_bench_80k", "star1", "star1_benign", "safechain", "mitre_frr"}
METRICS = {"safety": "safety_rate", "over_refusal": "over_refusal_strict", "utility": "utility"}
ROOT = Path(__file__).resolve().parents[2]
DATASETS = {name: dataset(name) for name in names()}


def make_values(**changes: Any) -> dict[str, Any]:
    """The smallest data set, changed by `changes`."""
    values = {
        "title": "T",
        "what": "w",
        "kind": "safety",
        "metric": "safety_rate",
        "metric_version": 1,
        "judge": None,
        "licence": "MIT",
        "hub": {"id": "a/b", "revision": "a" * 40},
        "files": {"train": ["a.csv"]},
        "shape": {"prompt": ["prompt"], "type": "harmful"},
        "sources": ["here"],
    }
    return {**values, **changes}


def test_all_fifteen_suites_of_the_design_are_in_it() -> None:
    for kind, expected in DESIGN.items():
        assert expected <= {name for name, data in DATASETS.items() if data.use == "suite" and data.kind == kind}
    assert {name for name, data in DATASETS.items() if data.use == "training"} == SOURCES
    extra = set(DATASETS) - set().union(*DESIGN.values()) - SOURCES
    assert extra == {"jailbreakbench_benign", "xstest_safe"}


def test_a_suite_has_as_many_samples_as_the_paper_takes() -> None:
    assert {name: data.samples for name, data in DATASETS.items() if data.samples > 1} == {"math_500": 16, "gsm8k": 8}


def test_the_sizes_are_those_of_the_paper_where_it_names_them() -> None:
    paper = {
        "strongreject": 313, "wildjailbreak": 2000, "jailbreakbench": 100, "wildguardtest": 754, "xstest_safe": 250,
        "wildjailbreak_benign": 210, "wildguardtest_benign": 945, "oktest": 300, "or_bench_hard": 1319, "gsm8k": 1319,
        "gpqa_diamond": 198, "mmlu_pro": 12032, "arc_challenge": 1172,
    }  # fmt: skip
    assert {name: DATASETS[name].size for name in paper} == paper


@pytest.mark.parametrize("name", DATASETS)
def test_metric_and_judge_are_ones_that_there_are(name: str) -> None:
    data = DATASETS[name]
    assert data.metric == METRICS[data.kind]
    assert data.metric in headline([])
    assert (data.judge is None) == (data.kind == "utility")
    assert data.judge is None or data.judge in get_args(SingleName)


@pytest.mark.parametrize("name", DATASETS)
def test_what_could_not_be_established_is_said(name: str) -> None:
    data = DATASETS[name]
    unknown = (data.hub is not None and data.hub.revision is None) or data.licence == "NOASSERTION"
    assert not unknown or data.note
    assert all(data.sources)


@pytest.mark.parametrize("name", DATASETS)
def test_labels_are_as_they_are_compared_and_categories_are_those_of_the_rules(name: str) -> None:
    shape = DATASETS[name].shape
    known = set(frozen_corpus().categories)
    types = list(shape.type.values) if isinstance(shape.type, TypeBy) else []
    by = shape.category.values if isinstance(shape.category, CategoryBy) else {}
    fitting = [*by.values(), *([shape.category] if isinstance(shape.category, tuple) else [])]
    labels = [*types, *by, *(label for wanted in shape.where.values() for label in wanted)]
    assert labels == [label.strip().lower() for label in labels]
    assert {first for first, *_ in fitting} <= known, "a prompt's own category is known to the frozen rules"
    assert {one for each in fitting for one in each} <= known | NEWER
    assert all(len(set(each)) == len(each) for each in fitting)


def test_the_two_sides_of_a_labelled_set_share_no_row_and_leave_none_unnamed() -> None:
    for harmful, benign in (("wildjailbreak", "wildjailbreak_benign"), ("wildguardtest", "wildguardtest_benign")):
        sides = [DATASETS[name].shape.type for name in (harmful, benign)]
        assert all(isinstance(side, TypeBy) for side in sides)
        first, second = (side.values for side in sides if isinstance(side, TypeBy))
        assert first.keys() == second.keys()
        assert not [label for label in first if first[label] and second[label]]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"columns": {}}, "unknown key"),
        ({"shape": {"prompt": ["a"], "type": "harmfull"}}, "shape.type"),
        ({"shape": {"prompt": [], "type": "harmful"}}, "shape.prompt"),
        ({"shape": {"prompt": ["a"], "type": "utility", "options": {"columns": ["b"]}}}, "options need an answer"),
        ({"hub": {"id": "a/b", "revision": "main"}}, "hub.revision"),
        ({"hub": {"id": "a/b", "revision": None, "split": "test"}}, "nothing for the split test"),
        ({"hub": None}, "neither home nor hub"),
        ({"sources": []}, "sources"),
    ],
)
def test_a_mistake_in_a_file_of_the_catalogue_is_named(changes: dict[str, Any], problem: str) -> None:
    assert parse(Dataset, make_values(), file="x.yaml").origin == "hub:a/b"
    with pytest.raises(ConfigError, match=problem):
        parse(Dataset, make_values(**changes), file="x.yaml")


def test_an_unknown_data_set_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'or_bench_hard'"):
        dataset("or_bench_har")
