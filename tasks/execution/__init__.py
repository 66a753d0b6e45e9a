"""Whether a stage runs, and how.

plan.py            what a run would do, and why
up_to_date.py      reuse, restore or run: the decision about one stage
checks.py          whether the checks upstream passed on what is here now
prefect_stage.py   one stage as a Prefect task
policy.py          retries, GPU slots and time limit of that task
local_server.py    a Prefect server for one run
server_app.py      the application of that server and of `ascl server`

runner.py          scratch, check, publication by rename, record
supervisor.py      one process a stage, its log and its time limit
launch.py          the command line of that process, or of a launcher of several
child.py           the process itself: it calls the stage's function
engine.py          work on shards

comparison.py      the arms of a comparison, and the worktrees in which they run
adhoc.py           an evaluation, a test of rules, a calibration, a backtest or a check of an export, outside the pipeline's own outputs
serving.py         clients of a server that `ascl serve` started
"""
