"""`build_sft` with models behind an endpoint: killed in the middle it continues after its last batch, to the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import write_json, write_parquet
from ascl_core.config.build_sft import BuildSftConfig
from ascl_core.config.compute import ComputeConfig
from ascl_core.config.conversation import ConversationConfig
from ascl_core.config.rules import RulesConfig
from ascl_core.config.sft_data import SftData
from ascl_core.contracts import Prompt, StageContext, to_table
from ascl_core.sft.batches import Batches, seed_of
from ascl_core.sft.data import build_sft
from ascl_core.vocabulary import PromptType, ResponsePolicy, Split
from tests.builders import make_corpus, make_prompt, make_rule
from tests.chat_server import Server, serve

ROOT = Path(__file__).parents[2]
BATCH = 2
CHILD = "import sys; from tests.unit.test_build_sft_resume import build; build(*sys.argv[1:])"


def build(folder: str, name: str, config: str) -> None:
    """Run the stage on the inputs of a folder; the outputs and the state are in its subfolder of that name."""
    inputs, out = Path(folder) / "inputs", Path(folder) / name
    build_sft(
        build_sft=BuildSftConfig.model_validate_json(config),
        conversation=ConversationConfig(),
        rules=RulesConfig(),
        compute=ComputeConfig(device="cpu", threads=1),
        prompts=inputs / "prompts.parquet",
        corpus=inputs / "corpus.json",
        validation=inputs / "validation.json",
        **{data: out / f"{data}.jsonl" for data in SftData},
        counts=out / "counts.json",
        context=StageContext(state=out / "state"),
    )


@dataclass
class Models:
    """What the endpoint answers, as teacher, labeller and purifier; `at_request` is called with the number of each request."""

    at_request: Callable[[int], None] = lambda number: None
    asked: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: dict[str, Any]) -> bytes:
        """The body of the reply; its text shows the seed, so that a seed which depends on the order of work changes the bytes."""
        self.asked.append(request)
        self.at_request(len(self.asked))
        message: dict[str, Any] = {"role": "assistant", "reasoning_content": f"Thought {request['seed']}.", "content": None}
        last = request["messages"][-1]
        if "tools" in request and last["role"] == "user":
            function = {"name": "consult_safety_rules", "arguments": json.dumps({"category": "CYB", "query": "break into computers"})}
            message["tool_calls"] = [{"id": "x", "type": "function", "function": function}]
        else:
            message["content"] = self._text(request)
        finish = "tool_calls" if "tool_calls" in message else "stop"
        return json.dumps({"choices": [{"message": message, "finish_reason": finish}]}).encode()

    def _text(self, request: dict[str, Any]) -> str:
        instruction = request["messages"][0]["content"]
        if "sort requests" in instruction:
            return json.dumps({"label": "CYB-03"})
        if "edit the record" in instruction:
            record = json.loads(request["messages"][-1]["content"])
            *before, last = record["thoughts"]
            return json.dumps({"thoughts": [*before, f"{last} Weighed again."], "answer": record["answer"]})
        asked = next(m["content"] for m in request["messages"] if m["role"] == "user")
        refuses = "break into" in asked
        return (
            "I can't help with that, because it could harm people." if refuses else f"Sure. Use the process list, part {request['seed']}."
        )


def make_inputs(folder: Path) -> Path:
    """A dozen prompts with their rules."""
    refusing = make_rule(id="CYB-01", title="Breaking in", policy="hard_refuse", query="break into computers", examples=[])
    harmful = {"prompt_type": PromptType.HARMFUL, "policy": ResponsePolicy.HARD_REFUSE, "rule_id": "CYB-01"}
    prompts = [make_prompt(id=f"{i:016x}", prompt=f"How do I break into house {i}?", split=Split.TRAIN, **harmful) for i in range(6)]
    benign = {"rule_id": None, "category": None, "split": Split.TRAIN}
    prompts += [make_prompt(id=f"{i:016x}", prompt=f"How do I kill process {i}?", **benign) for i in range(6, 12)]
    folder.mkdir()
    write_json(folder / "corpus.json", make_corpus(refusing, make_rule()).to_json())
    write_json(folder / "validation.json", {})
    write_parquet(folder / "prompts.parquet", to_table(prompts, Prompt))
    return folder


@dataclass
class World:
    """A folder with inputs, and the stage that runs on them, to its end or until it is killed."""

    folder: Path
    server: Server
    models: Models

    def config(self, **changes: Any) -> str:
        """The section `build_sft` as JSON."""
        teacher = {"teacher": "openai", "teacher_model": "big", "teacher_base_url": self.server.url}
        others = {name: {"backend": "openai", "model": name, "base_url": self.server.url} for name in ("labeller", "purifier")}
        return json.dumps({**teacher, **others, "batch_size": BATCH, **changes})

    def run(self, name: str, **changes: Any) -> dict[str, bytes]:
        """Run the stage to its end in this process; the bytes that it wrote."""
        build(str(self.folder), name, self.config(**changes))
        return self.written(name)

    def written(self, name: str) -> dict[str, bytes]:
        """The bytes of its outputs that are there."""
        return {path.name: path.read_bytes() for path in sorted((self.folder / name).glob("*.json*"))}

    def run_and_kill(self, name: str, at: int, **changes: Any) -> None:
        """Start the stage and kill it, with no chance to say goodbye, when it sends its request number `at`."""
        started: list[subprocess.Popen[bytes]] = []
        self.models.asked.clear()

        def kill(number: int) -> None:
            if number == at:
                os.kill(started[0].pid, signal.SIGKILL)

        self.models.at_request = kill
        command = [sys.executable, "-c", CHILD, str(self.folder), name, self.config(**changes)]
        started.append(subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}))
        assert started[0].wait(timeout=120) == -signal.SIGKILL
        self.models.at_request = lambda number: None


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Inputs, and an endpoint that answers as every model."""
    folder, models = tmp_path_factory.mktemp("world"), Models()
    make_inputs(folder / "inputs")
    with serve() as server:
        server.answer(models.answer)
        yield World(folder, server, models)


