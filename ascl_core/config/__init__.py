"""Configuration: one frozen pydantic model per stage, each in its own module, so that an edit marks only the stages that read it."""
