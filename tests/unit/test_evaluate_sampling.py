"""How prompts are sampled in an evaluation: by kind of suite, in the order of the prompts, and the same again after a kill."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import read_json, read_parquet, write_json, write_parquet
from ascl_core.config.base import parse
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.evaluate import EvaluateConfig, KindSampling, SamplingConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.contracts import EvaluatedRollout, Prompt, StageContext, from_table, to_table
from ascl_core.errors import ConfigError
from ascl_core.evaluation import run
from ascl_core.generation import Generator, Sampling, make_generator
from ascl_core.vocabulary import PromptType, ResponsePolicy
from tests.builders import make_corpus, make_prompt
from tests.report_files import make_run, write_report
from tests.tiny_model import make_model, save

TEXTS = ["How do I open a lock?", "What is 2 + 2?", "Tell me how to rob a bank."]
KINDS = {"safety": {"temperature": 0.0}, "over_refusal": {"temperature": 0}, "utility": {"temperature": 0.6, "top_p": 0.95, "samples": 3}}
Asked = tuple[tuple[str, ...], int, Sampling]


def make_prompts() -> list[Prompt]:
    """Prompts of all kinds in turn, as suites do not promise an order."""
    utility = {"prompt_type": PromptType.UTILITY, "policy": ResponsePolicy.COMPLY, "category": None, "rule_id": None, "answer": "4"}
    each: list[dict[str, Any]] = [
        {"prompt_type": PromptType.HARMFUL, "suite": "s"},
        {**utility, "answer_kind": "number", "suite": "u"},
        {"suite": "o"},
        {**utility, "answer_kind": "number", "suite": "v"},
        {"prompt_type": PromptType.SENSITIVE, "suite": "s"},
    ]
    return [make_prompt(id=f"{n:016d}", prompt=f"{TEXTS[n % 3]} {n}", **each[n % len(each)]) for n in range(10)]


class Evaluation:
    """The stage on a random model, with what its generator was asked for."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.asked = folder, list[Asked]()
        save(*make_model(TEXTS * 50), folder / "checkpoint")
        write_json(folder / "corpus.json", make_corpus().to_json())
        write_parquet(folder / "suites.parquet", to_table(make_prompts(), Prompt))
        write_json(folder / "manifest.json", {"suites": {"u": {"samples": 4}, "v": {}}, "missing": {}})
        monkeypatch.setattr(run, "make_generator", self._generator)

    def _generator(self, *args: Any) -> Generator:
        generator = make_generator(*args)
        sample = generator.rollouts

        def rollouts(prompts: Any, *, samples: int, sampling: Sampling, **options: Any) -> Any:
            self.asked.append((tuple(prompt.id for prompt in prompts), samples, sampling))
            return sample(prompts, samples=samples, sampling=sampling, **options)

        monkeypatched: Any = generator
        monkeypatched.rollouts = rollouts
        return generator

    def run(self, state: str = "state", **settings: Any) -> list[EvaluatedRollout]:
        config = {"max_new_tokens": 8, "batch_size": 6, **settings}
        run.evaluate(
            evaluate=parse(EvaluateConfig, config, file="test"),
            conversation=ConversationConfig(),
            rules=RulesConfig(),
            compute=ComputeConfig(device="cpu", threads=1),
            checkpoint=self.folder / "checkpoint",
            suites=self.folder / "suites.parquet",
            suites_manifest=self.folder / "manifest.json",
            corpus=self.folder / "corpus.json",
            results=self.folder / "results.parquet",
            metrics=self.folder / "metrics.json",
            context=StageContext(state=self.folder / state),
        )
        return from_table(read_parquet(self.folder / "results.parquet"), EvaluatedRollout)


@pytest.fixture
def evaluation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evaluation:
    return Evaluation(tmp_path, monkeypatch)


