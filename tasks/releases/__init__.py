"""From a run to a release: what may be released, who approved it, the release itself, and the way back.

    candidate.py    a run whose digests all agree, from its commit to the bytes of its weights
    approvals.py    what people sign about it, and whether that suffices
    content.py      what a release holds, and its record
    model_signature.py   the checkpoint's signature for tools of others
    history.py      the branch `releases`: its commits and tags, and moving it by compare-and-swap
    create.py       a release
    own_keys.py     one person's keys in both roles
    alone.py        a release by one person, in one step
    rollback.py     an earlier release again
    verify.py       a release looked at anew, as its signatures and digests say
    fetch.py        the checkpoint of a release, for a deployment

No state of Prefect is asked: statements that people and the trainer signed, in git, are the authority.
"""
