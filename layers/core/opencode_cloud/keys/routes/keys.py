"""`/api/v1/workspaces/{workspace}/keys`."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from opencode_cloud.contracts.ids import KeyId, ServiceAccountId, WorkspaceId
from opencode_cloud.contracts.permissions import Permission
from opencode_cloud.http.gate import WORKSPACE, Gate
from opencode_cloud.keys.models import Key, NewKey
from opencode_cloud.keys.requests import KeyChange, KeyRequest, Rotation
from opencode_cloud.keys.service import CreateKey, UpdateKey
from opencode_cloud.kit.api_responses import document, nothing
from opencode_cloud.kit.etags import tag_of_request
from opencode_cloud.kit.pagination import DEFAULT_LIMIT, Cursor, Limit, Page, decode_id, page_of

if TYPE_CHECKING:
    from opencode_cloud.keys.service import Keys

TAG = "Keys"


class KeyRoutes:
    """Routes of keys."""

    def __init__(self, keys: Keys, gate: Gate) -> None:
        self._keys = keys
        self._gate = gate

    def mount(self) -> None:
        """Add every route to the gate's app."""
        add, all_, one = self._gate.add, f"{WORKSPACE}/keys", f"{WORKSPACE}/keys/<key_id>"
        own = Permission.KEY_OWN  # every role with `key:manage` has it too; the service checks both
        add(f"GET {all_}", self.list, own, "List keys", TAG)
        add(f"POST {all_}", self.create, own, "Create a key", TAG, HTTPStatus.CREATED)
        add(f"GET {one}", self.get, own, "Read a key", TAG)
        add(f"PATCH {one}", self.narrow, own, "Rename or narrow a key", TAG)
        add(f"POST {one}/rotate", self.rotate, own, "Rotate a key", TAG, HTTPStatus.CREATED)
        add(f"DELETE {one}", self.revoke, own, "Revoke a key", TAG, HTTPStatus.NO_CONTENT)

    def list(
        self,
        workspace_id: WorkspaceId,
        own: Annotated[bool, Query(description="Only your own keys.")] = False,
        service_account_id: Annotated[
            ServiceAccountId | None, Query(max_length=30, description="Only keys of this service account.")
        ] = None,
        creator_left: Annotated[
            bool, Query(description="Only keys whose creator is no longer a member, for an owner to decide on.")
        ] = False,
        search: Annotated[
            str, Query(max_length=100, description="A part of name or holder, or the last four characters.")
        ] = "",
        ended: Annotated[bool, Query(description="Also revoked and expired keys.")] = False,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = None,
    ) -> Response[Page[Key]]:
        """List keys, the newest first: all keys of the workspace if you may manage them, else your own."""
        after = decode_id(cursor)
        rows = self._keys.of_workspace(
            self._gate.actor,
            workspace_id,
            own=own,
            service_account_id=service_account_id,
            creator_left=creator_left,
            search=search,
            ended=ended,
            after=after,
            limit=limit + 1,
        )
        return document(page_of(rows, limit, lambda row: (row.id,), lambda row: row))

    def create(self, workspace_id: WorkspaceId, body: KeyRequest) -> Response[NewKey]:
        """Create a key. `secret` is the key itself. It is shown only once, and not stored."""
        new_key = CreateKey(
            name=body.name,
            scopes=body.scopes,
            service_account_id=body.service_account_id,
            models=body.models,
            networks=body.networks,
            expires_at=body.expires_at,
        )
        key = self._keys.create(self._gate.actor, workspace_id, new_key)
        return document(key, HTTPStatus.CREATED, tag=key.tag)

    def get(self, workspace_id: WorkspaceId, key_id: KeyId) -> Response[Key]:
        """Read a key: its limits, its first and last characters, and the time of its last use."""
        key = self._keys.get(self._gate.actor, workspace_id, key_id)
        return document(key, tag=key.tag)

    def narrow(self, workspace_id: WorkspaceId, key_id: KeyId, body: KeyChange) -> Response[Key]:
        """Rename a key, or set narrower limits. For wider limits create another key."""
        update = UpdateKey(
            name=body.name,
            scopes=body.scopes,
            models=body.models,
            networks=body.networks,
            expires_at=body.expires_at,
        )
        read = tag_of_request(self._gate.event)
        key = self._keys.narrow(self._gate.actor, workspace_id, key_id, update, read)
        return document(key, tag=key.tag)

    def rotate(self, workspace_id: WorkspaceId, key_id: KeyId, body: Rotation) -> Response[NewKey]:
        """Create a key with the same limits. The old key, and keys that were made with it, end after the overlap.

        `secret` is shown only once.
        """
        overlap = timedelta(seconds=body.overlap_seconds)
        key = self._keys.rotate(self._gate.actor, workspace_id, key_id, overlap)
        return document(key, HTTPStatus.CREATED, tag=key.tag)

    def revoke(self, workspace_id: WorkspaceId, key_id: KeyId) -> Response[None]:
        """Revoke a key, and all keys that were made with it. They end within seconds and cannot be restored."""
        self._keys.revoke(self._gate.actor, workspace_id, key_id, tag_of_request(self._gate.event))
        return nothing()
