"""The check whether a name that is no folder is a model of the hub: one short request, so that a typing error shows early."""

from __future__ import annotations

import re
from pathlib import Path

from ascl_core.proxies import check_proxies

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_SECONDS = 3.0


def hub_problem(path: str | Path, revision: str | None = None) -> str | None:
    """Return why the hub cannot provide a path that is no local folder; None where it can, or where its local cache has it."""
    name = str(path)
    if not _HUB_ID.fullmatch(name) or name[0] == ".":
        return "no such folder"
    import httpx
    from huggingface_hub import HfApi, constants, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, RepositoryNotFoundError

    try:
        if isinstance(try_to_load_from_cache(name, "config.json", revision=revision), str):
            return None
        if Path(name).parent.is_dir():
            return "no such folder"
        if constants.HF_HUB_OFFLINE:
            return "no such folder; if it is a hub id, it is not in the local cache, and HF_HUB_OFFLINE forbids to ask the hub"
        check_proxies()
        HfApi().model_info(name, revision=revision, timeout=_SECONDS)
    except (RepositoryNotFoundError, HFValidationError):
        return "no such folder, and no such model on the hub that you may read"
    except HfHubHTTPError:
        return None  # the hub is there: loading the model says what is wrong
    except (httpx.HTTPError, OSError, OfflineModeIsEnabled) as error:
        return f"no such folder; if it is a hub id, the hub cannot be reached ({type(error).__name__})"
    return None
