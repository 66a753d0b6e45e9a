"""`python -m ascl_core.sft.portable CHECKPOINT FOLDER`: check that other tools get a whole checkpoint, and find vLLM's options for it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ascl_core.artifacts import write_json
from ascl_core.conversation.formats import HARMONY, format_of
from ascl_core.conversation.template import END_THINK, THINK
from ascl_core.errors import AsclError, ModelError, dump_error
from ascl_core.generation.load import TOOLS, first_line, load_tokenizer
from ascl_core.released import LICENCE, MODEL_CARD

ANSWER = "vllm.json"
"""The file in `FOLDER` with vLLM's options, as a list of words; an error is written to `error.json` there."""
_SAMPLING = "generation_config.json"
_NEEDED = (TOOLS, _SAMPLING, LICENCE, MODEL_CARD)
_PARSERS = {"hermes": "hermes", "xml": "qwen3_coder", "llama": "llama3_json", "harmony": "openai"}
"""vLLM's name for the parser of calls in each format of `ascl_core.conversation.formats`."""


def check_portable(checkpoint: Path) -> None:
    """Raise `ModelError` unless the folder has what other tools need, and a model card whose metadata `huggingface_hub` reads."""
    from huggingface_hub import ModelCard
    from yaml import YAMLError

    hint = "older releases lack it: release a newer run; ascl release fetch copies this one as it is"
    for name in _NEEDED:
        if not (checkpoint / name).is_file():
            raise ModelError("is not among the files of this release", file=name, hint=hint)
    try:
        card = ModelCard.load(checkpoint / MODEL_CARD, ignore_metadata_errors=False)
    except (ValueError, YAMLError) as error:
        raise ModelError(f"metadata cannot be read: {first_line(error, 300)}", file=MODEL_CARD, hint=hint) from error
    if not card.data.license:
        raise ModelError("its metadata has none", file=MODEL_CARD, field="license", hint=hint)


def vllm_options(tokenizer: Any) -> list[str]:
    """Return the options with which vLLM serves a model with this tokenizer: its parsers of calls and thoughts, and its sampling.

    A parser of thoughts is named only if the tokenizer has tokens for them: vLLM ends without them. `ModelError` if the template has no
    calls that can be read.
    """
    form = format_of(tokenizer)
    options = ["--enable-auto-tool-choice", "--tool-call-parser", _PARSERS[form.name]]
    if form is HARMONY:
        options += ["--reasoning-parser", "openai_gptoss"]
    elif {THINK, END_THINK} <= tokenizer.get_vocab().keys():
        options += ["--reasoning-parser", "qwen3"]
    return [*options, "--generation-config", "auto"]


def main(checkpoint: Path, folder: Path) -> int:
    """Write the answer or the error into the folder; return the exit status."""
    try:
        check_portable(checkpoint)
        write_json(folder / ANSWER, vllm_options(load_tokenizer(checkpoint)))
    except AsclError as error:
        return dump_error(error, folder / "error.json")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
