"""The nouns of the outbox."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Topic(StrEnum):
    """What kind of row a message is about; what the subject and the payload are."""

    ACCOUNT = "account"
    """Subject: the account's id."""
    WORKSPACE = "workspace"
    """Subject: the workspace's id. Told when the workspace itself changed: its name, its block, its deletion."""
    MEMBER = "member"
    """Subject: the member's id. Payload: ``workspace`` and ``account``."""
    SERVICE_ACCOUNT = "service_account"
    """Subject: the service account's id. Payload: ``workspace``."""
    KEY = "key"
    """Subject: the key's id. Payload: ``hash``, in hexadecimal."""
    CREDENTIALS = "credentials"
    """Subject: the workspace's id. Told when one of its credentials for model providers changed."""
    BUDGETS = "budgets"
    """Subject: the workspace's id. Told when its own budgets, its members' default ones, its balance or its settings of
    usage changed; a budget of one member, service account or key is told as a change of that."""
    POLICY = "policy"
    """Subject: the workspace's id."""
    CONFIGURATION = "configuration"
    """Subject: the workspace's id."""
    CATALOGUE = "catalogue"
    """Subject: ``catalogue``; there is one."""
    MAIL = "mail"
    """Subject: the mail's id."""


@dataclass(frozen=True, slots=True)
class Message:
    """A promise to tell the other planes that the row ``subject`` of ``topic`` has changed."""

    id: int
    topic: Topic
    subject: str
    payload: Any
    relayed: bool
