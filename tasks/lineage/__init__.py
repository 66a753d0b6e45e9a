"""Questions about what made an artifact; read from evidence, git and the cache alone.

snapshots.py        every state of all artifacts that a repository knows
find.py             from what a person types to an artifact in one of them
collect.py          collecting the evidence about one artifact
verify.py           whether all of it matches, and what was judged and released with it
why.py              why an artifact is as it is

diff.py             two checkpoints side by side
pairs.py            which records of both belong together
causes.py           what made them differ
package_locks.py    the locks of packages as they were when a stage ran
row_counts.py       which rows came, went or changed

rows.py             from rows to checkpoints, and back
reads.py            which checkpoint was made from which data set, rules and checkpoint
manifests.py        each row of a data set: its content, where it is from, why it was kept
database.py         the tables that both are kept in

page.py             all of it as one file for a browser; its template, script and style are in explorer/
drawing.py          the graphs of one or two snapshots as boxes and lines
layout.py           where those go
mermaid.py          a graph as a flowchart
embedded_rows.py    the rows, packed for a browser
export/             for tools of others: OpenLineage, CycloneDX, the evidence pack
"""
