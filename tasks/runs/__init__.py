"""Runs and their results.

runs.py               runs, each in a worktree and on a branch
survey.py             a list of all runs
working_tree_run.py   the finished run of a working tree, as a commit
tracking.py           reports of a run to an experiment tracker
trackers.py           one adapter for each tracker
summary.py            the summary of a run
recorded.py           checkpoints, suites and rules of runs and releases by name
rule_sources.py       rules from a folder, a revision, a compiled corpus, or S3
rules_on_s3.py        a folder of rules under a prefix on S3
"""
