"""Lineage: what made an artifact, from what, and whether the bytes are still those; read from records, git and the cache alone.

places.py   one state of all artifacts: the working tree, or the commit of a run or a release
graph.py    the records of a place, and which of them read what another wrote
find.py     from what a person types to an artifact at a place

attestations.py  what a record says as an in-toto statement
log.py           the statements, hash-chained in a file that only grows
contents.py      the bytes of artifacts, by their digests
evidence.py      what is looked at to verify an artifact
verify.py        whether all of it matches

page.py           all of it as one file for a browser; its template, script and style are in explorer/
drawing.py        the graphs of one or two places as boxes and lines
layout.py         where those go
embedded_rows.py  the rows, packed for a browser
"""
