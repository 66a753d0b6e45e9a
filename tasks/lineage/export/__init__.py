"""What is behind an artifact, for others: as OpenLineage events, or as a folder with all evidence.

openlineage.py    a START and a COMPLETE event for each record, and reading them back
event_schema.py   the JSON Schema of the part of OpenLineage that is written
sbom.py           the packages that were locked, as CycloneDX
pack.py           the evidence pack: cards, rules, records, statements, events, packages, checksums, and a signature over them
"""
