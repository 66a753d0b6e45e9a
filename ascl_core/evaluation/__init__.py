"""Evaluation: suites, metrics with intervals, paired tests and the gate."""
