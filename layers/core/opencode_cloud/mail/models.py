"""Models of mail."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from opencode_cloud.contracts.ids import MailId, WorkspaceId
from opencode_cloud.contracts.mail import Template
from opencode_cloud.kit.errors import Redeliver

MAIL_TAG = "mail"
"""Name of the tag that carries our mail id in the mail service's events."""


class MailState(StrEnum):
    """State of a mail."""

    QUEUED = "queued"
    SENT = "sent"
    """SES has accepted the mail."""
    DELIVERED = "delivered"
    """The recipient's server has accepted the mail."""
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    """The recipient marked the mail as spam."""
    FAILED = "failed"
    """The mail was not sent and will not be retried; ``reason`` says why."""


RANK = {
    MailState.QUEUED: 0,
    MailState.SENT: 1,
    MailState.DELIVERED: 2,
    MailState.FAILED: 3,
    MailState.BOUNCED: 3,
    MailState.COMPLAINED: 4,
}
"""Order of states. A mail's state only rises, since SES's events come late, twice and in any order."""

UNDELIVERED = frozenset({MailState.BOUNCED, MailState.COMPLAINED, MailState.FAILED})
"""States in which the recipient did not get the mail, or complained about it."""


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """One mail, with the names of the table's columns."""

    id: MailId
    template: Template
    recipient: str
    variables: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    workspace_id: WorkspaceId | None = None
    state: MailState = MailState.QUEUED
    reason: str = ""
    attempts: int = 0
    message_id: str | None = None
    created_at: datetime
    updated_at: datetime


class Suppression(msgspec.Struct, frozen=True):
    """An address to which no more mail is sent, and the reason."""

    recipient: str
    state: MailState
    reason: str


class MailRejected(Exception):
    """The mail service refuses a mail permanently; the message is the service's own."""


class NotYet(Redeliver):
    """The mail service did not accept a mail this time; a later attempt follows."""


class SentEvent(msgspec.Struct, frozen=True):
    """An event of the mail service about a sent mail."""

    mail: MailId
    state: MailState
    reason: str = ""
    suppress: bool = False
    """True if the address must be suppressed: it does not exist, or its owner wants no mail."""
