"""What flow runs use of other parts of `tasks`, each by one function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ascl_core.config.params import load_params
<<<<<<< HEAD
from tasks import rule_places, runs
from tasks.git import git
from tasks.plan import Plan, make_plan, plan_to_json
from tasks.releases.create import create_release
from tasks.runs import Run
from tasks.statements import decode
from tasks.trust import Role, read_key
=======
from ascl_core.errors import RuleError
from tasks import runs
from tasks.git import commit_of, export, git
from tasks.plan import Step, make_plan
from tasks.rule_places import compiled
from tasks.runs import Run
from tasks.stages import RULES


def fetch_rules(root: Path, place: str, into: Path) -> Path:
    """Write the rule files at `place`, a git revision or an `s3://` prefix, under `into`, and return their folder."""
    if "://" in place:
        from tasks import rule_places

        fetch = getattr(rule_places, "fetch_rules", None)
        if fetch is None:
            raise RuleError("rules from a store are not read here", field="place", value=place, mend="give a git revision")
        return Path(fetch(place, into))
    commit = commit_of(root, place)
    if commit is None:
        mend = "give a branch, a tag or a commit that the worker's repository has"
        raise RuleError("no such git revision", field="rules.place", value=place, mend=mend)
    return export(root, commit, Path(RULES.path), into)
>>>>>>> deploy


def refresh(root: Path, place: str) -> None:
    """Fetch from the git remote that `place` names, such as `origin` of `origin/main`; nothing where it names none."""
    remote = place.partition("/")[0]
    if "://" not in place and "/" in place and remote in git(root, "remote").splitlines():
        git(root, "fetch", "--quiet", "--tags", remote)


def plan(root: Path, parameters: Mapping[str, Any], force: Sequence[str]) -> Plan:
    """What a run in `root` with these parameters would do with every stage."""
    return make_plan(root, frozenset(force), parameters)


def plan_for_rules(root: Path, rules: Path) -> dict[str, Any]:
    """What a run with these rules would do with every stage, as JSON."""
    return plan_to_json(make_plan(root, rules=rule_places.compiled(rules, load_params(root / "params.yaml").rules, "the new rules")))


def publish(root: Path, run: Run) -> None:
    """Have other machines see the end of the run, where there is a place that they share."""
    runs.publish_run(root, run)


def release(root: Path, run_id: str, approvals: Sequence[str]) -> str:
<<<<<<< HEAD
    """Release the checkpoint of the run, with these signed approvals; its tag, or the error of the first check that fails."""
    return create_release(root, run_id, [decode(text) for text in approvals], read_key(Role.TRAINER)).tag
=======
    """Release the checkpoint of the run with these signed approvals, as `ascl approve` prints them; returns the release's tag.

    Everything is verified anew there; the error of the first check that fails.
    """
    create, statements, trust = (import_module(f"tasks.{name}") for name in ("releases.create", "statements", "trust"))
    envelopes = [statements.decode(text) for text in approvals]
    return str(create.create_release(root, run_id, envelopes, trust.read_key(trust.Role.TRAINER)).tag)
>>>>>>> deploy
