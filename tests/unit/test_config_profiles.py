"""Profiles, settings and `params.yaml`: what resolves to what, and what is never lost."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from ascl_core.arms import get_arm
from ascl_core.artifacts import read_yaml
from ascl_core.config.base_model import PINNED
from ascl_core.config.build_sft import BuildSftConfig
from ascl_core.config.params import Params, load_params, merge
from ascl_core.config.profiles import parse_setting, profile_names, resolve_profile
from ascl_core.config.suites import DISTRACTORS, FORGED_RULES, OWN_SUITES
from ascl_core.errors import ConfigError
from ascl_core.vocabulary import PromptType
from tasks.registry.parameters import read_origin
from tasks.repository.params_file import write_params

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A git repository with two profiles and no `params.yaml`."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "tiny.yaml").write_text("sft:\n  max_steps: 7\n")
    (tmp_path / "profiles" / "large.yaml").write_text("ifpo:\n  prompts_per_step: 24\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.parametrize("name", profile_names(ROOT))
def test_every_shipped_profile_resolves(name: str) -> None:
    assert isinstance(resolve_profile(ROOT, name), Params)


class TestPaper:
    """The paper's recipe (arXiv 2602.13562), as far as the parameters hold it."""

    PAPER = resolve_profile(ROOT, "paper")

    def test_it_is_the_recipe(self) -> None:
        sft, ifpo = self.PAPER.sft, self.PAPER.ifpo
        assert (sft.batch_size, sft.learning_rate, sft.max_length, sft.lora) == (128, 1e-5, 4096, None)
        assert (sft.epochs, sft.steps(5878), sft.steps(3429)) == (3, 138, 81), "ASCL's samples, and the surrogate's"
        assert sft.warmup_steps == round(0.05 * sft.steps(5878))
        assert (ifpo.prompts_per_step, ifpo.group_size, ifpo.learning_rate, ifpo.beta, ifpo.lora) == (16, 8, 1e-6, 0.0, None)
        assert ifpo.max_steps == round(2 * 3423 / 16), "two epochs"
        assert ifpo.max_completion_length == 8192
        assert {kind: share for kind, share in ifpo.prompt_mix.items() if share} == {"harmful": 923, "borderline": 2500}

    @pytest.mark.parametrize(
        ("arm", "rows", "steps"), [("star1", 1000, 40), ("star1_mix", 1915, 75), ("safechain", 40_000, 625), ("surrogate_rl_only", 3429, 0)]
    )
    def test_the_baselines_train_their_own_epochs(self, arm: str, rows: int, steps: int) -> None:
        values = merge(self.PAPER.model_dump(mode="json"), get_arm(arm).values)
        assert Params.model_validate(values).sft.steps(rows) == steps

    def test_there_are_enough_prompts_for_sft_and_for_rl_after_what_curation_and_the_judge_drop(self) -> None:
        curate, sft = self.PAPER.curate, self.PAPER.build_sft
        rows = {source.format: 0.93 * (source.max_rows or 0) for source in curate.sources}
        assert sft.max_prompts is not None
        wanted = {PromptType.HARMFUL: 980, PromptType.BORDERLINE: 2449}
        for kind, name in ((PromptType.HARMFUL, "salad_bench"), (PromptType.BORDERLINE, "or_bench_80k")):
            assert rows[name] * (1 - curate.rl_fraction) > 1.2 * sft.max_prompts[kind], "there is a choice between labels"
            assert sft.max_prompts[kind] == pytest.approx(wanted[kind] / 0.7, rel=0.01)
        assert curate.rl_sources == ("salad_bench_attack",)
        assert rows["salad_bench"] * curate.rl_fraction + rows["salad_bench_attack"] == pytest.approx(923, rel=0.02)
        assert rows["or_bench_80k"] * curate.rl_fraction == pytest.approx(2500, rel=0.02)
        assert sft.mix_size == sum((sft.mix or {}).values()) == 3429

    def test_suites_and_sources_are_those_of_the_paper(self) -> None:
        kinds = Counter(suite.kind for suite in self.PAPER.suites.external)
        assert kinds == {"safety": 5, "over_refusal": 5, "utility": 5}
        assert {source.format for source in self.PAPER.curate.sources} == {"salad_bench", "salad_bench_attack", "or_bench_80k"}
        assert not {source.format for source in self.PAPER.curate.sources} & {suite.format for suite in self.PAPER.suites.external}
        assert self.PAPER.suites.own_fraction == 0

    def test_the_judge_is_strict_and_another_than_in_training(self) -> None:
        judge = self.PAPER.evaluate.judge
        assert (judge.name, judge.strict) == ("qwen3guard", True)
        assert not judge.names & (self.PAPER.ifpo.judge.names | self.PAPER.build_sft.judge.names)

    @pytest.mark.parametrize("name", ["full", "paper"])
    def test_a_judge_that_reads_the_rules_stands_beside_the_fixed_guard(self, name: str) -> None:
        fixed, second = resolve_profile(ROOT, name).evaluate.judges
        assert not fixed.needs_rules
        assert (second.name, second.rules_given.format, second.models) == ("policy", "safeguard", ())

    @pytest.mark.parametrize("size", ["4B", "8B", "14B"])
    def test_another_size_is_one_setting_and_pinned(self, size: str) -> None:
        model = resolve_profile(ROOT, "paper", [f"base_model.path=Qwen/Qwen3-{size}"]).base_model
        assert model.revision == PINNED[f"Qwen/Qwen3-{size}"]
        assert len(model.revision) == 40
        given = resolve_profile(ROOT, "paper", [f"base_model.path=Qwen/Qwen3-{size}", "base_model.revision=main"]).base_model
        assert given.revision == "main"


