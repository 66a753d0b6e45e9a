"""The lineage of an artifact for others: as OpenLineage events, or as a folder with all evidence.

openlineage.py    a START and a COMPLETE event for each record
sbom.py           packages, model and data sets as CycloneDX, with licences.py and model_card.py
data_sets.py      the data sets behind an artifact; croissant.py describes them as Croissant
release.py        a release for the hub, for vLLM or as GGUF
timestamp.py      a time from an authority (RFC 3161)
pack.py           the evidence pack: cards, rules, records, statements, events, packages, checksums, and a signature over them
"""
