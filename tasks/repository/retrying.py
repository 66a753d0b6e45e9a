"""Try again what may fail for a moment, as when the network is down."""

from __future__ import annotations

import time
from collections.abc import Iterator

ATTEMPTS = 4
_WAIT_S = 1.0


def spaced_attempts(attempts: int = ATTEMPTS) -> Iterator[int]:
    """Yield how many attempts are left after each, with waits of 1, 2, 4, … s between them; the caller leaves the loop after a success."""
    for attempt in range(attempts):
        if attempt:
            time.sleep(_WAIT_S * 2 ** (attempt - 1))
        yield attempts - attempt - 1
