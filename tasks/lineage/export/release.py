"""A release for other people's tools: a folder for the Hugging Face hub or for vLLM, or a GGUF file.

The weights are those that were signed, byte for byte, and verified as `ascl release fetch` does; a GGUF file is converted from them. The
folder is written whole, or not at all. Beside the files of the checkpoint it has

README.md           the model card, with metadata for the hub; for GGUF model_card.md, as its figures are of other weights
corpus.json         the rules that the release serves, compiled
evidence/           hub only: the evidence pack of the release
model.gguf          GGUF only, instead of weights, configuration and tokenizer: what llama.cpp's own script makes of them
ascl_export.json    of which release the folder is, with the SHA-256 of the checkpoint, of its files and of the rules
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ascl_core.artifacts import sha256_file, sha256_tree, write_json
from ascl_core.errors import ConfigError, ModelError, ReleaseError
from ascl_core.released import LICENCE, MODEL_CARD
from tasks.execution.adhoc import check_portable
from tasks.host.interpreter import stage_python
from tasks.lineage.export.pack import export_pack
from tasks.releases.content import CORPORA
from tasks.releases.fetch import fetch
from tasks.releases.verify import Release
from tasks.repository.git import show

RECORD, CORPUS, EVIDENCE = "ascl_export.json", "corpus.json", "evidence"
_REPOSITORY = "OWNER/NAME"
_GGUF, _CONVERTER = "model.gguf", "convert_hf_to_gguf.py"
_BESIDE_GGUF = (LICENCE, "tools.json", "generation_config.json", CORPUS)
_MODEL_CARD = "model_card.md"


class Target(StrEnum):
    """For what a release is exported."""

    HUB = "hub"
    VLLM = "vllm"
    GGUF = "gguf"


@dataclass(frozen=True)
class Export:
    """What was exported, and what to do with it."""

    release: Release
    command: tuple[str, ...]
    """The command that uploads or serves it."""
    missing: tuple[str, ...]
    """What the evidence pack lacks."""


def export_release(root: Path, target: Target, into: Path, tag: str | None = None, converter: Path | None = None) -> Export:
    """Export a release, or what is released now, to the new folder `into`; `converter` is llama.cpp's script, for GGUF only.

    `ReleaseError` if the folder exists, or if a signature or a digest does not hold; `ModelError` if the release lacks what other tools
    need, or cannot be converted; `ConfigError` without a converter.
    """
    if into.exists():
        raise ReleaseError("is there already", file=into, hint="give a folder that does not exist")
    if (target is Target.GGUF) != (converter is not None) or (converter is not None and not converter.is_file()):
        hint = f"with --to gguf, and only then, give llama.cpp's {_CONVERTER}: git clone https://github.com/ggml-org/llama.cpp"
        raise ConfigError("is no script that this export needs", field="--converter", value=converter and str(converter), hint=hint)
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent, prefix=f".{into.name}.") as scratch:
        folder, evidence, converted = (Path(scratch) / name for name in (f"export/{into.name}", EVIDENCE, "converted"))
        release = fetch(root, folder, tag, with_card=True)
        record, files = release.record, sha256_tree(folder)
        about: dict[str, Any] = {"schema": "ascl.export/1", "target": target, "release": release.tag, "commit": release.commit}
        about |= {"checkpoint": record.checkpoint.sha256, "rules": record.rules}
        options = check_portable(root, folder, Path(scratch) / "work")
        (folder / CORPUS).write_bytes(show(root, release.commit, release.folder / CORPORA["served"]))
        missing: tuple[str, ...] = ()
        if target is Target.HUB:
            _, missing = export_pack(root, release.tag, evidence)
            evidence.rename(folder / EVIDENCE)
        if converter is not None:
            convert(folder, converted, converter)
            folder, files = converted, sha256_tree(converted)
            about |= {"converter": sha256_file(converter), "evaluated": False}
        write_json(folder / RECORD, {**about, "files": files})
        folder.rename(into)
    return Export(release, command_for(target, into, release, options), missing)


def convert(checkpoint: Path, into: Path, converter: Path) -> None:
    """Write the checkpoint as a GGUF file, with the files that people and clients need beside it, to a new folder.

    `ModelError` with the last line of the converter if it fails.
    """
    into.mkdir()
    command = [stage_python(), str(converter), str(checkpoint), "--outfile", str(into / _GGUF)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not (into / _GGUF).is_file():
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
        hint = f"see all that it says: ascl release fetch --into MODEL, then python {converter} MODEL; it needs its own requirements.txt, "
        hint += "and must know the architecture and the tokenizer; it knows none that was trained from scratch"
        raise ModelError(f"the release was not converted: {last}", file=converter, hint=hint)
    shutil.copyfile(checkpoint / MODEL_CARD, into / _MODEL_CARD)
    for name in _BESIDE_GGUF:
        shutil.copyfile(checkpoint / name, into / name)


def command_for(target: Target, folder: Path, release: Release, options: Sequence[str]) -> tuple[str, ...]:
    """Return the command that uploads the folder, as a private repository of the hub, or serves it; `options` are vLLM's."""
    if target is Target.HUB:
        return ("hf", "upload", _REPOSITORY, str(folder), ".", "--private", "--commit-message", release.tag)
    if target is Target.GGUF:
        return ("llama-server", "--model", str(folder / _GGUF), "--jinja", "--alias", _served_name(release))
    return ("vllm", "serve", str(folder), "--served-model-name", _served_name(release), *options)


def _served_name(release: Release) -> str:
    return f"ascl-{release.tag.replace('/', '-')}"
