"""Sign requests to webhooks by the Standard Webhooks convention (docs/decisions/023)."""

from __future__ import annotations

import base64
import hmac

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit.derived_secrets import derive

SECRET_PREFIX = "whsec_"  # noqa: S105 - how secrets begin, not one


def signing_secret(key: str, workspace_id: WorkspaceId, generation: int) -> str:
    """Return the secret of a workspace's webhook: ``whsec_`` and 32 bytes in base64 (Standard Webhooks)."""
    return SECRET_PREFIX + base64.b64encode(derive(key, "budget-webhook", workspace_id, generation)).decode()


def signed_headers(secret: str, message_id: str, seconds: int, body: bytes) -> dict[str, str]:
    """Return the Standard Webhooks headers of a request that is sent at ``seconds`` since the epoch.

    The signature covers id, time and body, so that receivers can refuse old requests and repeated ids
    (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
    """
    signed = f"{message_id}.{seconds}.".encode() + body
    digest = hmac.digest(base64.b64decode(secret.removeprefix(SECRET_PREFIX)), signed, "sha256")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
