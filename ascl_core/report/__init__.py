"""The report: one self-contained page, a model card, a data card and a machine-readable summary."""
