"""Provider credentials in MySQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select

from opencode_cloud.contracts.ids import CredentialId, WorkspaceId
from opencode_cloud.keys.models import Provider, ProviderCredential
from opencode_cloud.kit.envelope_encryption import Sealed
from opencode_cloud.schema.keys import provider_credentials

if TYPE_CHECKING:
    from opencode_cloud.kit.sql import Connection

_READABLE = [column for column in provider_credentials.c if column.name not in {"sealed", "data_key"}]


class CredentialStore:
    """The table ``provider_credentials``."""

    def add(self, connection: Connection, row: Mapping[str, Any]) -> None:
        """Write a new credential."""
        connection.execute(provider_credentials.insert(), dict(row))

    def change(self, connection: Connection, credential_id: CredentialId, values: Mapping[str, Any]) -> None:
        """Set columns of a credential."""
        connection.execute(
            provider_credentials.update().where(provider_credentials.c.id == credential_id).values(dict(values))
        )

    def delete(self, connection: Connection, credential_id: CredentialId) -> None:
        """Delete a credential for good."""
        connection.execute(provider_credentials.delete().where(provider_credentials.c.id == credential_id))

    def get(
        self, connection: Connection, workspace_id: WorkspaceId, credential_id: CredentialId
    ) -> ProviderCredential | None:
        """Return a credential of a workspace."""
        return self._one(connection, workspace_id, provider_credentials.c.id == credential_id)

    def named(
        self, connection: Connection, workspace_id: WorkspaceId, provider: Provider, name: str
    ) -> ProviderCredential | None:
        """Return the credential of a provider with this name."""
        wanted = (provider_credentials.c.provider == provider) & (provider_credentials.c.name == name)
        return self._one(connection, workspace_id, wanted)

    def of_workspace(
        self,
        connection: Connection,
        workspace_id: WorkspaceId,
        after: str | None = None,
        limit: int | None = None,
        *,
        search: str = "",
    ) -> Sequence[ProviderCredential]:
        """Return credentials of a workspace by id, optionally those that ``search`` finds.

        It finds a text in provider, name and URL, and the last characters of the key.
        """
        query = select(*_READABLE).where(provider_credentials.c.workspace_id == workspace_id)
        if search:
            columns = provider_credentials.c
            texts = (columns.provider, columns.name, columns.base_url)
            found = (column.contains(search, autoescape=True) for column in texts)
            query = query.where(or_(columns.suffix == search, *found))
        if after is not None:
            query = query.where(provider_credentials.c.id > after)
        rows = connection.execute(query.order_by(provider_credentials.c.id).limit(limit))
        return [ProviderCredential.model_validate(row) for row in rows]

    def sealed(self, connection: Connection, workspace_id: WorkspaceId, credential_id: CredentialId) -> Sealed | None:
        """Return the sealed secret of a credential."""
        row = connection.execute(
            select(provider_credentials.c.sealed, provider_credentials.c.data_key).where(
                provider_credentials.c.id == credential_id, provider_credentials.c.workspace_id == workspace_id
            )
        ).first()
        return Sealed(row.sealed, row.data_key) if row else None

    def _one(self, connection: Connection, workspace_id: WorkspaceId, wanted: Any) -> ProviderCredential | None:
        query = select(*_READABLE).where(provider_credentials.c.workspace_id == workspace_id, wanted)
        row = connection.execute(query).first()
        return ProviderCredential.model_validate(row) if row else None
