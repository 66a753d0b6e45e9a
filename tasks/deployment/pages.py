"""Pages of Prefect's UI, in Markdown: the plan of a run, its end, and what its checkpoint was made from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ascl_core.artifacts import read_json
from ascl_core.evaluation.figures import FIGURES
from ascl_core.report.advice import Advice, advise
from ascl_core.report.wording import figure
from tasks.evidence.graph import Graph, Node, read_graph
from tasks.evidence.snapshot import working_tree
from tasks.execution.plan import Plan
from tasks.execution.up_to_date import Outcome
from tasks.registry.stages import CANDIDATE, CHECKPOINT, EVALUATE
from tasks.repository.released import released_commit
from tasks.runs.runs import Run
from tasks.runs.summary import gate_markdown, read_decision, report_page, shortened, stages_markdown

_ACROSS = 5
"""The number of checkpoints that a page shows as columns; more of them are rows."""


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown, with bars in cells escaped."""
    lines = [list(columns), ["---"] * len(columns), *([str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def plan_page(plan: Plan) -> str:
    """Return what a run will do, why, and how long each stage took the last time."""
    rows = [
        (
            *(s.stage, s.action, "unknown" if s.seconds is None else f"{s.seconds:.0f} s" if s.seconds else ""),
            "its outputs are recorded, and not here" if s.action == "restore" else shortened(s.reasons),
        )
        for s in plan.steps
    ]
    return f"**{plan.summary}.**\n\n{table(('stage', 'would', 'last time', 'why'), rows)}"


def report(root: Path, run: Run, done: Sequence[Outcome], commit: str, checkpoint: str, *, pushed: bool) -> str:
    """Return the result of a run: the gate, the checkpoint to approve, the figures of every arm, and the stages."""
    candidate_first = reversed(EVALUATE.items())
    arms = {name.replace("_", " "): read_json(run.worktree / stage.outputs["metrics"].path)["headline"] for name, stage in candidate_first}
    copies = "pushed to the DVC remote and to origin" if pushed else "in the worker's repository only: nothing was pushed"
    where = (
        f"Run `{run.id}`, commit `{commit[:12]}` on the branch `{run.branch}`, {copies}.\n\nCheckpoint, SHA-256:\n\n`{checkpoint}`\n\n"
        f"Report, with answers to read, in the repository of the worker: `{os.path.relpath(report_page(run.worktree), root)}`\n"
    )
    decision, stages = read_decision(run.worktree), stages_markdown(done)
    gate = gate_markdown(decision) + advice_markdown(advise(decision.failing, released=released_commit(root) is not None, run=run.id))
    return f"{gate}\n{where}\n### Figures, with 95 % intervals\n\n{figures(arms)}\n### Stages\n\n{stages}"


def advice_markdown(advice: Advice) -> str:
    """Return the likely causes, then each command as code with the field of a form that does the same; nothing without advice."""
    lines = [f"likely cause: {cause}" for cause in advice.causes]
    lines += [f"{step.explanation}: `{step.command}`" + (f"; or in the form of {step.form}" if step.form else "") for step in advice.steps]
    return "\nWhat helps:\n\n" + "".join(f"- {line}\n" for line in lines) if lines else ""


def lineage(run: Run, commit: str) -> str:
    """Return what the checkpoint of a run was made from: its record in short, all records upstream of it, and the commands for more."""
    graph = read_graph(working_tree(run.worktree))
    node = graph.nodes[CANDIDATE.name]
    record, checkpoint = node.record, CHECKPOINT
    rows = [(edge.path, f"`{edge.sha256[:12]}`", edge.producer.stage.name if edge.producer else "people") for edge in graph.edges(node)]
    where = (
        f"- Checkpoint `{checkpoint}`, SHA-256 `{node.outputs[checkpoint]}`\n"
        f"- Record `{node.stage.record.path}`, SHA-256 `{node.sha256}`, in the commit `{commit[:12]}`\n"
        f"- Code `{record.git.revision}`{', with changes that are in no commit' if record.git.dirty else ''}\n"
        f"- Ended {record.ended_at} UTC, {record.seconds:g} s\n"
    )
    more = "".join(f"- `ascl lineage {command} {run.id}`\n" for command in ("show", "why", "diff released", "verify"))
    upstream = table(("stage", "ended, UTC", "stages it reads", "files of people"), [_upstream(graph, one) for one in graph.upstream(node)])
    return f"{where}\n{table(('read', 'SHA-256', 'made by'), rows)}\n### Everything upstream\n\n{upstream}\n### More\n\n{more}"


def _upstream(graph: Graph, node: Node) -> tuple[str, str, str, str]:
    edges = graph.edges(node)
    stages = dict.fromkeys(edge.producer.stage.name for edge in edges if edge.producer)
    return node.stage.name, node.record.ended_at[:16], ", ".join(stages), ", ".join(edge.path for edge in edges if edge.producer is None)


def figures(arms: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the headline figures with their intervals, one column for each arm or checkpoint, or one row if there are many."""
    shown = [(key, name, kind) for key, name, kind, _ in FIGURES if any(headline.get(key) for headline in arms.values())]
    if len(arms) > _ACROSS:
        rows = [(arm, *(_figure(headline.get(key), kind) for key, _, kind in shown)) for arm, headline in arms.items()]
        return table(("", *(name for _, name, _ in shown)), rows)
    return table(("", *arms), [(name, *(_figure(headline.get(key), kind) for headline in arms.values())) for key, name, kind in shown])


def _figure(estimate: Mapping[str, Any] | None, kind: str) -> str:
    return figure(estimate, kind) if estimate else ""
