"""Runs, and what is recorded of them.

runs.py               runs of their own, each in a worktree and on a branch
survey.py             all of them at a glance
working_tree_run.py   the finished run of a working tree, as a commit
summary.py            what a run did, in words
recorded.py           checkpoints, suites and rules of runs and releases, by a name that a person types
rule_sources.py       rules from a folder, a revision, a compiled corpus, or S3
rules_on_s3.py        a folder of rules under a prefix on S3
"""
