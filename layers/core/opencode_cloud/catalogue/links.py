"""Addresses of a workspace's list of models: nobody else can make one up, and none is stored."""

from __future__ import annotations

import hmac

from opencode_cloud.catalogue.models import listing_not_found
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit.derive import derive
from opencode_cloud.kit.ids import base64url

PATH = "/catalogue/"
_PURPOSE = "catalogue"


def models_url(base_url: str, key: str, workspace_id: WorkspaceId) -> str:
    """Return the value of ``OPENCODE_MODELS_URL`` for a workspace; clients add ``/api.json`` to it.

    ``key`` is the deployment's.
    """
    return f"{base_url}{PATH}{workspace_id}.{_proof(key, workspace_id)}"


def workspace_of(key: str, token: str) -> str:
    """Return the workspace that a token in such an address is of. Raises ``listing_not_found`` (404)."""
    workspace, _, proof = token.partition(".")
    if not hmac.compare_digest(proof.encode(), _proof(key, WorkspaceId(workspace)).encode()):
        raise listing_not_found()
    return workspace


def _proof(key: str, workspace_id: WorkspaceId) -> str:
    return base64url(derive(key, _PURPOSE, workspace_id)[:18])
