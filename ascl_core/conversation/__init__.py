"""The conversation: its template, its one tool, and how a raw rollout is read."""
