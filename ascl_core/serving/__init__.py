"""A checkpoint behind an OpenAI-compatible endpoint that executes the tool loop itself, with rules that are swapped while it runs."""
