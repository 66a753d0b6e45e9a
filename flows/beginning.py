"""How the flow of every deployment begins."""

from __future__ import annotations

from pathlib import Path

from flows.forms import F, checked
from tasks.deployment.s3_credentials import take_credentials


def begin(form: F) -> tuple[F, Path]:
    """The form, checked once more, and the repository; from here on the environment has the store's credentials, if there are any."""
    form = checked(form)
    take_credentials()
    return form, Path.cwd()
