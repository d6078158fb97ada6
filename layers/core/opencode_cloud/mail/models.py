"""The nouns of mail."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from opencode_cloud.contracts.ids import MailId, WorkspaceId
from opencode_cloud.contracts.mail import Template
from opencode_cloud.kit.errors import Redeliver

MAIL_TAG = "mail"
"""Name of the tag by which the mail service's events say which of our mails they are about."""


class MailState(StrEnum):
    """What became of a mail."""

    QUEUED = "queued"
    SENT = "sent"
    """SES has taken it."""
    DELIVERED = "delivered"
    """The recipient's server has taken it."""
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    """The recipient marked it as spam."""
    FAILED = "failed"
    """Not sent, and not tried again; ``reason`` says why."""


RANK = {
    MailState.QUEUED: 0,
    MailState.SENT: 1,
    MailState.DELIVERED: 2,
    MailState.FAILED: 3,
    MailState.BOUNCED: 3,
    MailState.COMPLAINED: 4,
}
"""A mail goes from lower to higher only: SES's events come late, twice and in any order."""

UNDELIVERED = frozenset({MailState.BOUNCED, MailState.COMPLAINED, MailState.FAILED})
"""States in which the recipient does not have the mail, or does not want it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail, with the names of the table's columns."""

    id: MailId
    template: Template
    recipient: str
    variables: dict[str, Any] = field(default_factory=dict[str, Any])
    workspace_id: WorkspaceId | None = None
    state: MailState = MailState.QUEUED
    reason: str = ""
    attempts: int = 0
    message_id: str | None = None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address that nothing is sent to any more, and why."""

    recipient: str
    state: MailState
    reason: str


class Refused(Exception):
    """A mail will never be taken; the message is the mail service's own."""


class NotYet(Redeliver):
    """A mail could not be handed over now, and will be tried again."""


class SentEvent(msgspec.Struct, frozen=True):
    """What the mail service says became of a mail."""

    mail: str
    state: MailState
    reason: str = ""
    suppress: bool = False
    """Whether the address is dead, or its owner wants no mail."""
