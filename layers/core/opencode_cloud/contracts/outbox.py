"""The models of the outbox."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Topic(StrEnum):
    """The kind of row that a message concerns, with its subject and payload."""

    ACCOUNT = "account"
    """Subject: the account's id."""
    WORKSPACE = "workspace"
    """Subject: the workspace's id. Sent when the workspace itself changed: its name, its block, its deletion."""
    MEMBER = "member"
    """Subject: the member's id. Payload: ``workspace`` and ``account``."""
    SERVICE_ACCOUNT = "service_account"
    """Subject: the service account's id. Payload: ``workspace``."""
    KEY = "key"
    """Subject: the key's id. Payload: ``hash``, in hexadecimal."""
    CREDENTIALS = "credentials"
    """Subject: the workspace's id. Sent when one of its credentials for model providers changed."""
    BUDGETS = "budgets"
    """Subject: the workspace's id. Sent when its own budgets, its members' default ones, its balance or its settings of
    usage changed. A change of a budget of one member, service account or key is sent as a change of that subject."""
    POLICY = "policy"
    """Subject: the workspace's id."""
    CONFIGURATION = "configuration"
    """Subject: the workspace's id."""
    CATALOGUE = "catalogue"
    """Subject: always ``catalogue``."""
    MAIL = "mail"
    """Subject: the mail's id."""
    RELOAD = "reload"
    """Subject: the workspace's id. Sent when its balance fell below the threshold of its automatic reloads."""
    REFUND = "refund"
    """Subject: the id of an order to pay money back, which the function ``payments`` carries out."""
    SEATS = "seats"
    """Subject: the workspace's id. Sent when Stripe has another number of seats than the workspace has members."""
    SECOND_SUBSCRIPTION = "second_subscription"
    """Subject: our id of a second paid start of a plan, which is canceled at Stripe and paid back."""
    WEBHOOK = "webhook"
    """Subject: the id of a message to the webhook of a workspace."""


class OutboxMessage(msgspec.Struct, frozen=True):
    """A promise to notify the other planes that the row ``subject`` of ``topic`` has changed."""

    id: int
    topic: Topic
    subject: str
    payload: Any
    relayed: bool
