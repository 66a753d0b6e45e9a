"""The workspaces of the pipeline's tests, for those that need servers, too."""

from tests.pipeline.conftest import _finished, _fresh, api_url, finished, fresh

__all__ = ["_finished", "_fresh", "api_url", "finished", "fresh"]
