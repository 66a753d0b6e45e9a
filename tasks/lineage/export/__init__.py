"""The lineage of an artifact for others: as OpenLineage events, or as a folder with all evidence.

openlineage.py    a START and a COMPLETE event for each record
sbom.py           the locked packages, as CycloneDX
pack.py           the evidence pack: cards, rules, records, statements, events, packages, checksums, and a signature over them
"""
