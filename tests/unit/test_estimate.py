"""What `ascl plan` says of GPUs: memory and hours of each stage of the `full` profile, what does not fit, and that it loads no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ascl_core.artifacts import write_json, write_jsonl
from ascl_core.config.params import Params
from ascl_core.config.profiles import resolve_profile
from ascl_core.errors import ModelError
from ascl_core.sizing.devices import get_device
from ascl_core.sizing.shape import known_shape
from ascl_core.sizing.time import hours
from ascl_core.vocabulary import PromptType
from tasks.host.estimate import PROMPT_TOKENS, Need, disk_of, estimate
from tests.pipeline.workspace import Workspace, make_workspace

ROOT = Path(__file__).resolve().parents[2]
H100 = get_device("H100")
FULL_FINE_TUNING = ("sft.lora=null", "ifpo.lora=null")
EIGHT_SHARDS = ("parallel.processes=8", "parallel.strategy=fsdp2")
P = 8_190_735_360
_WIDE = {"COLUMNS": "300", "CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Where plans are made: nothing has run in it."""
    return make_workspace(tmp_path_factory.mktemp("plans") / "workspace")


def full(*settings: str) -> Params:
    """The full profile with these settings."""
    return resolve_profile(ROOT, "full", settings)


def needs(tmp_path: Path, *settings: str, gpu: str = "H100") -> dict[str, Need]:
    """What its stages need, by name, before any data are there."""
    return {need.stage: need for need in estimate(tmp_path, full(*settings), get_device(gpu))}


def test_the_full_profile_fits_one_gpu_of_80_gb(tmp_path: Path) -> None:
    found = needs(tmp_path)
    assert list(found) == ["build_sft", "sft", "ifpo", "evaluate"]
    assert [need.times for need in found.values()] == [1, 3, 1, 5]
    assert {need.problem for need in found.values()} == {""}
    assert {need.parameters for need in found.values()} == {P}


def test_tokens_and_hours_follow_from_the_parameters(tmp_path: Path) -> None:
    sft = needs(tmp_path, "sft.max_steps=10", "sft.batch_size=8", "sft.max_length=1000")["sft"]
    assert sft.tokens == 3 * 10 * 8 * 1000
    assert sft.hours == pytest.approx(hours(6 * (P - 151_936 * 4096) * sft.tokens, H100, 1, 0.35)), "LoRA 4, recomputing 2"
    ifpo = needs(tmp_path, "ifpo.max_steps=10", "ifpo.max_completion_length=1000")["ifpo"]
    assert ifpo.tokens == 10 * 32 * 8 * (PROMPT_TOKENS + 1000)


def test_epochs_count_the_rows_that_there_are_and_before_that_at_most_those_of_the_mix(tmp_path: Path) -> None:
    epochs = ("sft.epochs=2", "sft.batch_size=8", "sft.max_length=1000")
    mix = ("build_sft.mix={harmful_consult: 1, borderline_direct: 1}", "build_sft.mix_size=100", "build_sft.samples=by_turn")
    assert (needs(tmp_path, *epochs)["sft"].tokens, needs(tmp_path, *epochs)["sft"].hours) == (None, None)
    assert needs(tmp_path, *epochs, *mix)["sft"].tokens == (50 + 25 + 25) * 8000, "two look-ups are three samples"
    assert needs(tmp_path, *epochs, *mix, "sft.arm=surrogate")["sft"].tokens == 3 * 25 * 8000
    for name, rows in (("ascl", 20), ("direct_refusal", 10), ("context_distillation", 11)):
        write_jsonl(tmp_path / f"data/sft/{name}.jsonl", [{}] * rows)
    assert needs(tmp_path, *epochs, *mix)["sft"].tokens == (5 + 3 + 3) * 8000
    assert needs(tmp_path, *epochs, "sft.max_steps=0")["sft"].tokens == 0


