"""Provider credentials: create, replace, test and delete them. The secrets cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from opencode_cloud.audit.service import Recorder
from opencode_cloud.contracts.access import person_required
from opencode_cloud.contracts.actor import CredentialKind
from opencode_cloud.contracts.ids import CredentialId, WorkspaceId
from opencode_cloud.contracts.names import clean_name
from opencode_cloud.contracts.outbox import Topic
from opencode_cloud.keys.endpoints import clean_base_url
from opencode_cloud.keys.models import Provider, ProviderCredential, credential_exists, credential_not_found
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.ids import new_id

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.keys.store import CredentialStore, ProviderClient, Vault
    from opencode_cloud.kit.sql import Connection, Database
    from opencode_cloud.outbox.service import Outbox

VISIBLE_LAST = 4
SHOWN_FROM = 16
"""Least length of keys whose last characters are shown. They would reveal too much of a shorter key."""


class Credentials:
    """Rules of provider credentials. A secret is sent only to its provider."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        audit: AuditTrail,
        store: CredentialStore,
        vault: Vault,
        providers: ProviderClient,
        *,
        private: bool = False,
    ) -> None:
        """``private`` accepts providers in private networks."""
        self._database = database
        self._outbox = outbox
        self._record = Recorder[ProviderCredential](
            audit, "provider", lambda credential: credential.id, lambda credential: credential.name
        )
        self._store = store
        self._vault = vault
        self._providers = providers
        self._private = private

    def of_workspace(
        self, workspace_id: WorkspaceId, after: str | None = None, limit: int | None = None, *, search: str = ""
    ) -> Sequence[ProviderCredential]:
        """Return credentials of a workspace by id, optionally those that ``search`` finds.

        It finds a text in provider, name and URL, and the last characters of the key.
        """
        with self._database.transaction() as connection:
            return self._store.of_workspace(connection, workspace_id, after, limit, search=search)

    def get(self, workspace_id: WorkspaceId, credential_id: CredentialId) -> ProviderCredential:
        """Return a credential; raises ``credential_not_found``."""
        with self._database.transaction() as connection:
            return self._of(connection, workspace_id, credential_id)

    def create(
        self, actor: Actor, workspace_id: WorkspaceId, provider: Provider, name: str, secret: str, base_url: str | None
    ) -> ProviderCredential:
        """Store a provider's key.

        Raises ``invalid_name``, ``invalid_base_url``, ``credential_exists``, ``sealing_unavailable``, or
        ``person_required`` for a key that names an address.
        """
        name, address = clean_name(name), clean_base_url(provider, base_url, private=self._private)
        _require_person_for(actor, None, address)
        credential_id, now = CredentialId(new_id("prv")), utc_now()
        row = {
            "id": credential_id,
            "workspace_id": workspace_id,
            "provider": provider,
            "name": name,
            "base_url": address,
            "created_by": actor.name,
            "created_at": now,
            "updated_at": now,
            **self._sealed(workspace_id, credential_id, secret),
        }
        with self._outbox.unit() as unit:
            if self._store.named(unit.connection, workspace_id, provider, name):
                raise credential_exists()
            self._store.add(unit.connection, row)
            unit.emit(Topic.CREDENTIALS, workspace_id)
            credential = self._of(unit.connection, workspace_id, credential_id)
            after = {"provider": provider, "base_url": address}
            self._record(unit, actor, "provider.created", workspace_id, credential, after=after)
        return credential

    def replace(
        self, actor: Actor, workspace_id: WorkspaceId, credential_id: CredentialId, secret: str, base_url: str | None
    ) -> ProviderCredential:
        """Replace the stored key and clear the test result, which was about the old key.

        Raises ``person_required`` for a key that names another address.
        """
        credential = self.get(workspace_id, credential_id)
        address = clean_base_url(credential.provider, base_url, private=self._private)
        _require_person_for(actor, credential.base_url, address)
        values = {
            "base_url": address,
            "updated_at": utc_now(),
            "tested_at": None,
            "test_result": None,
            **self._sealed(workspace_id, credential_id, secret),
        }
        with self._outbox.unit() as unit:
            credential = self._of(unit.connection, workspace_id, credential_id)
            self._store.change(unit.connection, credential_id, values)
            unit.emit(Topic.CREDENTIALS, workspace_id)
            before, after = {"base_url": credential.base_url}, {"base_url": address}
            self._record(unit, actor, "provider.replaced", workspace_id, credential, before=before, after=after)
            return self._of(unit.connection, workspace_id, credential_id)

    def check(self, actor: Actor, workspace_id: WorkspaceId, credential_id: CredentialId) -> ProviderCredential:
        """Ask the provider whether the key works; store the result and return the credential."""
        # No transaction is open during the call: it would hold a database connection until the provider answers.
        with self._database.transaction() as connection:
            credential = self._of(connection, workspace_id, credential_id)
            sealed = self._store.sealed(connection, workspace_id, credential_id)
        if sealed is None:
            raise credential_not_found()
        secret = self._vault.open(workspace_id, credential_id, sealed)
        result = self._providers.check(credential.provider, credential.base_url, secret)
        with self._outbox.unit() as unit:
            latest = self._of(unit.connection, workspace_id, credential_id)
            if latest.updated_at == credential.updated_at:  # otherwise the result is about a replaced key
                self._store.change(unit.connection, credential_id, {"tested_at": utc_now(), "test_result": result})
            self._record(unit, actor, "provider.tested", workspace_id, credential, after={"result": result})
            return self._of(unit.connection, workspace_id, credential_id)

    def delete(self, actor: Actor, workspace_id: WorkspaceId, credential_id: CredentialId) -> None:
        """Delete a credential for good; raises ``credential_not_found``."""
        with self._outbox.unit() as unit:
            credential = self._of(unit.connection, workspace_id, credential_id)
            self._store.delete(unit.connection, credential_id)
            unit.emit(Topic.CREDENTIALS, workspace_id)
            self._record(unit, actor, "provider.deleted", workspace_id, credential)

    def _sealed(self, workspace_id: WorkspaceId, credential_id: CredentialId, secret: str) -> dict[str, Any]:
        sealed = self._vault.seal(workspace_id, credential_id, secret)
        suffix = secret[-VISIBLE_LAST:] if len(secret) >= SHOWN_FROM else ""
        return {"sealed": sealed.ciphertext, "data_key": sealed.data_key, "suffix": suffix}

    def _of(self, connection: Connection, workspace_id: WorkspaceId, credential_id: CredentialId) -> ProviderCredential:
        credential = self._store.get(connection, workspace_id, credential_id)
        if credential is None:
            raise credential_not_found()
        return credential


def _require_person_for(actor: Actor, before: str | None, after: str | None) -> None:
    """Raise ``person_required`` when a key sets a provider's address.

    That server would get the members' prompts, and its answers would call tools on their machines.
    """
    if actor.credential is CredentialKind.KEY and after is not None and after != before:
        raise person_required("A key cannot set the address of a provider.")
