"""Git and DVC. No other folder of `tasks` uses DVC.

git.py            git's command line: the one door to git
git_checks.py     whether runs and releases can work in this repository
changes.py        what on disk differs from HEAD, by bytes
params_file.py    `params.yaml`: written without losing edits
locking.py        file locks: one process at a time
retrying.py       attempts with waits between them
worktrees.py      git worktrees over the repository's DVC cache
released.py       the current release, and its copy in a working tree
checkout.py       a clone on a new machine
new_project.py    a new project with rules of one's own, which begins with what is in `starter/`

dvc.py            DVC's command line, one call at a time
dvc_lock.py       `dvc.lock`: what is recorded of each stage
cache.py          MD5s as DVC has them, and where the cache has a file
staleness.py      which stages are stale, and why
outputs.py        recorded outputs: recorded, restored and fetched
transfer.py       push and pull
named.py          all outputs that a branch or a tag names: pushed and fetched together

remotes.py        where the remote is
dvc_config.py     DVC's configuration of it
remote_check.py   why it cannot be used
store_audit.py    which of its objects are damaged
"""
