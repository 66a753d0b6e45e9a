"""The webhook for notifications; its URL is a secret in the environment and in a block on the server."""

from __future__ import annotations

import os
from typing import cast
from uuid import UUID

from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound
from pydantic import SecretStr

from ascl_core.errors import ConfigError
from tasks.deployment.changes import Change, apply

URL = "ASCL_WEBHOOK_URL"
_BLOCK = "ascl-webhook"


def apply_webhook(client: SyncPrefectClient) -> tuple[UUID, Change] | None:
    """Write the URL of the environment to the block and return its id; None if neither has one. The URL is never shown."""
    given = os.environ.get(URL)
    if given and not given.startswith(("http://", "https://")):
        raise ConfigError("expected a URL of http or https", field=URL, hint=f"export {URL}=https://…")
    try:
        document = client.read_block_document_by_name(_BLOCK, Webhook.get_block_type_slug(), include_secrets=True)
        present = str(document.data["url"])
    except ObjectNotFound:
        if not given:
            return None
        present = None
    block = Webhook(method="POST", url=SecretStr(given or str(present)))
    saved: list[UUID] = []

    def save() -> None:
        saved.append(cast(UUID, block.save(_BLOCK, overwrite=True)))

    change = apply("webhook block", _BLOCK, given or present, present, save, save)
    return (saved[0] if saved else document.id), change
