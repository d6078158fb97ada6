"""Mail domains: claim them, prove ownership by DNS, let people with a mailbox there join."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from opencode_cloud.audit.service import Recorder
from opencode_cloud.contracts.ids import DomainId, WorkspaceId
from opencode_cloud.contracts.permissions import Role
from opencode_cloud.kit.clock import utc_now
from opencode_cloud.kit.etags import check_tag
from opencode_cloud.kit.ids import new_id
from opencode_cloud.workspaces.addresses import clean_domain
from opencode_cloud.workspaces.models import (
    Domain,
    domain_exists,
    domain_not_found,
    domain_not_verified,
    invalid_domain_role,
)
from opencode_cloud.workspaces.service.rules import locked, member_behind

if TYPE_CHECKING:
    from opencode_cloud.audit.service import AuditTrail
    from opencode_cloud.contracts.actor import Actor
    from opencode_cloud.kit.sql import Connection, Database
    from opencode_cloud.outbox.service import Outbox
    from opencode_cloud.workspaces.store import DomainStore, Resolver, WorkspaceStore

VERIFIED_FOR = timedelta(days=60)
"""Validity of a proof. Domains change hands, so automatic joining stops when the record was not seen for so long."""

LOOK_AGAIN_AFTER = timedelta(days=7)
DOMAIN_ROLES = frozenset({Role.MEMBER, Role.VIEWER})


class Domains:
    """Rules of mail domains. The proof is a TXT record with the domain's id, which is random and not secret."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        audit: AuditTrail,
        workspaces: WorkspaceStore,
        domains: DomainStore,
        resolver: Resolver,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._record = Recorder[Domain](audit, "domain", lambda row: row.id, lambda row: row.domain)
        self._workspaces = workspaces
        self._domains = domains
        self._resolver = resolver

    def of_workspace(
        self, workspace_id: WorkspaceId, after: str | None = None, limit: int | None = None
    ) -> Sequence[Domain]:
        """Return domains of a workspace by id, each with the record that proves it."""
        with self._database.transaction() as connection:
            return [
                _with_record(domain) for domain in self._domains.of_workspace(connection, workspace_id, after, limit)
            ]

    def get(self, workspace_id: WorkspaceId, domain_id: DomainId) -> Domain:
        """Return a domain of a workspace; raises ``domain_not_found``."""
        with self._database.transaction() as connection:
            return self._of(connection, workspace_id, domain_id)

    def add(self, actor: Actor, workspace_id: WorkspaceId, domain: str, role: Role, *, auto_join: bool) -> Domain:
        """Claim a domain. People join by it only after it is verified.

        Raises ``invalid_domain``, ``invalid_domain_role`` or ``domain_exists``.
        """
        _check_role(role)
        new = Domain(
            id=DomainId(new_id("dom")),
            domain=clean_domain(domain),
            role=role,
            auto_join=auto_join,
            created_at=utc_now(),
        )
        with self._outbox.unit() as unit:
            locked(self._workspaces, unit.connection, workspace_id)
            if self._domains.named(unit.connection, workspace_id, new.domain):
                raise domain_exists()
            self._domains.add(unit.connection, new, workspace_id, member_behind(actor))
            after = {"role": role, "auto_join": auto_join}
            self._record(unit, actor, "domain.added", workspace_id, new, after=after)
        return _with_record(new)

    def change(
        self,
        actor: Actor,
        workspace_id: WorkspaceId,
        domain_id: DomainId,
        values: dict[str, Any],
        read: str | None = None,
    ) -> Domain:
        """Set ``role`` or ``auto_join``. ``read`` is the tag of the domain that the caller has read; None: any.

        Raises ``domain_not_found``, ``invalid_domain_role`` or ``stale_version``.
        """
        if "role" in values:
            _check_role(values["role"])
        with self._outbox.unit() as unit:
            locked(self._workspaces, unit.connection, workspace_id)
            domain = self._of(unit.connection, workspace_id, domain_id)
            check_tag(read, domain.tag)
            before = {name: getattr(domain, name) for name in values}
            if before == values:
                return domain
            self._domains.change(unit.connection, domain_id, {**values, "vouched_by_member_id": member_behind(actor)})
            self._record(unit, actor, "domain.updated", workspace_id, domain, before=before, after=values)
            return self._of(unit.connection, workspace_id, domain_id)

    def verify(self, actor: Actor, workspace_id: WorkspaceId, domain_id: DomainId) -> Domain:
        """Look for the proof in DNS; raises ``domain_not_found`` or ``domain_not_verified``."""
        claimed = self.get(workspace_id, domain_id)
        if not self._proved(claimed):
            raise domain_not_verified(claimed.record_name, claimed.record_value)
        with self._outbox.unit() as unit:
            locked(self._workspaces, unit.connection, workspace_id)
            domain = self._of(unit.connection, workspace_id, domain_id)
            vouched = {"verified_at": utc_now(), "vouched_by_member_id": member_behind(actor)}
            self._domains.change(unit.connection, domain_id, vouched)
            if domain.verified_at is None or domain.paused:
                self._record(unit, actor, "domain.verified", workspace_id, domain)
            return self._of(unit.connection, workspace_id, domain_id)

    def remove(self, actor: Actor, workspace_id: WorkspaceId, domain_id: DomainId, read: str | None = None) -> None:
        """Give up a domain; people who joined by it stay members.

        ``read`` is the tag of the domain that the caller has read; None: any. Raises ``domain_not_found`` or
        ``stale_version``.
        """
        with self._outbox.unit() as unit:
            locked(self._workspaces, unit.connection, workspace_id)
            domain = self._of(unit.connection, workspace_id, domain_id)
            check_tag(read, domain.tag)
            self._domains.delete(unit.connection, domain_id)
            self._record(unit, actor, "domain.removed", workspace_id, domain)

    def verify_again(self) -> int:
        """Look up the proofs again and return how many were found. Called once a day."""
        with self._database.transaction() as connection:
            due = self._domains.to_verify(connection, utc_now() - LOOK_AGAIN_AFTER)
        proved = [domain_id.id for domain_id in due if self._proved(_with_record(domain_id))]
        with self._database.transaction() as connection:
            for domain in proved:
                self._domains.change(connection, domain, {"verified_at": utc_now()})
        return len(proved)

    def _proved(self, domain: Domain) -> bool:
        return domain.record_value in self._resolver.texts(domain.record_name)

    def _of(self, connection: Connection, workspace_id: WorkspaceId, domain_id: DomainId) -> Domain:
        domain = self._domains.get(connection, workspace_id, domain_id)
        if domain is None:
            raise domain_not_found()
        return _with_record(domain)


def _check_role(role: Role) -> None:
    if role not in DOMAIN_ROLES:
        raise invalid_domain_role()


def _with_record(domain: Domain) -> Domain:
    record = {
        "record_name": f"_opencode-cloud.{domain.domain}",
        "record_value": f"opencode-cloud-domain={domain.id}",
    }
    return domain.model_copy(update=record)
