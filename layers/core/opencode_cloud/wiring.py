"""Builds what the functions of the console plane share, from the environment, each once an execution environment."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from opencode_cloud.access.service.projection import Projection
from opencode_cloud.access.store.projection import ProjectionStore
from opencode_cloud.access.store.truth import Truth
from opencode_cloud.audit.service import AuditTrail
from opencode_cloud.audit.store import AuditStore
from opencode_cloud.kit import settings
from opencode_cloud.kit.sql import Database, from_environment
from opencode_cloud.mail.store import MailQueue
from opencode_cloud.outbox.models import Message, Topic
from opencode_cloud.outbox.service import Outbox, by_topic
from opencode_cloud.outbox.store import OutboxStore
from opencode_cloud.policies.service import Compiler, Publisher
from opencode_cloud.policies.store import DocumentStore


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

    store = OutboxStore(database(), settings.text("RELAY_QUEUE_URL"))
    return Outbox(store, by_topic({Topic.MAIL: send}, projection().relay))


@cache
def audit() -> AuditTrail:
    """Return the record of who changed what."""
    return AuditTrail(AuditStore())


@cache
def publisher() -> Publisher:
    """Return what publishes policies and configuration documents."""
    return Publisher(DocumentStore(database()), outbox(), audit())
