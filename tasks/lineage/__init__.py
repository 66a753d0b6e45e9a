"""Questions about what made an artifact, answered from evidence, git and the cache alone.

find.py             every snapshot, and from what a person types to an artifact in one of them
verify.py           whether all that it comes from matches, and what was released with it
why.py              why an artifact is as it is

diff.py             two artifacts side by side
pairs.py            their records, paired, and through which a difference reached the end
causes.py           what differs
row_counts.py       which rows were added, removed or changed
rollouts.py         what reinforcement learning sampled, and how it was rewarded

rows.py             from rows to checkpoints, and back
reads.py            which checkpoint was made from which data set, rules and checkpoint
texts.py            how the prompts of rows begin
manifests.py        each row of a data set: its content, its source, why it was kept
database.py         the tables of both

page.py             all of it as one file for a browser; its template, script and style are in explorer/
drawing.py          the graphs of one or two snapshots as boxes and lines
layout.py           their coordinates
embedded_rows.py    the rows, packed for a browser
export/             for other tools: OpenLineage, CycloneDX, the evidence pack
"""
