"""`ascl approve` and `ascl release`: from a run that the gate decided on to a signed release, and back."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from ascl_core.errors import AsclError, ReleaseError
from flows.cli.console import COLOURS, err, out, print_table, repository_root, shown

if TYPE_CHECKING:
    from tasks.releases.candidate import Candidate
    from tasks.releases.verify import Release

app = typer.Typer(help="Release an approved checkpoint, look at releases, and go back to one.", no_args_is_help=True)
Tag = Annotated[str | None, typer.Argument(metavar="TAG", help="release/N; what is released now if not given.")]
Run = Annotated[str | None, typer.Argument(metavar="RUN", help="The id of a run; the finished run of this working tree if not given.")]
Key = Annotated[Path | None, typer.Option("--key", help="Your private key; the file that ASCL_APPROVER_KEY names if not given.")]
Here = Annotated[bool, typer.Option("--no-push", help="Keep the release in this repository: leave origin alone.")]
_APPROVALS = Path(".ascl") / "approvals"


def register(main: typer.Typer) -> None:
    """Add the command of this module that is no command of `ascl release`."""
    main.command()(approve)


def approve(
    reason: Annotated[str, typer.Option("--reason", help="Why it may be released; kept in the release.")],
    run: Run = None,
    key: Key = None,
    override: Annotated[bool, typer.Option("--override", help="The gate said no, and you release all the same; two people must.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: sign what is shown.")] = False,
) -> None:
    """Look at what a run made, and sign that it may be released; prints the approval as one line, to paste in a form.

    Examples:  ascl approve --reason "criteria hold"   |   ascl approve run-7 --override --reason "..."
    """
    from ascl_core.artifacts import write_json
    from tasks.evidence.statements import encode
    from tasks.evidence.trust import Role, read_key, read_trust
    from tasks.releases.approvals import sign_approval, verify_approvals
    from tasks.releases.candidate import candidate
    from tasks.runs.working_tree_run import keep_run

    start = Path.cwd()
    root = repository_root()
    run = run or keep_run(root)
    private = read_key(Role.APPROVER, start / key if key else None)
    approver = read_trust(root).owner(private, Role.APPROVER)
    found = candidate(root, run)
    _print_candidate(found)
    if not yes:
        typer.confirm(f"Sign as {approver.name} that this may be released?", abort=True, err=True)
    envelope = sign_approval(found, approver.name, reason, private, override=override)
    if found.judged.passed:
        verify_approvals(root, found, [envelope])
    file = root / _APPROVALS / run / f"{approver.name}.json"
    write_json(file, envelope)
    out.print(f"\napproval of {approver.name}, also in {shown(file, root)}:", soft_wrap=True)
    out.print(encode(envelope), soft_wrap=True)


@app.command()
def create(
    run: Run = None,
    approval: Annotated[
        list[Path] | None, typer.Option("--approval", help="A file that ascl approve wrote; all of this repository if not given.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="The trainer's private key; the file that ASCL_TRAINER_KEY names if not given.")
    ] = None,
    no_push: Here = False,
) -> None:
    """Release an approved run: verify everything anew, push checkpoint and inputs, sign, and move the branch releases.

    Example:  ascl release create run-7
    """
    from tasks.evidence.statements import decode
    from tasks.evidence.trust import Role, read_key
    from tasks.releases.create import create_release
    from tasks.runs.working_tree_run import keep_run

    start = Path.cwd()
    root = repository_root()
    run = run or keep_run(root)
    files = [start / file for file in approval or ()] or sorted((root / _APPROVALS / run).glob("*.json"))
    envelopes = [decode(_text(file)) for file in files]
    released = create_release(root, run, envelopes, read_key(Role.TRAINER, start / key if key else None), push=not no_push)
    _print_release(released)


@app.command()
def alone(
    reason: Annotated[str, typer.Option("--reason", help="Why it may be released; kept in the release.")],
    name: Annotated[str | None, typer.Option("--name", help="Your name on the keys; that of git's user.name if not given.")] = None,
    push: Annotated[bool, typer.Option("--push", help="Send the release to the DVC remote and to origin, too.")] = False,
) -> None:
    """Release the finished run of this working tree as one person: make your keys if there are none, approve and sign.

    The record says that one person did all of it. Nothing is pushed without --push. Say it again after a failure: it goes on.

    Example:  ascl release alone --reason "first checkpoint, criteria hold"
    """
    from tasks.releases.alone import release_alone
    from tasks.releases.own_keys import person_here

    root = repository_root()

    def say(what: str) -> None:
        out.print(escape(f"- {what}"), soft_wrap=True)

    released = release_alone(root, reason, name or person_here(root), say, push=push)
    say(f"signed {released.tag}, commit {released.commit[:12]} on the branch releases, {'pushed' if push else 'on this machine only'}")
    out.print()
    _print_release(released)


@app.command()
def sync() -> None:
    """Fetch the releases of origin, and bring data/released up to date; ascl run does the latter by itself, dvc repro does not.

    Example:  ascl release sync
    """
    from tasks.registry.stages import RELEASED
    from tasks.repository.released import bring_up_to_date, released_tag

    root = _refreshed()
    changed = bring_up_to_date(root)
    out.print(f"released: {released_tag(root) or 'nothing yet'}; {RELEASED.path} {'brought up to date' if changed else 'is up to date'}")


@app.command(name="list")
def list_releases() -> None:
    """List what was released over time, newest first, rollbacks included; the first line is what is released now.

    Example:  ascl release list
    """
    from tasks.releases.verify import FIRST, released_over_time

    rows = [_row(entry) for entry in released_over_time(_refreshed())]
    if not rows:
        out.print(f"nothing is released yet: {FIRST}", soft_wrap=True)
        return
    print_table(("release", "state", "when", "run", "checkpoint", "rules", "class", "by", "why"), rows)


@app.command()
def show(tag: Tag = None) -> None:
    """Show a release: its record, who approved it, its digests, and where its cards are.

    Example:  ascl release show release/3
    """
    from tasks.registry.stages import RELEASED
    from tasks.releases.content import CARDS
    from tasks.releases.verify import verify_release

    root = repository_root()
    release = verify_release(root, tag, even_revoked=True)
    _print_release(release)
    out.print_json(json.dumps(release.record.model_dump(mode="json")))
    for card in CARDS:
        out.print(f"git show {release.commit[:12]}:{RELEASED.path}/{card}", soft_wrap=True)


@app.command()
def verify(tag: Tag = None) -> None:
    """Check every signature and digest of a release; exit status 1 where one does not hold.

    Example:  ascl release verify release/3
    """
    from tasks.releases.verify import verify_release

    release = verify_release(_refreshed(), tag)
    out.print(f"[{COLOURS['ok']}]holds[/]")
    _print_release(release)


@app.command()
def rollback(
    tag: Annotated[str, typer.Argument(metavar="TAG", help="The release to go back to, release/N.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the rollback.")],
    key: Key = None,
    no_push: Here = False,
) -> None:
    """Have an earlier release be what is released, signed by an approver.

    Example:  ascl release rollback release/2 --reason "refuses too much since release/3"
    """
    from tasks.evidence.trust import Role, read_key
    from tasks.releases.rollback import rollback as go_back

    start = Path.cwd()
    root = repository_root()
    _print_release(go_back(root, tag, reason, read_key(Role.APPROVER, start / key if key else None), push=not no_push))


@app.command()
def fetch(into: Annotated[Path, typer.Option("--into", help="A new folder for the checkpoint.")], tag: Tag = None) -> None:
    """Copy the checkpoint of a release to a folder, its digest checked against what was signed.

    Example:  ascl release fetch --into /srv/model
    """
    from tasks.releases.fetch import fetch as fetch_release

    start = Path.cwd()
    release = fetch_release(_refreshed(), start / into, tag)
    out.print(f"{release.tag}: {release.record.checkpoint.sha256} in {start / into}", soft_wrap=True)


def _refreshed() -> Path:
    """The repository, after a fetch of what is released; a line on standard error where `origin` cannot be reached."""
    from tasks.releases.history import refresh

    root = repository_root()
    if notice := refresh(root):
        err.print(f"[yellow]warning:[/] {escape(notice)}")
    return root


def _print_candidate(found: Candidate) -> None:
    judged = found.judged
    out.print(f"run {judged.run}, commit {judged.commit}\ncheckpoint {judged.checkpoint}\nrules      {found.rules}", soft_wrap=True)
    out.print(
        f"compared with {found.replaces or 'no release: this is the first one'}; the rules' change: {found.change_class or 'none yet'}\n"
    )
    figures = {name: e for name, e in found.headline.items() if e}
    print_table(
        ("figure", "value", "95 % interval", "n"),
        [(n.replace("_", " "), f"{e['value']:.3f}", f"[{e['low']:.3f}, {e['high']:.3f}]", e["n"]) for n, e in figures.items()],
    )
    out.print()
    for criterion in found.decision["criteria"]:
        mark = "[green]✓[/]" if criterion["passed"] else "[red]✗[/]"
        out.print(f"{mark} {escape(criterion['name'])}: {escape(criterion['reason'])}", soft_wrap=True)
    colour = COLOURS["ok" if judged.passed else "error"]
    out.print(f"gate: [{colour}]{'passed' if judged.passed else 'not passed'}[/]")


def _print_release(release: Release) -> None:
    record = release.record
    out.print(f"[bold]{release.tag}[/] of run {record.run}, signed by {release.trainer}", soft_wrap=True)
    out.print(f"checkpoint {record.checkpoint.sha256}", soft_wrap=True)
    for approval in release.approvals:
        against = f" against: {', '.join(approval.override)}" if approval.override else ""
        out.print(escape(f"approved by {approval.approver} at {approval.time}{against}: {approval.reason}"), soft_wrap=True)
    if people := record.in_both_roles:
        out.print(f"one person did all of it: {', '.join(people)} approved it and signed it", soft_wrap=True)
    if release.rollback:
        back = release.rollback
        out.print(escape(f"back from {back.left} by {back.approver} at {back.time}: {back.reason}"), soft_wrap=True)


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
