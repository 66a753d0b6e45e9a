"""The store's credentials for flow runs whose worker has none: a block on the server, filled from the environment of `ascl deploy`.

They are in no form, parameter, record or log: a flow run sets them in the environment of its own process, where S3 clients find them.
"""

from __future__ import annotations

import os

from prefect import get_client
from prefect.blocks.system import Secret
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr

from ascl_core.artifacts import to_json
from ascl_core.errors import ConfigError
from tasks.deployment.changes import Change, apply

BLOCK = "ascl-s3"
GIVEN, USED = "ASCL_S3_", "AWS_"
"""The prefixes of the variables that `ascl deploy` and S3 clients read."""
_NEEDED, _ALL = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"), ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")
_OWN = ("ACCESS_KEY_ID", "PROFILE", "WEB_IDENTITY_TOKEN_FILE", "CONTAINER_CREDENTIALS_RELATIVE_URI", "CONTAINER_CREDENTIALS_FULL_URI")

Credentials = dict[str, str]
"""Values by the names of the variables without their prefix."""


def apply_credentials(client: SyncPrefectClient) -> Change | None:
    """Write the credentials of the environment to the block; None if neither has any. They are never shown."""
    given, present = _given(), _read(client)
    wanted = given or present
    if wanted is None:
        return None

    def save() -> None:
        text = to_json(wanted, indent=None)  # Prefect's API shows secrets within an object to everybody
        Secret(value=SecretStr(text)).save(BLOCK, overwrite=True)

    return apply("credentials block", BLOCK, wanted, present, save, save)


def take_credentials() -> None:
    """Set the credentials of the block, if there is one, in the environment of this process, unless it has its own."""
    if any(os.environ.get(f"{USED}{name}") for name in _OWN):
        return
    with get_client(sync_client=True) as client:
        found = _read(client) or {}
    os.environ.update({f"{USED}{name}": value for name, value in found.items()})


def _given() -> Credentials | None:
    given = {name: value for name in _ALL if (value := os.environ.get(f"{GIVEN}{name}"))}
    if missing := [f"{GIVEN}{name}" for name in _NEEDED if given and name not in given]:
        raise ConfigError("an access key needs both of its parts", field=missing[0], hint=f"export {missing[0]}=…, or neither")
    return given or None


def _read(client: SyncPrefectClient) -> Credentials | None:
    """Return the credentials in the block; `ConfigError`, which does not repeat its content, if it has anything else."""
    try:
        document = client.read_block_document_by_name(BLOCK, Secret.get_block_type_slug(), include_secrets=True)
    except ObjectNotFound:
        return None
    values = Secret.model_validate(document.data).get()
    if not isinstance(values, dict) or not set(_NEEDED) <= set(values) <= set(_ALL) or not all(isinstance(v, str) for v in values.values()):
        hint = f"ascl deploy, with {GIVEN}{_NEEDED[0]} and {GIVEN}{_NEEDED[1]} in its environment"
        raise ConfigError(f"expected JSON with {', '.join(_NEEDED)}, and {_ALL[-1]} if there is one", field=f"block {BLOCK}", hint=hint)
    return values