def test_the_tiny_world_under_the_papers_conditions_differs_in_reinforcement_learning_alone() -> None:
    tiny, paper = resolve_profile(ROOT, "tiny"), resolve_profile(ROOT, "tiny-paper")
    assert tiny.model_copy(update={"ifpo": paper.ifpo, "report": paper.report}) == paper
    assert (paper.ifpo.group_size, paper.ifpo.rollouts_per_step) == (8, tiny.ifpo.rollouts_per_step)
    assert {kind for kind, share in paper.ifpo.prompt_mix.items() if not share} == {"sensitive", "utility"}


@pytest.mark.live
def test_the_parameters_of_the_repository_are_written_as_their_profile_is_today(tmp_path: Path) -> None:
    origin = read_origin(ROOT)
    if origin is None:
        pytest.skip("params.yaml was edited by hand, or is not there")
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    write_params(tmp_path, origin.profile, origin.settings)
    assert (tmp_path / "params.yaml").read_text() == (ROOT / "params.yaml").read_text(), f"run: {origin}"


def test_a_profile_lies_over_the_defaults_and_settings_over_both(root: Path) -> None:
    params = resolve_profile(root, "tiny", ["sft.batch_size=8", "report.title='A: B'"])
    assert (params.sft.max_steps, params.sft.batch_size, params.report.title) == (7, 8, "A: B")
    assert params.gate == Params().gate


def test_a_profile_lies_over_the_one_that_it_extends(root: Path) -> None:
    (root / "profiles" / "mine.yaml").write_text("extends: tiny\nsft:\n  batch_size: 8\n")
    (root / "profiles" / "longer.yaml").write_text("extends: mine\nsft:\n  max_steps: 70\nreport: {title: Mine}\n")
    params = resolve_profile(root, "longer")
    assert (params.sft.max_steps, params.sft.batch_size, params.report.title) == (70, 8, "Mine")
    assert resolve_profile(root, "mine").sft.max_steps == resolve_profile(root, "tiny").sft.max_steps == 7
    write_params(root, "longer")
    origin = read_origin(root)
    assert origin is not None
    assert origin.profile == "longer"


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a": "extends: tinny"}, r"a\.yaml: extends: no such profile \(got 'tinny'\)\n  hint: did you mean 'tiny'\?"),
        ({"a": "extends: [tiny]"}, r"a\.yaml: extends: no such profile"),
        ({"a": "extends:"}, r"a\.yaml: extends: no such profile"),
        ({"a": "extends: a"}, r"a\.yaml: extends: the profiles extend each other in a cycle \(got 'a → a'\)\n  hint: "),
        ({"a": "extends: b", "b": "extends: c", "c": "extends: a"}, r"c\.yaml: extends: .* cycle \(got 'a → b → c → a'\)"),
        ({"a": "extends: b", "b": "sft: {max_stepz: 1}"}, r"b\.yaml: sft\.max_stepz: unknown key"),
        ({"a": "extends: tiny\nsft: {max_stepz: 1}"}, r"a\.yaml: sft\.max_stepz: unknown key"),
        ({"a": "extends: b", "b": "- 1"}, r"b\.yaml: expected sections"),
    ],
)
def test_a_profile_that_cannot_be_extended_is_named_with_its_hint(root: Path, files: dict[str, str], says: str) -> None:
    for name, text in files.items():
        (root / "profiles" / f"{name}.yaml").write_text(f"{text}\n")
    with pytest.raises(ConfigError, match=says):
        resolve_profile(root, "a")


