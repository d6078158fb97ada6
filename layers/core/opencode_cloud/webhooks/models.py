"""Deliveries to webhooks as rules see them and the API shows them."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from pydantic import Field

from opencode_cloud.contracts.ids import WorkspaceId
from opencode_cloud.kit.api_models import ApiModel
from opencode_cloud.kit.errors import Redeliver
from opencode_cloud.kit.instants import Instant


class DeliveryState(StrEnum):
    """The state of a delivery."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    GIVEN_UP = "given_up"
    """The webhook has not accepted any attempt."""
    DROPPED = "dropped"
    """The webhook was removed."""


class DeliveryAttempt(ApiModel):
    """One request to a webhook."""

    at: Instant
    status: int | None = Field(description="The status of the answer; null: there was none.")


class WebhookDelivery(ApiModel):
    """A message to a webhook, and its attempts."""

    id: str = Field(description="The `webhook-id` of its requests.")
    type: str = Field(description="Such as `budget.threshold`, `payment.failed` or `webhook.test`.")
    state: DeliveryState = Field(
        description="`given_up`: no attempt was accepted. `dropped`: the webhook was removed before it was accepted."
    )
    attempts: list[DeliveryAttempt] = Field(description="The oldest first.")
    next_at: Instant | None = Field(description="When the next attempt is due; null: none follows.")
    created_at: Instant


class Hook(NamedTuple):
    """A webhook's address, and the generation of the secret that signs its requests."""

    url: str
    generation: int


class StoredDelivery(NamedTuple):
    """A delivery as the sender needs it."""

    id: str
    workspace_id: WorkspaceId
    body: bytes
    state: DeliveryState
    attempts: int


class WebhookRejected(Redeliver):
    """A workspace's webhook did not accept a message."""
