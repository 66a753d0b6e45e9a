"""Binding: the stage registry, and the two callers of a stage, Prefect and DVC."""
