"""Addresses of a workspace's list of models. A MAC in the address prevents forgery, so none is stored."""

from __future__ import annotations

import hmac

from opencode_cloud.catalogue.models import listing_not_found
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit.derived_secrets import derive
from opencode_cloud.kit.ids import base64url

PATH = "/catalogue/"
_PURPOSE = "catalogue"


def models_url(base_url: str, key: str, workspace_id: WorkspaceId) -> str:
    """Return the value of ``OPENCODE_MODELS_URL`` for a workspace. Clients append ``/api.json`` to it.

    ``key`` is the deployment's key.
    """
    return f"{base_url}{PATH}{workspace_id}.{_proof(key, workspace_id)}"


def workspace_of(key: str, token: str) -> str:
    """Return the workspace of the token in such an address. Raises ``listing_not_found`` (404)."""
    workspace, _, proof = token.partition(".")
    if not hmac.compare_digest(proof.encode(), _proof(key, WorkspaceId(workspace)).encode()):
        raise listing_not_found()
    return workspace


def _proof(key: str, workspace_id: WorkspaceId) -> str:
    return base64url(derive(key, _PURPOSE, workspace_id)[:18])
