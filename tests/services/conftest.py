"""The workspaces of the pipeline's tests, for those that need servers, too, and an S3 server for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pipeline.conftest import _finished, _fresh, api_url, finished, fresh
from tests.services.s3_server import S3Server, s3_server

__all__ = ["_finished", "_fresh", "api_url", "finished", "fresh"]


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for the module."""
    with s3_server(tmp_path_factory.mktemp("s3")) as started:
        yield started
