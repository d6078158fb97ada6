"""Builds what the functions of the console plane share, from the environment, each once an execution environment."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from opencode_cloud.access.service import Access
from opencode_cloud.access.service.projection import Projection
from opencode_cloud.access.store import KeyUses
from opencode_cloud.access.store.projection import ProjectionStore
from opencode_cloud.access.store.truth import Truth
from opencode_cloud.audit.service import AuditReading, AuditTrail
from opencode_cloud.audit.store import AuditArchive, AuditStore
from opencode_cloud.budgets.services import BudgetServices
from opencode_cloud.catalogue.service import CatalogueCache
from opencode_cloud.catalogue.service.publishing import CataloguePublisher
from opencode_cloud.catalogue.store.current import CatalogueStore
from opencode_cloud.catalogue.store.versions import VersionStore
from opencode_cloud.composition import data_plane
from opencode_cloud.composition.budgets import budget_services
from opencode_cloud.composition.console_pages import AdministrationPages
from opencode_cloud.composition.identity_pages import LoginMethods
from opencode_cloud.composition.identity_pages import identity_pages as make_identity_pages
from opencode_cloud.composition.usage import Books, Places
from opencode_cloud.composition.workspaces import workspace_services
from opencode_cloud.console.desk import Desk
from opencode_cloud.contracts.outbox import Message, Topic
from opencode_cloud.identity.pages import IdentityPages
from opencode_cloud.identity.store.accounts import AccountsStore
from opencode_cloud.identity.store.keys import SigningKeys
from opencode_cloud.kit import aws, settings
from opencode_cloud.kit.housekeeping import Housekeeping
from opencode_cloud.kit.limits import RateLimiter
from opencode_cloud.kit.sql import Database, from_environment
from opencode_cloud.mail.service import Mailer
from opencode_cloud.mail.service.sending import purge as purge_mails
from opencode_cloud.mail.store import MailQueue, MailStore
from opencode_cloud.operators.service import Operations
from opencode_cloud.outbox.service import Outbox, by_topic
from opencode_cloud.outbox.store import OutboxStore
from opencode_cloud.policies.service import Compiler, Publisher, WellKnown
from opencode_cloud.policies.store import DocumentStore, SiteStore
from opencode_cloud.policies.validation import form_faults
from opencode_cloud.sharing.store import Tasks
from opencode_cloud.workspaces.pages import InvitationPages
from opencode_cloud.workspaces.services import WorkspaceServices


@cache
def database() -> Database:
    """Return the database of the console plane."""
    return from_environment()


@cache
def projection() -> Projection:
    """Return the projection into what the hot planes read."""
    truth = Truth(Compiler(DocumentStore(database())))
    return Projection(ProjectionStore(database(), settings.text("ACCESS_TABLE")), truth)


@cache
def outbox() -> Outbox:
    """Return the outbox, whose messages are projected, and sent where they are about mails."""
    mails = MailQueue(settings.text("MAIL_QUEUE_URL"))

    def send(messages: Sequence[Message]) -> None:
        mails.send([message.subject for message in messages])

    def put_in_force(_messages: Sequence[Message]) -> None:
        catalogue_publisher().project(catalogue_in_force())

    store = OutboxStore(database(), settings.text("RELAY_QUEUE_URL"))
    return Outbox(store, by_topic({Topic.MAIL: send, Topic.CATALOGUE: put_in_force}, projection().relay))


@cache
def audit() -> AuditTrail:
    """Return the record of who changed what."""
    return AuditTrail(AuditStore())


@cache
def publisher() -> Publisher:
    """Return what publishes policies and configuration documents."""
    return Publisher(DocumentStore(database()), outbox(), audit())


@cache
def catalogue_publisher() -> CataloguePublisher:
    """Return what publishes versions of the catalogue."""
    return CataloguePublisher(VersionStore(database()), outbox(), audit(), form_faults)


@cache
def catalogue_in_force() -> CatalogueStore:
    """Return the catalogue as the planes without SQL read it."""
    return CatalogueStore(settings.text("ACCESS_TABLE"))


@cache
def catalogue() -> CatalogueCache:
    """Return the catalogue that is in force."""
    return CatalogueCache(catalogue_in_force())


@cache
def audit_reading() -> AuditReading:
    """Return the reading side of the record, and its retention."""
    return AuditReading(AuditArchive(database()))


def deployment_key() -> str:
    """Return the secret that links, codes and seals are derived from; fetched on first use."""
    return aws.secret(settings.text("DEPLOYMENT_KEY_SECRET"))


@cache
def access() -> Access:
    """Return what finds out who sent a request."""
    return data_plane.access()


@cache
def team() -> WorkspaceServices:
    """Return the services of workspaces and keys."""
    return workspace_services(
        database(),
        outbox(),
        deployment_key,
        settings.text("CREDENTIALS_KEY", ""),
        KeyUses(settings.text("SESSIONS_TABLE")).of,
        Tasks(purge_queue=settings.text("PURGE_QUEUE_URL", "")).purge_workspace,
        dns_server=settings.text("DNS_SERVER", ""),
        check_domains=settings.number("CHECK_MAIL_DOMAINS", 1) == 1,
        private_providers=settings.number("PRIVATE_PROVIDERS", 0) == 1,
    )


@cache
def books() -> Books:
    """Return what is done with usage."""
    return Books.over(database(), outbox(), audit(), Places.from_environment())


@cache
def budgeting() -> BudgetServices:
    """Return the services of budgets, their alerts and the balance."""
    return budget_services(
        database(),
        outbox(),
        deployment_key,
        settings.text("BUDGETS_TABLE"),
        private_webhooks=settings.number("PRIVATE_PROVIDERS", 0) == 1,
    )


@cache
def invitation_pages() -> InvitationPages:
    """Return the pages that links of invitations open."""
    limiter = RateLimiter(settings.text("SESSIONS_TABLE"))
    return InvitationPages(team().invitations, access(), deployment_key, limiter)


@cache
def identity_pages() -> IdentityPages:
    """Return the pages on which people sign in and let devices in."""
    methods = LoginMethods(settings.text("LOGIN_METHODS"), settings.text("LOGIN_SECRETS"))
    return make_identity_pages(
        database(),
        outbox(),
        access(),
        team(),
        deployment_key,
        methods,
        sessions_table=settings.text("SESSIONS_TABLE"),
        signing_keys=settings.text("SIGNING_KEYS").split(","),
        redirects=settings.text("REDIRECT_URIS", "").split(),
        public_url=settings.text("PUBLIC_URL", ""),
    )


@cache
def administration_pages() -> AdministrationPages:
    """Return the pages on which members run their workspaces."""
    desk = Desk(access(), deployment_key, identity_pages().note_use, settings.text("PUBLIC_URL", ""))
    return AdministrationPages(desk, access(), team(), publisher(), audit_reading(), books().reading)


@cache
def housekeeping() -> Housekeeping:
    """Return what is done once a day."""
    return Housekeeping(
        {
            "audit entries": audit_reading().purge,
            "mails": lambda: purge_mails(MailStore(database())),
            "workspaces": lambda: team().workspaces.purge_expired(),
            "domains": lambda: team().domains.verify_again(),
        }
    )


@cache
def operations() -> Operations:
    """Return what operators can do."""
    return Operations(
        outbox(),
        AccountsStore(),
        team(),
        audit(),
        Mailer(MailStore(database())),
        projection(),
        SigningKeys(settings.text("SIGNING_KEYS").split(","), settings.text("SESSIONS_TABLE")),
        WellKnown(SiteStore(settings.text("SITE_BUCKET")), settings.text("PUBLIC_URL", "")),
        catalogue_publisher(),
        lambda: catalogue_publisher().project(catalogue_in_force(), over=True),
        budgeting().balance,
        books().reconciliation,
    )
