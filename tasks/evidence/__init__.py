"""What a finished stage leaves behind, and the graph of it.

record.py         who made an output, from what, with which code, parameters and packages
provenance.py     what a record says besides its digests
attestations.py   a record as an in-toto statement
trust.py          who may sign what
statements.py     in-toto statements and their signatures
log.py            the statements, hash-chained in a file that only grows

snapshot.py       one state of all artifacts: the working tree, or the commit of a run or a release
graph.py          its records, and which of them read what another wrote
contents.py       the digests of artifacts on disk
collected.py      what is compared to verify an artifact
verify.py         the comparison: sources, stages, log, and what judged a checkpoint
rollouts.py       rewards and advantages of reinforcement learning, computed again
"""
