"""Checkpoints with a pickle or with code: none is unpickled, none brings code, and the error says so."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ascl_core.artifacts import read_json, write_json
from ascl_core.config.compute import ComputeConfig
from ascl_core.errors import ModelError
from ascl_core.generation.load import load_model
from tests.pipeline.test_bad_input import fails
from tests.pipeline.workspace import Workspace
from tests.services.guarded import CHECKPOINT, Guarded, made, workspace
from tests.services.s3_server import free_ports

__all__ = ["made", "workspace"]

pytestmark = pytest.mark.services


@dataclass(frozen=True)
class Payload:
    """What a pickle runs when it is read: it makes a file."""

    file: Path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.file), "w")


def test_the_payload_does_what_the_tests_look_for(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Payload(tmp_path / "pwned"))).close()
    assert (tmp_path / "pwned").exists()


def only_a_bin(folder: Path, payload: bytes) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(payload)


def only_a_torch_file(folder: Path, payload: bytes) -> None:
    """As `torch.save` writes them today."""
    (folder / "model.safetensors").unlink()
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as file:
        for name, content in {"data.pkl": payload, "version": b"3\n", "byteorder": b"little"}.items():
            file.writestr(f"archive/{name}", content)


def under_the_other_name(folder: Path, payload: bytes) -> None:
    (folder / "model.safetensors").write_bytes(payload)


def in_an_index(folder: Path, payload: bytes) -> None:
    only_a_torch_file(folder, payload)
    name_shards(folder, "pytorch_model.bin")


def outside_of_the_digest(folder: Path, payload: bytes) -> None:
    """No pickle, but weights that no digest of the checkpoint covers."""
    (folder / "model.safetensors").rename(folder.parent / "others.safetensors")
    name_shards(folder, "../others.safetensors")


def as_code(folder: Path, payload: bytes) -> None:
    config = read_json(folder / "config.json")
    write_json(
        folder / "config.json", {**config, "model_type": "own", "auto_map": {"AutoModelForCausalLM": "own.M", "AutoConfig": "own.C"}}
    )
    (folder / "own.py").write_text(f"import pickle\npickle.loads({payload!r})\n", encoding="utf-8")


def name_shards(folder: Path, name: str) -> None:
    write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": 1}, "weight_map": {"lm_head.weight": name}})


PICKLES: tuple[Callable[[Path, bytes], None], ...] = (
    *(only_a_bin, only_a_torch_file, under_the_other_name, in_an_index, outside_of_the_digest, as_code),
)


def poisoned(workspace: Workspace, kind: Callable[[Path, bytes], None], source: Path) -> tuple[Path, Path]:
    """A checkpoint of that kind, and the file that its payload would make."""
    shutil.copytree(workspace.root / CHECKPOINT, source / "checkpoint")
    kind(source / "checkpoint", pickle.dumps(Payload(source / "pwned")))
    return source / "checkpoint", source / "pwned"


@pytest.mark.parametrize("kind", PICKLES, ids=lambda kind: kind.__name__)
def test_no_checkpoint_is_unpickled_and_none_brings_code(made: Guarded, tmp_path: Path, kind: Callable[[Path, bytes], None]) -> None:
    checkpoint, pwned = poisoned(made, kind, tmp_path)
    with pytest.raises(ModelError) as caught:
        load_model(checkpoint, ComputeConfig(device="cpu", threads=1))
    assert str(checkpoint) in str(caught.value.file)
    assert "safetensors" in str(caught.value.hint)
    assert not pwned.exists()


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        (in_an_index, ("eval", "{checkpoint}")),
        (under_the_other_name, ("serve", "{checkpoint}", "--unreleased", "--port", "{port}")),
        (only_a_torch_file, ("stages", "run", "base_model", "--set", "base_model.path={checkpoint}")),
    ],
    ids=["eval", "serve", "base_model"],
)
def test_a_command_that_is_given_a_pickle_says_so_and_does_not_run_it(
    workspace: Guarded, tmp_path: Path, kind: Callable[[Path, bytes], None], command: tuple[str, ...]
) -> None:
    checkpoint, pwned = poisoned(workspace, kind, tmp_path)
    words = [word.format(checkpoint=checkpoint, port=free_ports(1)[0]) for word in command]
    fails(workspace, "ascl", *words, names=(str(checkpoint), "safetensors"))
    assert not pwned.exists()
