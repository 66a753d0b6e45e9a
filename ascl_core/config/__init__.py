"""Configuration: one frozen pydantic model a stage, each in a module of its own, so that an edit to
one marks only the stages that read it."""
