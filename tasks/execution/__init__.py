"""Whether a stage runs, and how.

plan.py            what a run would do, and why
materialise.py     reuse, restore or run: the decision about one stage
prefect_stage.py   one stage as a Prefect task
policy.py          limits, retries and GPU slots of that task
local_server.py    a Prefect server of the run's own

runner.py          scratch, check, publication by rename, record
supervisor.py      one process a stage, its log and its time limit
launch.py          the command line of that process, or of a launcher that starts several
child.py           the process itself: it calls the stage's function
engine.py          where its shards run

comparison.py      the arms of a comparison, and the workspaces in which they run
adhoc.py           an evaluation outside the pipeline's own outputs
serving.py         clients of a server that `ascl serve` started
"""
