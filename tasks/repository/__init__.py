"""git and DVC. No other room talks to DVC.

git.py            git's command line
locking.py        a file that one process at a time holds locked
worktrees.py      git worktrees over the repository's DVC cache
released.py       what is released, and its copy in a working tree
checkout.py       a clone on a machine that has nothing

dvc.py            DVC's command line, one call at a time
dvc_lock.py       what `dvc.lock` says of each stage
cache.py          MD5s as DVC has them, and where the cache has a file
staleness.py      which stages are stale, and why
outputs.py        recording outputs, and bringing them back
transfer.py       push and pull

remotes.py        where the remote is
dvc_config.py     DVC's configuration of it
remote_check.py   what is wrong with it
check.py          what a check of a remote or of this machine says
store_audit.py    which of its objects are not whole
"""