def test_settings_that_only_fit_together_are_checked_together(root: Path) -> None:
    params = resolve_profile(root, "tiny", ["ifpo.prompts_per_step=5", "ifpo.group_size=4", "ifpo.micro_batch_size=20"])
    assert params.ifpo.micro_batch_size == 20


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("sft.max_stepz=1", "did you mean 'max_steps'?"),
        ("sft.max_steps=-1", "greater than or equal to 0"),
        ("sft.max_steps", "expected SECTION.KEY=VALUE"),
        ("sft.=1", "expected SECTION.KEY=VALUE"),
        ("sft.max_steps=[1", "not valid YAML"),
        ("evaluate.judge.name=rules", "must be evaluated by another one"),
    ],
)
def test_a_wrong_setting_is_named_with_its_hint(root: Path, setting: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_profile(root, "tiny", [setting])
    assert says in str(caught.value)
    assert "--set" in str(caught.value)


@pytest.mark.parametrize("value", ["2026-13-45", "2026-02-30", "9" * 5000, "[" * 3000, "{a: 1, a: 2}", "!!python/name:os 1"])
def test_a_setting_that_is_no_value_is_one_error_that_shows_it(value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_setting(f"rules.at={value}")
    assert (caught.value.field, str(caught.value.value)[:200]) == ("--set rules.at", value[:200])
    assert caught.value.hint
    assert len(str(caught.value)) < 1000


BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]\n" for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "field", "says"),
    [
        ("rules:\n  at: 2026-02-30\n", "line 2", "2026-02-30"),
        (f"sft:\n  max_steps: {'9' * 5000}\n", "line 2", "9999"),
        ("sft: {max_steps: 1}\nsft: {max_steps: 2}\n", "line 2", "duplicate key"),
        (f"rules: {'[' * 3000}", None, "nested too deep"),
        (f"rules: {'[' * 100_000}{']' * 100_000}", None, "nested too deep"),
        (BOMB, "line 5", "aliases"),
        ("rules: &rules\n  at: *rules\n", "line 1", "aliases"),
    ],
    ids=[
        "impossible date",
        "endless number",
        "duplicate key",
        "deep nesting",
        "nesting that would crash libyaml",
        "alias bomb",
        "alias of itself",
    ],
)
def test_parameters_that_cannot_be_read_are_one_error_with_file_and_line(tmp_path: Path, text: str, field: str | None, says: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        load_params(path)
    assert (caught.value.file, caught.value.field) == (str(path), field)
    assert caught.value.hint
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("setting", "field", "says"),
    [
        ("ifpo.reward.graded.unsafe=.nan", "ifpo.reward.graded.unsafe", "finite"),
        ("ifpo.reward.graded.harmful_good=.inf", "ifpo.reward.graded.harmful_good", "finite"),
        ("build_sft.consult_share.utility=1.5", "build_sft.consult_share.utility", "less than or equal to 1"),
        ("build_sft.consult_share.utility=.nan", "build_sft.consult_share.utility", "finite"),
        ("build_sft.trajectories_per_prompt.utility=-1", "build_sft.trajectories_per_prompt.utility", "greater than or equal to 0"),
        ("suites.external=[{format: gsm8k}, {format: gsm8k}]", "suites.external", "two suites have the name 'gsm8k'"),
        ("suites.external=[{format: gsm8k, name: own-utility}]", "suites.external", "'own-utility' is reserved for an own suite"),
    ],
)
def test_a_value_out_of_range_or_a_name_given_twice_is_one_error(root: Path, setting: str, field: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        resolve_profile(root, "tiny", [setting])
    assert caught.value.field == field


def test_the_names_of_the_own_suites_are_those_that_no_other_may_have() -> None:
    from ascl_core.evaluation.suites import _DUAL_USE, _OWN

    assert set(OWN_SUITES) == {*_OWN.values(), _DUAL_USE, FORGED_RULES, DISTRACTORS}


def test_a_prompt_type_that_is_left_out_of_a_mapping_has_its_default() -> None:
    config = BuildSftConfig.model_validate({"trajectories_per_prompt": {"utility": 4}, "consult_share": {"utility": 0.1}})
    default = BuildSftConfig()
    assert config.trajectories_per_prompt == {**default.trajectories_per_prompt, PromptType.UTILITY: 4}
    assert config.consult_share == {**default.consult_share, PromptType.UTILITY: 0.1}
    assert list(config.consult_share) == list(default.consult_share)


def test_an_alias_that_repeats_a_value_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: &a {b: [1, 2]}\nc: *a\nd: {<<: *a, e: 2026-02-28}\n")
    assert read_yaml(tmp_path / "a.yaml") == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}, "d": {"b": [1, 2], "e": date(2026, 2, 28)}}


