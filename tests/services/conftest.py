"""The workspaces of the pipeline's tests, for those that need servers, too; an S3 server and models to serve for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.conftest import _finished, _fresh, api_url, finished, fresh
from tests.served_model import make_consulting, make_endless
from tests.services.s3_server import S3Server, s3_server

__all__ = ["_finished", "_fresh", "api_url", "finished", "fresh"]


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One server for the module."""
    with s3_server(tmp_path_factory.mktemp("s3")) as started:
        yield started


@pytest.fixture(scope="module")
def consulting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that consults."""
    return make_consulting(tmp_path_factory.mktemp("models") / "consulting")


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that never ends an answer."""
    return make_endless(tmp_path_factory.mktemp("models") / "endless")
