"""The rule corpus: its model, its checks, its compiled form and the look-up in it."""