def test_what_depends_on_the_data_is_unknown_until_they_are_there(tmp_path: Path) -> None:
    before = needs(tmp_path)
    assert (before["build_sft"].tokens, before["evaluate"].tokens, before["evaluate"].hours) == (None, None, None)
    write_json(tmp_path / "data/suites/manifest.json", {"suites": {"a": {"n": 30}, "b": {"n": 70}}})
    write_json(tmp_path / "data/prompts/counts.json", {"by_prompt_type": {"harmful": 10, "utility": 5}})
    after = needs(tmp_path, "evaluate.max_new_tokens=100", "conversation.max_tool_calls=2", "sft.max_length=1000")
    assert after["evaluate"].tokens == 5 * 100 * (PROMPT_TOKENS + 300)
    assert after["build_sft"].tokens == 3 * 15 * 1000
    assert after["evaluate"].hours is not None


def test_all_weights_fit_eight_gpus_and_not_one(tmp_path: Path) -> None:
    one, eight = needs(tmp_path, *FULL_FINE_TUNING), needs(tmp_path, *FULL_FINE_TUNING, *EIGHT_SHARDS)
    assert (one["sft"].trained, one["sft"].gpus, eight["sft"].gpus) == (P, 1, 8)
    for stage in ("sft", "ifpo"):
        assert "more than the 80 GB of H100" in one[stage].problem
        assert "parallel.strategy=fsdp2" in one[stage].hint
        assert eight[stage].problem == ""


@pytest.mark.parametrize(
    ("settings", "gpu", "stage", "says"),
    [
        (("base_model.path=Qwen/Qwen3-32B",), "H100", "ifpo", "ifpo.vllm_memory_share leaves vLLM -37.5 GB for a cache that needs 10.7 GB"),
        (("build_sft.teacher_model=Qwen/Qwen3-32B",), "H100", "build_sft", "compute.vllm_memory_share leaves vLLM -29.5 GB"),
        (("compute.vllm_memory_share=.6",), "H100", "evaluate", "96.0 GB and a reserve are more than the 80 GB of H100"),
        (("sft.micro_batch_size=64",), "H100", "sft", "and a reserve are more than"),
        ((), "L4", "ifpo", "leaves vLLM -8.0 GB"),
    ],
)
def test_what_does_not_fit_is_said_with_a_hint(tmp_path: Path, settings: tuple[str, ...], gpu: str, stage: str, says: str) -> None:
    need = needs(tmp_path, *settings, gpu=gpu)[stage]
    assert says in need.problem
    assert need.hint


def test_an_engine_that_sleeps_takes_turns_with_the_update(tmp_path: Path) -> None:
    awake, asleep = needs(tmp_path)["ifpo"].memory, needs(tmp_path, "ifpo.vllm_sleep=true")["ifpo"].memory
    taken = awake.parts["activations"] + awake.parts["working copies"]
    assert awake.total - asleep.total == pytest.approx(taken), "sampling holds most, and no activations"


def test_a_reference_for_the_kl_term_is_a_second_copy_unless_the_matrices_can_be_left_out(tmp_path: Path) -> None:
    assert needs(tmp_path, "ifpo.beta=.1")["ifpo"].memory.parts.get("reference") is None
    assert needs(tmp_path, "ifpo.beta=.1", *FULL_FINE_TUNING)["ifpo"].memory.parts["reference"] == 4 * P


def test_a_model_of_unknown_shape_is_an_error_and_one_with_its_config_is_not(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="its shape is not known"):
        needs(tmp_path, "base_model.path=someone/other")


def test_the_tiny_profile_is_reckoned_as_well(tmp_path: Path) -> None:
    found = estimate(tmp_path, resolve_profile(ROOT, "tiny"), H100)
    assert [need.stage for need in found] == ["sft", "ifpo", "evaluate"], "its teacher is no model"
    assert all(need.memory.total < 2e9 and not need.problem for need in found)


def test_the_judge_of_the_evaluation_is_another_than_that_of_training() -> None:
    params = full()
    assert params.ifpo.judge.models == ("Qwen/Qwen3Guard-Gen-4B",)
    assert params.evaluate.judge.models == ("allenai/wildguard",)


