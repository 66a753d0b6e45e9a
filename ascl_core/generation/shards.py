"""The index of a checkpoint's weights: it names safetensors of its own folder, and nothing else.

An index can name any file. One that is a pickle would be unpickled, and one in another folder has no part in the checkpoint's digest.
"""

from __future__ import annotations

from pathlib import Path

from ascl_core.artifacts import read_json
from ascl_core.errors import ModelError

WEIGHTS = ".safetensors"
_PROBLEM = "names weights that are no safetensors of its folder: a pickle could run code, and other folders are not in the digest"

_AMBIGUOUS = "lies beside an index of other weights, and only one of both is the model"


def check_shards(folder: str | Path) -> None:
    """Raise if an index in the folder names a file that may not be read, or lies beside weights that it does not name.

    `ModelError` names the first such file.
    """
    for index in sorted(Path(folder).glob(f"*{WEIGHTS}.index.json")):
        values = read_json(index)
        shards = values.get("weight_map") if isinstance(values, dict) else None
        for shard in shards.values() if isinstance(shards, dict) else (shards,):
            if not isinstance(shard, str) or Path(shard).name != shard or not shard.endswith(WEIGHTS):
                hint = "save the model as safetensors in one folder"
                raise ModelError(_PROBLEM, file=index, field="weight_map", value=shard, hint=hint)
        alone = index.with_name(index.name.removesuffix(".index.json"))
        if alone.exists() and isinstance(shards, dict) and alone.name not in shards.values():
            raise ModelError(_AMBIGUOUS, file=alone, hint=f"delete it, or {index.name} and the files that this names")
