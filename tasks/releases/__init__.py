"""From a run to a release: what may be released, who approved it, the release itself, and the way back.

    candidate.py    a run whose digests all agree, from its commit to the bytes of its weights
    approvals.py    what people sign about it, and whether that suffices
    content.py      what a release holds, and its record
    model_signature.py   the checkpoint's signature for tools of others
    history.py      the branch `releases`: its commits and tags, and moving it by compare-and-swap
    create.py       a release
    own_keys.py     one person's keys in both roles
    alone.py        a release by one person, in one step
    rollback.py     releasing an earlier release again
    verify.py       whether the signatures and digests of a release hold
    fetch.py        the checkpoint of a release, for a deployment

The authority is what people and the trainer signed, in git; no state of Prefect counts.
"""