class TestPaper:
    """The profile `paper`: three sizes by one setting, on cards that hold them, and what its suites take before they are there."""

    @staticmethod
    def needs(folder: Path, size: str, gpu: str) -> dict[str, Need]:
        params = resolve_profile(ROOT, "paper", [f"base_model.path=Qwen/Qwen3-{size}"])
        return {need.stage: need for need in estimate(folder, params, get_device(gpu))}

    @pytest.mark.parametrize(("size", "gpu"), [("4B", "H100"), ("8B", "H100"), ("14B", "H200")])
    def test_every_size_fits_the_cards_that_the_profile_names(self, tmp_path: Path, size: str, gpu: str) -> None:
        found = self.needs(tmp_path, size, gpu)
        assert list(found) == ["sft", "ifpo", "evaluate"], "its teacher is served"
        assert {need.problem for need in found.values()} == {""}
        assert all(need.hours for need in found.values()), "the hours are known before anything was built"

    def test_the_responses_are_those_of_the_suites(self, tmp_path: Path) -> None:
        safety, refusal = 313 + 2000 + 100 + 9756 + 754, 250 + 210 + 945 + 300 + 1319
        reasoning = 16 * 500 + 8 * 1319 + 198 + 12032 + 1172
        params = resolve_profile(ROOT, "paper")
        length = PROMPT_TOKENS + 3 * 8192
        assert self.needs(tmp_path, "4B", "H100")["evaluate"].tokens == 5 * (safety + refusal + reasoning) * length
        built = {"math": {"n": 10, "by_type": {"utility": 10}, "samples": 16}, "a": {"n": 7, "by_type": {"harmful": 4, "borderline": 3}}}
        write_json(tmp_path / "data/suites/manifest.json", {"suites": built})
        assert self.needs(tmp_path, "4B", "H100")["evaluate"].tokens == 5 * (160 + 7) * length
        assert params.evaluate.sampling_of(PromptType.UTILITY, 16) == (0.6, 0.95, 16)
        assert params.evaluate.sampling_of(PromptType.HARMFUL, 16) == (0.0, 1.0, 1)

    def test_a_suite_of_unknown_size_leaves_the_tokens_open(self, tmp_path: Path) -> None:
        params = resolve_profile(ROOT, "paper", ["suites.external=[{format: wildchat}]"])
        found = {need.stage: need for need in estimate(tmp_path, params, H100)}
        assert found["evaluate"].tokens is None

    def test_disk_by_hand(self) -> None:
        size, guard, wild = known_shape("Qwen/Qwen3-4B").parameters, P, known_shape("allenai/wildguard").parameters
        parts = disk_of(resolve_profile(ROOT, "paper"))
        assert parts == {
            "5 checkpoints": 5 * 2 * size,
            "the state that training resumes from": 2 * 12 * size,
            "models from the hub": 2 * (size + wild + guard),
        }

    def test_low_rank_matrices_leave_little_to_resume_from(self) -> None:
        lora, whole = disk_of(full()), disk_of(full(*FULL_FINE_TUNING))
        assert whole["the state that training resumes from"] == 24 * P
        assert lora["the state that training resumes from"] < 0.02 * 24 * P

    def test_a_model_on_this_machine_is_not_downloaded(self) -> None:
        assert "models from the hub" not in disk_of(resolve_profile(ROOT, "tiny"))

    def test_plan_shows_memory_hours_and_disk(self, workspace: Workspace) -> None:
        shown = ascl(workspace, "plan", "--profile", "paper", "--gpu", "H100")
        assert "Qwen/Qwen3-4B: 4.02 B" in shown
        assert "unknown yet" not in shown
        assert "GB on disk: 5 checkpoints 40.2" in shown


def ascl(workspace: Workspace, *arguments: str) -> str:
    """What the command line prints, and an error if it has loaded torch."""
    code = "import sys; from flows.cli import app; app(sys.argv[1:], standalone_mode=False); assert 'torch' not in sys.modules"
    command, environment = [sys.executable, "-c", code, *arguments], {**workspace.environment, **_WIDE}
    done = subprocess.run(command, cwd=workspace.root, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_plan_shows_the_arithmetic_without_loading_torch(workspace: Workspace) -> None:
    shown = ascl(workspace, "plan", "--profile", "full", "--gpu", "A100-40")
    assert "on A100-40 (40 GB, 312 TFLOP/s)" in shown
    assert "sft × 3" in shown
    assert "Qwen/Qwen3-8B: 8.19 B, 87.29 M trained" in shown
    assert "ifpo does not fit: " in shown
    assert "hint: " in shown


def test_plan_says_nothing_of_gpus_where_none_is_used(workspace: Workspace) -> None:
    assert "GB" not in ascl(workspace, "plan", "--profile", "tiny", "--set", "compute.device=cpu")
