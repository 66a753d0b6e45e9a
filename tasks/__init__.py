"""The pipeline around the science: rooms, of which each imports only from those below it.

__main__      `python -m tasks STAGE`: one stage, as `dvc repro` runs it; stage.sh finds the Python
deployment/   Prefect's server: deployments, pools, automations, events, and the run that a flow run is
lineage/      questions about what made an artifact; reads evidence and writes none
releases/     from a run to a release: candidate, approvals, content, history, verification, rollback
runs/         runs of their own, the run of a working tree, and what is recorded of both
execution/    whether a stage runs, and how: plan, decision, runner, supervisor, the stage's process
evidence/     what a finished stage leaves behind: record, statement, signature, log; and the graph that they make
host/         this machine: its GPUs, its environment, what a run needs of it
repository/   git and DVC: worktrees, outputs in cache and remote, what is stale, what is released
registry/     the stages, and what each depends on
"""
