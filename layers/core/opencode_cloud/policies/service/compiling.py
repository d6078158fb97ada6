"""Compile the current versions of a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opencode_cloud.contracts.access import EnforcedPolicy, KnownConfiguration
from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.policies import compilation
from opencode_cloud.policies.models import Policy, Versioned

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection
    from opencode_cloud.policies.store import DocumentStore


class Compiler:
    """Compiles the current versions for the projection."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    def enforced_policy(self, connection: Connection, workspace_id: WorkspaceId) -> EnforcedPolicy:
        """Return the policy in the form that the data planes enforce; without a policy, it restricts nothing."""
        revision = self._store.latest(connection, Versioned.POLICY, workspace_id)
        return (
            compilation.enforced(Policy.model_validate(revision.document), revision.version)
            if revision
            else EnforcedPolicy()
        )

    def configuration(self, connection: Connection, workspace_id: WorkspaceId) -> KnownConfiguration | None:
        """Return the remote config of clients; None when policy and document are empty."""
        policy = self._store.latest(connection, Versioned.POLICY, workspace_id)
        document = self._store.latest(connection, Versioned.CONFIGURATION, workspace_id)
        return compilation.configuration(
            Policy.model_validate(policy.document) if policy else Policy(),
            document.document if document else {},
            workspace_id,
        )
