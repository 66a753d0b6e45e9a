"""Every file and folder of a repository that code names, by its path from the root; the artifacts of stages are in `stages.py`.

No other module of `flows/` and `tasks/` spells one of them.
"""

from __future__ import annotations

from pathlib import Path

PARAMETERS = "params.yaml"
DVC_YAML = "dvc.yaml"
DVC_LOCK = "dvc.lock"
STAGE_SCRIPT = "tasks/stage.sh"
"""What `dvc repro` runs for a stage; every `dvc.yaml` of ours names it."""
PREFECT_YAML = "prefect.yaml"
REQUIREMENTS = "requirements"
"""The locks of packages."""
PROFILES = "profiles"
POOLS = Path(PROFILES) / "pools"
SCRATCH = Path("scratch")
"""What running stages work on."""

DVC_FOLDER = Path(".dvc")
DVC_CONFIG = DVC_FOLDER / "config"
DVC_LOCAL_CONFIG = DVC_FOLDER / "config.local"
DVC_CACHE = DVC_FOLDER / "cache"
"""The default; DVC's configuration may name another folder."""

DATA = Path("data")
RUN_SUMMARY = DATA / "run.json"
"""The summary of a run, in its commit."""
COMMITTED_LOG = DATA / "lineage.jsonl"
"""The log of statements, in the commit of a run and of its release."""
RELEASE_FOLDER = DATA / "release"
"""A release, in its own commit; `data/released` there is what its run was compared with, so that DVC finds nothing changed."""
TRUSTED_KEYS = DATA / "trust" / "keys.yaml"
MODEL_KEY = DATA / "trust" / "model.pub"
COMPARISON = DATA / "comparison"
EVALUATIONS = DATA / "evaluations"

LOCAL = Path(".ascl")
"""What only this machine has."""
CACHE = LOCAL / "cache"
LOCKS = LOCAL / "locks"
LOGS = LOCAL / "logs"
RUNS = LOCAL / "runs"
"""The worktrees of runs."""
OPENED_RUN = LOCAL / "run.json"
"""In the worktree of a run: from which commit it was opened."""
WORKSPACES = LOCAL / "workspaces"
"""The worktrees of a comparison."""
COMMITS = LOCAL / "releases"
"""Worktrees with the files of a commit, for as long as they are read."""
RECORDED = LOCAL / "recorded"
"""In the worktree of a run: recorded artifacts that it evaluates."""
RELEASE_COPIES = LOCAL / "released"
FETCHED_CHECKPOINTS = LOCAL / "checkpoints"
GIVEN_APPROVALS = LOCAL / "approvals"
SERVING = LOCAL / "serving"
PREFECT_HOME = LOCAL / "prefect"
TRACKING = LOCAL / "tracking"
"""What experiment trackers write that report to no server."""
SERVER_ADDRESS = LOCAL / "server.json"
TO_PUSH = LOCAL / "to-push"
"""Exists from a recording until a push has sent what was recorded."""
LAST_DVC_LOCK = LOCAL / "dvc.lock"
"""The last whole `dvc.lock`."""
LINEAGE = LOCAL / "lineage"
LOG = LINEAGE / "log.jsonl"
"""The log of statements, in a working tree and in the worktree of a run."""
PAGES = LINEAGE / "pages"
FETCHED = LINEAGE / "fetched"
"""Files of commits that the cache lacked."""