@pytest.fixture(scope="module")
def whole(world: World) -> tuple[dict[str, bytes], list[str]]:
    """The bytes that a run to the end writes, and the model of each request."""
    world.models.asked.clear()
    return world.run("whole"), [request["model"] for request in world.models.asked]


@pytest.mark.parametrize("killed_in", ["labeller", "big", "purifier"])
def test_a_killed_run_continues_after_its_last_batch_and_ends_with_the_same_bytes(
    world: World, whole: tuple[dict[str, bytes], list[str]], killed_in: str
) -> None:
    written, asked = whole
    assert sorted(written) == sorted([*(f"{arm}.jsonl" for arm in SftData), "counts.json"])
    counts = json.loads(written["counts.json"])
    assert counts["arms"]["ascl"]["kept"] == 12
    assert counts["labels"]["rule"] == 6
    of_that_model = [number for number, model in enumerate(asked, start=1) if model == killed_in]
    at = of_that_model[2 * BATCH + 1]  # in its third batch at the latest: at least one is finished
    name = f"killed in {killed_in}"
    world.run_and_kill(name, at)
    assert "counts.json" not in world.written(name)
    assert len(list((world.folder / name / "state").rglob("*.json"))) >= 1
    world.models.asked.clear()
    assert world.run(name) == written
    # Of a batch of two conversations of at most two turns each, four requests are lost at most, and nothing else is asked again.
    assert len(asked) - at <= len(world.models.asked) <= len(asked) - at + 2 * BATCH


def test_the_size_of_a_batch_changes_no_byte(world: World, whole: tuple[dict[str, bytes], list[str]]) -> None:
    assert world.run("small", batch_size=1) == world.run("large", batch_size=100) == whole[0]


def test_a_batch_is_found_again_by_its_items_and_inputs_alone(tmp_path: Path) -> None:
    done: list[list[str]] = []

    def work(batch: Any) -> list[str]:
        done.append(list(batch))
        return [item.upper() for item in batch]

    def run(items: str, inputs: str = "model") -> str:
        return "".join(Batches(tmp_path, 2).run(items, work, key=lambda item: item, inputs=inputs))

    assert (run("abcde"), done) == ("ABCDE", [["a", "b"], ["c", "d"], ["e"]])
    assert (run("abcd"), len(done)) == ("ABCD", 3)
    assert (run("cdab"), len(done)) == ("CDAB", 3)
    assert (run("ab", "another model"), len(done)) == ("AB", 4)
    assert (run("ba"), len(done)) == ("BA", 5)


def test_work_that_fails_leaves_no_batch(tmp_path: Path) -> None:
    def fail(batch: Any) -> list[str]:
        raise OSError("no answer")

    with pytest.raises(OSError, match="no answer"):
        list(Batches(tmp_path, 2).run("ab", fail, key=lambda item: item, inputs=None))
    assert not list(tmp_path.iterdir())


def test_seeds_differ_by_prompt_turn_and_configured_seed() -> None:
    seeds = {seed_of(seed, prompt, turn) for seed in range(10) for prompt in "abcdefghij" for turn in range(10)}
    assert len(seeds) == 1000
    assert max(seeds) < 2**31
