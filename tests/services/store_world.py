"""A small repository whose one stage makes a checkpoint of any size: for tests of the store, in which no model is trained."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from ascl_core.artifacts import write_text
from tasks.registry.stages import Artifact, Stage
from tasks.repository import dvc_config, outputs
from tasks.repository.git import git
from tasks.repository.remotes import make_remote
from tasks.repository.worktrees import NOBODY
from tests.services.s3_server import BUCKET, S3Server

MODEL = "data/models/big"
STAGE = Stage(name="make", function="nowhere:make", summary="make it", sections=(), inputs={}, outputs={"checkpoint": Artifact(MODEL)})
_CONFIG = "[core]\n    analytics = false\n    autostage = false\n    check_update = false\n"


@dataclass(frozen=True)
class StoreWorld:
    """The repository."""

    root: Path

    @property
    def model(self) -> Path:
        """The checkpoint's folder."""
        return self.root / MODEL

    def write(self, sizes: dict[str, int], *, record: bool = True) -> dict[str, bytes]:
        """A checkpoint of random shards of these sizes in bytes with their index, recorded or not yet; what was written."""
        content = {name: os.urandom(size) for name, size in sizes.items()}
        content["model.safetensors.index.json"] = json.dumps({"weight_map": dict.fromkeys(sizes, "x")}).encode()
        self.model.mkdir(parents=True, exist_ok=True)
        for name, data in content.items():
            (self.model / name).write_bytes(data)
        if record:
            outputs.record(self.root, STAGE)
        return content

    def read(self) -> dict[str, bytes]:
        """The checkpoint as it is now."""
        return {file.name: file.read_bytes() for file in self.model.iterdir()} if self.model.exists() else {}

    def elsewhere(self, root: Path) -> StoreWorld:
        """The same commit and `dvc.lock` in another folder, with a cache of its own and nothing in it."""
        other = make_store_world(root)
        write_text(root / "dvc.lock", (self.root / "dvc.lock").read_text())
        settings = self.root / ".dvc" / "config.local"
        if settings.exists():
            write_text(root / ".dvc" / "config.local", settings.read_text())
        return other

    def use(self, server: S3Server, prefix: str) -> None:
        """Have the remote be a prefix on that server."""
        dvc_config.use_remote(self.root, make_remote(f"s3://{BUCKET}/{prefix}", server.url, "us-east-1"))


def make_store_world(root: Path) -> StoreWorld:
    """A new one; its stage has made nothing."""
    write_text(root / ".dvc" / "config", _CONFIG)
    write_text(root / ".dvc" / ".gitignore", "/config.local\n/tmp\n/cache\n")
    write_text(root / ".gitignore", "/data/models\n.ascl\n")
    write_text(root / "dvc.yaml", yaml.safe_dump({"stages": {"make": {"cmd": "false", "outs": [MODEL]}}}))
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "start", environment=NOBODY)
    return StoreWorld(root)
