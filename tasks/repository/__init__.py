"""Git and DVC. No other folder of `tasks` uses DVC.

git.py            git's command line
locking.py        file locks: one process at a time
worktrees.py      git worktrees over the repository's DVC cache
released.py       the current release, and its copy in a working tree
checkout.py       a clone on a new machine

dvc.py            DVC's command line, one call at a time
dvc_lock.py       `dvc.lock`: what is recorded of each stage
cache.py          MD5s as DVC has them, and where the cache has a file
staleness.py      which stages are stale, and why
outputs.py        recorded outputs: recorded, restored and fetched
transfer.py       push and pull

remotes.py        where the remote is
dvc_config.py     DVC's configuration of it
remote_check.py   why it cannot be used
check.py          the result of a check of a remote or of this machine
store_audit.py    which of its objects are damaged
"""
