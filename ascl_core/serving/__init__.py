"""Serve a checkpoint behind an OpenAI-compatible endpoint that runs the tool loop, with rules that can be swapped while it runs.

Nothing else in `ascl_core` imports this package, and no stage depends on it.
"""
