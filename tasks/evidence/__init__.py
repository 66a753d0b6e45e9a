"""What a finished stage leaves behind, and the graph that all of it makes.

record.py         who made an output, from what, with which code, parameters and packages
provenance.py     what a record says besides its digests
packages.py       the versions that a lock of packages pins
attestations.py   what a record says as an in-toto statement
trust.py          who may sign what
statements.py     in-toto statements and their signatures
log.py            the statements, hash-chained in a file that only grows

snapshot.py       one state of all artifacts: the working tree, or the commit of a run or a release
graph.py          its records, and which of them read what another wrote
contents.py       the bytes of artifacts, by their digests
collected.py      what is looked at to verify an artifact
verify.py         whether that matches: sources, stages, log
"""