def test_a_folder_instead_of_parameters_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_params(tmp_path)


def test_an_unknown_profile_suggests_the_nearest(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'tiny'"):
        write_params(root, "tinny")


def test_a_value_keeps_its_yaml_type() -> None:
    assert parse_setting("a.b=1e-3") == {"a": {"b": 1e-3}}
    assert parse_setting("a.b=null") == {"a": {"b": None}}
    assert parse_setting("a.b=x=y") == {"a": {"b": "x=y"}}


def test_what_is_written_loads_back_as_the_same_parameters(root: Path) -> None:
    written = write_params(root, "tiny", ["rules.at=2027-01-01", "compute.threads=1"])
    assert load_params(root / "params.yaml") == written


def test_without_profile_and_settings_the_file_is_left_alone(root: Path) -> None:
    (root / "params.yaml").write_text("sft: {max_steps: 3}  # mine\n")
    assert write_params(root, None).sft.max_steps == 3
    assert "# mine" in (root / "params.yaml").read_text()


def test_settings_add_up_over_the_profile_that_the_file_names(root: Path) -> None:
    write_params(root, "tiny", ["sft.batch_size=8"])
    params = write_params(root, None, ["sft.max_steps=9"])
    assert (params.sft.batch_size, params.sft.max_steps) == (8, 9)
    origin = read_origin(root)
    assert origin is not None
    assert origin.settings == ("sft.batch_size=8", "sft.max_steps=9")


def test_a_profile_replaces_what_another_profile_gave(root: Path) -> None:
    write_params(root, "tiny", ["sft.batch_size=8"])
    assert write_params(root, "large") == resolve_profile(root, "large")


def test_a_profile_never_replaces_hand_edits_that_are_in_no_commit(root: Path) -> None:
    write_params(root, "tiny")
    path = root / "params.yaml"
    edited = path.read_text().replace("max_steps: 7", "max_steps: 8")
    path.write_text(edited)
    with pytest.raises(ConfigError, match="--overwrite-params"):
        write_params(root, "large")
    assert path.read_text() == edited
    assert write_params(root, "large", overwrite=True) == resolve_profile(root, "large")


def test_a_profile_replaces_hand_edits_that_are_committed(root: Path) -> None:
    (root / "params.yaml").write_text("sft: {max_steps: 3}\n")
    subprocess.run(["git", "add", "."], cwd=root, check=True)
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"], cwd=root, check=True)
    assert write_params(root, "large") == resolve_profile(root, "large")


def test_settings_keep_hand_edits(root: Path) -> None:
    (root / "params.yaml").write_text("sft: {max_steps: 3}\n")
    params = write_params(root, None, ["sft.batch_size=8"])
    assert (params.sft.max_steps, params.sft.batch_size) == (3, 8)
    assert read_origin(root) is None