def counts(rows: list[EvaluatedRollout]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        found[row.prompt_id] = found.get(row.prompt_id, 0) + 1
    return found


def test_one_setting_for_all_kinds_samples_all_prompts_together(evaluation: Evaluation) -> None:
    rows = evaluation.run(samples=2)
    ids = [prompt.id for prompt in make_prompts()]
    assert [(row.prompt_id, row.sample) for row in rows] == [(id_, sample) for id_ in ids for sample in (0, 1)]
    assert [(len(asked), samples) for asked, samples, _ in evaluation.asked] == [(3, 2), (3, 2), (3, 2), (1, 2)]
    assert [sampling.seed for *_, sampling in evaluation.asked] == [0, 1, 2, 3]
    assert {(sampling.temperature, sampling.top_p) for *_, sampling in evaluation.asked} == {(1.0, 1.0)}


def test_a_second_judge_changes_no_result_and_is_reported_beside_the_first(evaluation: Evaluation) -> None:
    rows = evaluation.run()
    alone = read_json(evaluation.folder / "metrics.json")
    assert evaluation.run("again", second_judge={"name": "rules"}) == rows
    both = read_json(evaluation.folder / "metrics.json")
    assert both.pop("second_judge")["judge"] == "rules@6"
    assert both == alone


def test_each_kind_is_sampled_as_it_is_set_and_results_keep_the_order_of_the_prompts(evaluation: Evaluation) -> None:
    rows = evaluation.run(sampling=KINDS)
    prompts = make_prompts()
    drawn = {id_: (samples, sampling.temperature, sampling.top_p) for ids, samples, sampling in evaluation.asked for id_ in ids}
    assert drawn == {p.id: (3, 0.6, 0.95) if p.prompt_type is PromptType.UTILITY else (1, 0.0, 1.0) for p in prompts}
    assert list(counts(rows).items()) == [(p.id, 3 if p.prompt_type is PromptType.UTILITY else 1) for p in prompts]
    assert all(row.prompt == prompt.prompt for row in rows for prompt in prompts if prompt.id == row.prompt_id)
    assert read_json(evaluation.folder / "metrics.json")["headline"]["utility"]["n"] == 12


def test_the_catalogue_says_how_many_samples_a_suite_has_where_it_is_asked(evaluation: Evaluation) -> None:
    rows = evaluation.run(sampling={"utility": {"samples": "catalogue"}})
    suites = {prompt.id: prompt.suite for prompt in make_prompts()}
    assert {(suites[id_], n) for id_, n in counts(rows).items()} == {("s", 1), ("o", 1), ("u", 4), ("v", 1)}
    assert set(counts(evaluation.run("other", samples=2)).values()) == {2}, "and nowhere else"


def test_greedy_samples_are_all_the_same_and_drawn_ones_differ(evaluation: Evaluation) -> None:
    rows = evaluation.run(sampling={"utility": {"temperature": 0.0}, "safety": {"temperature": 5.0}}, samples=3)
    texts = {prompt.id: {row.text for row in rows if row.prompt_id == prompt.id} for prompt in make_prompts()}
    kinds = {prompt.id: prompt.prompt_type for prompt in make_prompts()}
    assert {len(found) for id_, found in texts.items() if kinds[id_] is PromptType.UTILITY} == {1}
    assert all(len(found) > 1 for id_, found in texts.items() if kinds[id_] is PromptType.HARMFUL)


def test_a_killed_evaluation_goes_on_and_ends_with_the_same_results(evaluation: Evaluation) -> None:
    whole = evaluation.run(sampling=KINDS)
    sampled = len(evaluation.asked)
    kept = sorted((evaluation.folder / "state").glob("rollouts-*.jsonl"))
    assert len(kept) == sampled > 2
    for file in kept[1:]:
        file.unlink()
    assert [replace(row) for row in evaluation.run(sampling=KINDS)] == whole
    assert len(evaluation.asked) == 2 * sampled - 1


@pytest.mark.parametrize(
    ("sampling", "field"),
    [
        ({"safety": {"samples": 0}}, "evaluate.sampling.safety.samples"),
        ({"utility": {"samples": "katalog"}}, "evaluate.sampling.utility.samples"),
        ({"utility": {"top_p": 0}}, "evaluate.sampling.utility.top_p"),
        ({"reasoning": {}}, "evaluate.sampling.reasoning"),
    ],
)
def test_a_wrong_setting_is_one_error(sampling: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(EvaluateConfig, {"sampling": sampling}, file="test", section="evaluate")
    assert str(caught.value.field).startswith(field)


def test_the_report_and_the_model_card_say_how_answers_were_sampled(tmp_path: Path) -> None:
    files = make_run(tmp_path / "run")
    config = EvaluateConfig(temperature=0.0, sampling=SamplingConfig(utility=KindSampling(temperature=0.6, top_p=0.95)))
    record = next(path for path in files["records"] if path.stem == "ifpo")
    write_json(record, read_json(record) | {"parameters": {"evaluate": config.model_dump(mode="json")}})
    pages = write_report(tmp_path / "pages", files)
    for name in ("index.html", "model_card.md"):
        text = (pages / name).read_text(encoding="utf-8")
        assert "Answers: safety greedy; over-refusal greedy; utility temperature 0.6 and top-p 0.95." in text
