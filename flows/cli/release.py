"""`ascl approve` and `ascl release`: from a run that the gate decided on to a signed release, and back."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ascl_core.artifacts import write_json
from ascl_core.errors import AsclError, ReleaseError
from flows.cli.causes import causes, print_causes, print_examples
from flows.cli.console import (
    out,
    print_gate,
    print_headline,
    print_line,
    print_table,
    print_warning,
    refreshed_root,
    repository_root,
    shown,
)
from tasks.evidence.statements import decode, encode
from tasks.evidence.trust import PrivateKey, Role, read_key, read_trust
from tasks.host import interpreter
from tasks.lineage.export.release import Target, export_release
from tasks.registry.paths import GIVEN_APPROVALS
from tasks.registry.stages import RELEASED
from tasks.releases.alone import release_alone
from tasks.releases.answer_causes import causes_to_approve
from tasks.releases.approvals import sign_approval, verify_approvals
from tasks.releases.candidate import Candidate, candidate
from tasks.releases.content import CARDS
from tasks.releases.create import create_release
from tasks.releases.fetch import fetch as fetch_release
from tasks.releases.history import FIRST
from tasks.releases.own_keys import person_here
from tasks.releases.rollback import rollback as go_back
from tasks.releases.verify import Release, released_over_time, unsigned_records, verify_release
from tasks.repository.released import bring_up_to_date, released_tag
from tasks.runs.working_tree_run import keep_run

app = typer.Typer(help="Release an approved checkpoint, show and verify releases, and roll back to one.", no_args_is_help=True)
Tag = Annotated[str | None, typer.Argument(metavar="TAG", help="release/N; the current release by default.")]
Run = Annotated[str | None, typer.Argument(metavar="RUN", help="The id of a run; the finished run of this working tree by default.")]
Key = Annotated[Path | None, typer.Option("--key", help="Your private key; the file in ASCL_APPROVER_KEY by default.")]
Reason = Annotated[str, typer.Option("--reason", help="The reason; it is kept in the release.")]
Push = Annotated[bool, typer.Option("--push", help="Push data to the DVC remote, and commits and tag to origin.")]


def approve(
    reason: Reason,
    run: Run = None,
    key: Key = None,
    override: Annotated[bool, typer.Option("--override", help="Approve although the gate did not pass; two people must sign.")] = False,
    causes: Annotated[
        Path | None, typer.Option("--causes", metavar="FILE", help="Sign why answers changed, too: what ascl release causes --json wrote.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking.")] = False,
) -> None:
    """Show what a run made, and sign that it may be released; prints the approval as one line, to paste into a form.

    Examples:  ascl approve --reason "criteria hold" --causes causes.json   |   ascl approve run-7 --override --reason "..."
    """
    start, root = Path.cwd(), repository_root()
    run = run or keep_run(root)
    private = _key(Role.APPROVER, start, key)
    approver = read_trust(root).owner(private, Role.APPROVER)
    found = candidate(root, run)
    why = causes_to_approve(start / causes, found) if causes else None
    _print_candidate(found)
    if why:
        print_line(f"\nwhy answers changed since {why.about.release}, by a file with SHA-256 {why.sha256}")
        print_causes(why.model_dump(mode="json"))
        print_examples(why.model_dump(mode="json"))
    elif found.replaces:
        print_line(f"to sign why answers changed since {found.replaces}, too: ascl release causes --json > FILE, then --causes FILE")
    if not yes:
        typer.confirm(f"Sign as {approver.name} that this may be released?", abort=True, err=True)
    envelope = sign_approval(found, approver.name, reason, private, override=override, causes=why)
    if found.judged.passed:
        verify_approvals(root, found, [envelope])
    file = root / GIVEN_APPROVALS / run / f"{approver.name}.json"
    write_json(file, envelope)
    print_line(f"\napproval of {approver.name}, also in {shown(file, root)}:\n{encode(envelope)}")


@app.command()
def create(
    run: Run = None,
    approval: Annotated[
        list[Path] | None, typer.Option("--approval", help="A file that ascl approve wrote; all of this repository by default.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="The trainer's private key; the file in ASCL_TRAINER_KEY by default.")] = None,
    push: Push = False,
) -> None:
    """Release an approved run: verify everything again, sign, and move the branch releases; with --push others see it, too.

    Examples:  ascl release create run-7   |   ascl release create run-7 --push
    """
    start, root = Path.cwd(), repository_root()
    run = run or keep_run(root)
    files = [start / file for file in approval or ()] or sorted((root / GIVEN_APPROVALS / run).glob("*.json"))
    envelopes = [decode(_text(file)) for file in files]
    _print_release(create_release(root, run, envelopes, _key(Role.TRAINER, start, key), push=push))
    _print_pushed(push)


@app.command()
def alone(
    reason: Reason,
    name: Annotated[str | None, typer.Option("--name", help="Your name on the keys; git's user.name by default.")] = None,
    push: Push = False,
) -> None:
    """Release the finished run of this working tree as one person: make your keys if there are none, approve and sign.

    The record says that one person did all of it. Run it again after a failure: it continues.

    Example:  ascl release alone --reason "first checkpoint, criteria hold"
    """
    root = repository_root()

    def say(what: str) -> None:
        print_line(f"- {what}")

    released = release_alone(root, reason, name or person_here(root), say, push=push)
    say(f"signed {released.tag}, commit {released.commit[:12]} on the branch releases, {'pushed' if push else 'on this machine only'}")
    out.print()
    _print_release(released)


@app.command()
def sync() -> None:
    """Fetch the releases of origin, and update data/released; ascl run updates it by itself, dvc repro does not.

    Example:  ascl release sync
    """
    root = refreshed_root()
    changed = bring_up_to_date(root)
    out.print(f"released: {released_tag(root) or 'nothing yet'}; {RELEASED.path} {'brought up to date' if changed else 'is up to date'}")


@app.command(name="list")
def list_releases() -> None:
    """List all releases and rollbacks, newest first; the first line is the current release.

    Example:  ascl release list
    """
    rows = [_row(entry) for entry in released_over_time(refreshed_root())]
    if rows:
        print_table(("release", "state", "when", "run", "checkpoint", "rules", "class", "by", "why"), rows)
    else:
        print_line(f"nothing is released yet: {FIRST}")


@app.command()
def show(tag: Tag = None) -> None:
    """Show a release: its record, its approvers, its digests, and how to read its cards.

    Example:  ascl release show release/3
    """
    root = refreshed_root()
    release = verify_release(root, tag, even_revoked=True)
    _print_release(release)
    out.print_json(json.dumps(release.record.model_dump(mode="json")))
    for card in CARDS:
        print_line(f"git show {release.commit[:12]}:{release.folder}/{card}")


@app.command()
def verify(tag: Tag = None) -> None:
    """Verify every signature and digest of a release; exit status 1 if one is wrong.

    Example:  ascl release verify release/3
    """
    release = verify_release(refreshed_root(), tag)
    out.print("[green]verified[/]")
    _print_release(release)


app.command()(causes)


@app.command()
def rollback(
    tag: Annotated[str, typer.Argument(metavar="TAG", help="The earlier release, release/N.")],
    reason: Reason,
    key: Key = None,
    push: Push = False,
) -> None:
    """Make an earlier release the current one again, signed by an approver.

    Example:  ascl release rollback release/2 --reason "refuses too much since release/3"
    """
    start, root = Path.cwd(), repository_root()
    _print_release(go_back(root, tag, reason, _key(Role.APPROVER, start, key), push=push))
    _print_pushed(push)


@app.command()
def fetch(into: Annotated[Path, typer.Option("--into", help="A new folder for the checkpoint.")], tag: Tag = None) -> None:
    """Copy the checkpoint of a release to a folder, after checking its digest against the signed one; its model card is README.md there.

    Example:  ascl release fetch --into /srv/model
    """
    into = into.resolve()
    release = fetch_release(refreshed_root(), into, tag, with_card=True)
    print_line(f"{release.tag}: {release.record.checkpoint.sha256} in {into}")


@app.command()
def export(
    target: Annotated[Target, typer.Option("--to", help="The Hugging Face hub, vLLM, or a GGUF file for llama.cpp.")],
    into: Annotated[Path, typer.Option("--into", help="A new folder for the export.")],
    tag: Tag = None,
    converter: Annotated[Path | None, typer.Option("--converter", help="gguf: llama.cpp's convert_hf_to_gguf.py.")] = None,
) -> None:
    """Write a release as other tools take it, after the checks of release fetch, and print the command to upload or serve it.

    Nothing is uploaded. The folder names the release and its digests in ascl_export.json.

    Examples:  ascl release export --to hub --into ../hub   |   ascl release export release/3 --to vllm --into /srv/model
    """
    into, converter = into.resolve(), converter.resolve() if converter else None
    root = refreshed_root()
    interpreter.require()
    done = export_release(root, target, into, tag, converter)
    print_line(f"{done.release.tag}: {done.release.record.checkpoint.sha256} in {into}")
    if target is Target.GGUF:
        print_warning("nobody evaluated the GGUF file: the card's figures are those of the weights that it was converted from")
    for name in done.missing:
        print_warning(f"{name} is not here, so the evidence lacks it")
    print_line(f"\n{shlex.join(done.command)}")


def _key(role: Role, start: Path, file: Path | None) -> PrivateKey:
    return read_key(role, start / file if file else None)


def _print_candidate(found: Candidate) -> None:
    judged, criteria = found.judged, found.decision["criteria"]
    print_line(f"run {judged.run}, commit {judged.commit}\ncheckpoint {judged.checkpoint}\nrules      {found.rules}")
    compared = found.replaces or "no release: this is the first one"
    out.print(f"compared with {compared}; change of the rules: {found.change_class or 'none yet'}\n")
    print_headline(found.headline)
    out.print()
    for criterion in criteria:
        if criterion["passed"]:
            out.print(f"[green]✓[/] {escape(criterion['name'])}: {escape(criterion['reason'])}")
    failing = [f"{criterion['name']}: {criterion['reason']}" for criterion in criteria if not criterion["passed"]]
    print_gate(judged.passed, found.decision["summary"], failing)


def _print_release(release: Release) -> None:
    record = release.record
    unsigned, records = unsigned_records(repository_root(), release.commit)
    out.print(f"[bold]{release.tag}[/] of run {record.run}, signed by {release.trainer}")
    print_line(f"checkpoint {record.checkpoint.sha256}")
    for approval in release.approvals:
        overridden = f" although these failed: {', '.join(approval.override)}" if approval.override else ""
        print_line(f"approved by {approval.approver} at {approval.time.isoformat()}{overridden}: {approval.reason}")
        if why := approval.causes:
            print_line(f"{approval.approver} signed why answers changed since {why.about.release}, by a file with SHA-256 {why.sha256}")
            print_causes(why.model_dump(mode="json"))
    if people := record.in_both_roles:
        print_line(f"one person did all of it: {', '.join(people)} approved it and signed it")
    if unsigned:
        print_line(f"no key signed {unsigned} of the {records} records in its log: set ASCL_TRAINER_KEY where stages run")
    if back := release.rollback:
        print_line(f"rolled back from {back.left} by {back.approver} at {back.time}: {back.reason}")


def _print_pushed(pushed: bool) -> None:
    print_line("pushed to the DVC remote and to origin" if pushed else "on this machine only: the same command with --push publishes it")


def _row(entry: Release | tuple[str, AsclError]) -> tuple[object, ...]:
    if isinstance(entry, tuple):
        commit, error = entry
        return (commit[:12], "error", "", "", "", "", "", "", error.problem)
    record, back = entry.record, entry.rollback
    who = [back.approver] if back else [approval.approver for approval in entry.approvals]
    why = back.reason if back else "; ".join(approval.reason for approval in entry.approvals)
    when = back.time if back else record.model_dump(mode="json")["time"]
    what = f"{entry.tag}, back" if back else entry.tag
    short = (record.checkpoint.sha256[:12], record.rules[:12])
    return (what, "ok", when, record.run, *short, record.change_class or "", ", ".join(who), why)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseError(f"cannot be read: {error}", file=os.fspath(file), hint="give a file that ascl approve wrote") from None
