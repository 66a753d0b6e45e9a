"""Prompts: where they come from, how they are curated, and what they must look like."""
