"""Builds the common parts of the control plane's functions, which use SQL."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from opencode_cloud.access.service.projection import Projection
from opencode_cloud.access.store import KeyUses
from opencode_cloud.access.store.projection import ProjectionStore
from opencode_cloud.access.store.projection_source import ProjectionSource
from opencode_cloud.audit.service import AuditReading, AuditTrail
from opencode_cloud.audit.store import AuditArchive, AuditStore
from opencode_cloud.catalogue.store.current import CatalogueStore
from opencode_cloud.catalogue.store.versions import VersionStore
from opencode_cloud.composition.services.workspaces import workspace_services
from opencode_cloud.composition.sql_settings import ControlPlaneSettings, WorkspaceSettings
from opencode_cloud.contracts.ids import AccountId, RefundOrderId, SecondSubscriptionId, WorkspaceId
from opencode_cloud.contracts.outbox import OutboxMessage, Topic
from opencode_cloud.kit import aws
from opencode_cloud.kit.sql import Database, connect
from opencode_cloud.mail.store import MailQueue
from opencode_cloud.outbox.service import Outbox, by_topic
from opencode_cloud.outbox.store import OutboxStore
from opencode_cloud.payments.store.plans import PlanStore
from opencode_cloud.payments.store.reload_queue import ReloadQueue
from opencode_cloud.policies.service import Compiler, Publisher
from opencode_cloud.policies.store import DocumentStore
from opencode_cloud.policies.validation import form_faults
from opencode_cloud.sharing.store import Tasks
from opencode_cloud.webhooks.store.webhook_queue import WebhookQueue
from opencode_cloud.workspaces.services import WorkspaceServices

if TYPE_CHECKING:
    from opencode_cloud.catalogue.service.publishing import CataloguePublisher


class ControlPlane:
    """The parts of the control plane; each is built on first use and kept."""

    def __init__(self, settings: ControlPlaneSettings) -> None:
        self._settings = settings

    @cached_property
    def database(self) -> Database:
        """The database."""
        return connect(self._settings)

    @cached_property
    def projection(self) -> Projection:
        """The projection into the tables that functions without SQL read."""
        source = ProjectionSource(Compiler(DocumentStore(self.database)))
        return Projection(ProjectionStore(self.database, self._settings.access_table), source)

    @cached_property
    def outbox(self) -> Outbox:
        """The outbox. Mails, reloads, refunds, seats and webhooks go to queues; the rest is projected."""
        mails, reloads = MailQueue(self._settings.mail_queue_url), ReloadQueue(self._settings.reloads_queue_url)
        webhooks = WebhookQueue(self._settings.webhooks_queue_url)

        def send(messages: Sequence[OutboxMessage]) -> None:
            mails.send([message.subject for message in messages])

        def reload(messages: Sequence[OutboxMessage]) -> None:
            reloads.send([WorkspaceId(message.subject) for message in messages])

        def count_seats(messages: Sequence[OutboxMessage]) -> None:
            reloads.send_seats([WorkspaceId(message.subject) for message in messages])

        def project_members(messages: Sequence[OutboxMessage]) -> None:
            self.projection.relay(messages)
            # The seats of a plan follow the members.
            with self.database.transaction() as connection:
                planned = PlanStore().live_among(connection, {message.payload["workspace"] for message in messages})
            reloads.send_seats(planned)

        def project_accounts(messages: Sequence[OutboxMessage]) -> None:
            self.projection.relay(messages)
            # A person who is blocked needs no seat.
            with self.database.transaction() as connection:
                planned = PlanStore().live_with(connection, {AccountId(message.subject) for message in messages})
            reloads.send_seats(planned)

        def refund(messages: Sequence[OutboxMessage]) -> None:
            reloads.send_refunds([RefundOrderId(message.subject) for message in messages])

        def end_second(messages: Sequence[OutboxMessage]) -> None:
            reloads.send_second([SecondSubscriptionId(message.subject) for message in messages])

        def announce(messages: Sequence[OutboxMessage]) -> None:
            webhooks.send([message.subject for message in messages])

        def project_catalogue(_messages: Sequence[OutboxMessage]) -> None:
            self.catalogue_publisher.project(self.current_catalogue)

        store = OutboxStore(self.database, self._settings.relay_queue_url)
        special = {
            Topic.MAIL: send,
            Topic.RELOAD: reload,
            Topic.REFUND: refund,
            Topic.SEATS: count_seats,
            Topic.SECOND_SUBSCRIPTION: end_second,
            Topic.MEMBER: project_members,
            Topic.ACCOUNT: project_accounts,
            Topic.WEBHOOK: announce,
            Topic.CATALOGUE: project_catalogue,
        }
        return Outbox(store, by_topic(special, self.projection.relay))

    @cached_property
    def audit(self) -> AuditTrail:
        """The audit log, as services write it."""
        return AuditTrail(AuditStore())

    @cached_property
    def audit_reading(self) -> AuditReading:
        """The audit log, as people read it, and its retention."""
        return AuditReading(AuditArchive(self.database))

    @cached_property
    def publisher(self) -> Publisher:
        """The publisher of policies and configuration documents."""
        return Publisher(DocumentStore(self.database), self.outbox, self.audit)

    @cached_property
    def catalogue_publisher(self) -> CataloguePublisher:
        """The publisher of versions of the catalogue."""
        from opencode_cloud.catalogue.service.publishing import CataloguePublisher  # slow to import, and rarely used

        return CataloguePublisher(VersionStore(self.database), self.outbox, self.audit, form_faults)

    @cached_property
    def current_catalogue(self) -> CatalogueStore:
        """The current catalogue, as functions without SQL read it."""
        return CatalogueStore(self._settings.access_table)

    def deployment_key(self) -> str:
        """Return the secret that links, codes and seals are derived from; fetched on first use."""
        return aws.secret(self._settings.deployment_key_secret)


def workspaces(
    plane: ControlPlane, settings: WorkspaceSettings, *, credentials_key: str = "", purge_queue_url: str = ""
) -> WorkspaceServices:
    """Return the services of workspaces and keys.

    Without ``credentials_key`` they cannot store provider credentials; without ``purge_queue_url`` they cannot purge
    the shares of a workspace.
    """
    return workspace_services(
        plane.database,
        plane.outbox,
        plane.deployment_key,
        credentials_key,
        KeyUses(settings.sessions_table).of,
        Tasks(purge_queue=purge_queue_url).purge_workspace,
        dns_server=settings.dns_server,
        check_domains=settings.check_mail_domains,
        private_providers=settings.private_providers,
    )
